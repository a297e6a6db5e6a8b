// epoll_create, epoll_ctl, epoll_wait and their kin.
#include "guest-mm/kernel/files/events/event_poll.h"
#include "guest-mm/kernel/files/events/timed_wait.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

enum Operation : u32 { kAdd = 1, kRemove = 2, kModify = 3 };

// Null: O_PATH, or not open.
File* usable_file(u64 descriptor) {
  File* const file = file_of(descriptor);
  return file == nullptr || file->path_only() ? nullptr : file;
}

i64 wait_on(u64 descriptor, u64 address, u64 count, u64 deadline_ns) {
  constexpr i32 kMost = INT32_MAX / static_cast<i32>(sizeof(PolledEvent));
  const auto most = static_cast<i32>(count);
  if (most <= 0 || most > kMost) {
    return -kEINVAL;
  }
  File* const file = usable_file(descriptor);
  if (file == nullptr) {
    return -kEBADF;
  }
  const Ref<EventPoll> poll(anonymous_file<EventPoll>(*file));
  return poll ? poll->wait(address, static_cast<u64>(most), deadline_ns) : -kEINVAL;
}

u64 deadline_after_ms(u64 timeout) {
  const auto ms = static_cast<i32>(timeout);
  return ms < 0 ? kNoDeadline : deadline_after(static_cast<u64>(ms) * 1'000'000);
}

i64 masked_wait_on(const SyscallArgs& args, u64 deadline_ns, u64 mask_address, u64 mask_bytes) {
  TemporarySignalMask mask;
  if (const i64 error = mask.begin(mask_address, mask_bytes); error != 0) {
    return error;
  }
  return mask.finish(wait_on(args.a0, args.a1, args.a2, deadline_ns));
}

// What an exclusive watch may want. 0, or -EINVAL.
i64 check_exclusive(u32 operation, File& file, u32 events) {
  constexpr u32 kAllowed =
      kPollIn | kPollOut | kPollError | kPollHangUp | kWakeUp | kEdgeTriggered | kExclusive;
  if ((events & kExclusive) == 0) {
    return 0;
  }
  if (operation == kModify) {
    return -kEINVAL;
  }
  const bool refused = anonymous_file<EventPoll>(file) != nullptr || (events & ~kAllowed) != 0;
  return operation == kAdd && refused ? -kEINVAL : 0;
}

i64 make_event_poll(u32 flags) {
  Ref<UserAccount> account = UserAccount::of(identity().user.real);
  return account ? insert_anonymous<EventPoll>(flags, std::move(account)) : -kENOMEM;
}

}  // namespace

i64 sys_epoll_create(const SyscallArgs& args) {
  return static_cast<i32>(args.a0) <= 0 ? -kEINVAL : make_event_poll(0);
}

i64 sys_epoll_create1(const SyscallArgs& args) {
  const auto flags = static_cast<u32>(args.a0);
  return (flags & ~kOpenCloseOnExec) != 0 ? -kEINVAL : make_event_poll(flags);
}

i64 sys_epoll_ctl(const SyscallArgs& args) {
  const auto operation = static_cast<u32>(args.a1);
  PolledEvent event{};
  if (operation != kRemove) {
    if (const i64 error = get_user(event, args.a3); error != 0) {
      return error;
    }
  }
  File* const set = usable_file(args.a0);
  File* const file = usable_file(args.a2);
  if (set == nullptr || file == nullptr) {
    return -kEBADF;
  }
  if (file->poll_queue() == nullptr) {
    return -kEPERM;
  }
  auto* const poll = anonymous_file<EventPoll>(*set);
  if (poll == nullptr || file == set) {
    return -kEINVAL;
  }
  if (const i64 error = check_exclusive(operation, *file, event.events); error != 0) {
    return error;
  }
  const Watch::Key key{file, static_cast<i32>(args.a2)};
  switch (operation) {
    case kAdd:
      return poll->add(key, event);
    case kRemove:
      return poll->remove(key);
    case kModify:
      return poll->modify(key, event);
    default:
      return -kEINVAL;
  }
}

i64 sys_epoll_wait(const SyscallArgs& args) {
  return wait_on(args.a0, args.a1, args.a2, deadline_after_ms(args.a3));
}

i64 sys_epoll_pwait(const SyscallArgs& args) {
  return masked_wait_on(args, deadline_after_ms(args.a3), args.a4, args.a5);
}

i64 sys_epoll_pwait2(const SyscallArgs& args) {
  u64 deadline_ns = 0;
  if (const i64 error = load_deadline(args.a3, deadline_ns); error != 0) {
    return error;
  }
  return masked_wait_on(args, deadline_ns, args.a4, args.a5);
}

}  // namespace nopte::guest
