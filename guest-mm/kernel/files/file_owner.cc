#include "guest-mm/kernel/files/file_owner.h"

#include <limits>

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

namespace {

// struct f_owner_ex
struct UserOwner {
  i32 kind;
  i32 id;
};

void file_woken(WatchingWaiter& waiter) {
  auto& owner = static_cast<FileOwner&>(waiter);
  const u32 events = owner.file.poll();
  if ((events & kPollHangUp) != 0 && owner.file.inode()->as_socket() != nullptr) {
    signal_owner(owner, owner.descriptor, kIoHangUp);
  } else if ((events & (kPollIn | kPollHangUp)) != 0) {
    signal_owner(owner, owner.descriptor, kIoIn);
  } else if ((events & (kPollOut | kPollError)) != 0) {
    signal_owner(owner, owner.descriptor, kIoOut);
  }
}

bool group_lives(i32 id) {
  bool lives = false;
  for_each_process([&](const Process& process) { lives = lives || process.pgid == id; });
  return lives;
}

bool lives(OwnerKind kind, i32 id) {
  return kind == OwnerKind::kGroup ? group_lives(id) || find_thread(id) != nullptr
                                   : find_thread(id) != nullptr || group_lives(id);
}

// Whether who asked may send it (sigio_perm).
bool may_tell(const FileOwner& owner, const Thread& target) {
  const Ids& user = identity_of(target).user;
  return owner.effective_user == 0 || owner.effective_user == user.saved ||
         owner.effective_user == user.real || owner.real_user == user.saved || owner.real_user == user.real;
}

template <class Target>
void tell(const FileOwner& owner, Target& target, i32 descriptor, IoEvent event) {
  const SignalInfo info{
      .code = event.code, .pid = static_cast<i32>(event.band), .value = static_cast<u32>(descriptor)};
  if (owner.signal == 0 || !send_signal(target, owner.signal, info)) {
    send_signal(target, kSIGIO, {.code = kSiKernel});
  }
}

// Calls it with each process, or the thread, that is to hear.
template <class Visit>
void for_each_target(const FileOwner& owner, Visit visit) {
  const auto to_process = [&](Process& process) {
    if (!process.ended() && may_tell(owner, process.leader())) {
      visit(process);
    }
  };
  switch (owner.kind) {
    case OwnerKind::kThread:
      if (Thread* const thread = find_thread(owner.id); thread != nullptr && may_tell(owner, *thread)) {
        visit(*thread);
      }
      break;
    case OwnerKind::kProcess:
      if (Process* const process = find_process(owner.id)) {
        to_process(*process);
      }
      break;
    case OwnerKind::kGroup:
      for_each_process([&](Process& process) {
        if (process.pgid == owner.id && owner.id != 0) {
          to_process(process);
        }
      });
      break;
  }
}

}  // namespace

FileOwner::FileOwner(File& of) : WatchingWaiter(file_woken), file(of) {}

FileOwner* owner_of(File& file) {
  if (!file.owner) {
    file.owner = make_unique<FileOwner>(file);
  }
  return file.owner.get();
}

i64 set_owner(File& file, OwnerKind kind, i32 id) {
  if (id != 0 && !lives(kind, id)) {
    return -kESRCH;
  }
  FileOwner* const owner = owner_of(file);
  if (owner == nullptr) {
    return -kENOMEM;
  }
  owner->kind = kind;
  owner->id = id;
  owner->real_user = identity().user.real;
  owner->effective_user = identity().user.effective;
  return 0;
}

i64 own_if_nobody_does(File& file) {
  return file.owner && file.owner->id != 0 ? 0 : set_owner(file, OwnerKind::kProcess, current_process().pid);
}

i64 set_asynchronous(File& file, u64 descriptor, bool on) {
  if (!on && !file.owner) {
    return 0;
  }
  FileOwner* const owner = owner_of(file);
  if (owner == nullptr) {
    return -kENOMEM;
  }
  owner->descriptor = static_cast<i32>(descriptor);
  if (on && !owner->watching) {
    static_cast<void>(file.poll());  // a pipe says more from now on
    file.poll_queue()->watch(*owner);
  } else if (!on) {
    owner->unlink();
  }
  owner->watching = on;
  return 0;
}

void signal_owner(const FileOwner& owner, i32 descriptor, IoEvent event) {
  for_each_target(owner, [&](auto& target) { tell(owner, target, descriptor, event); });
}

void signal_urgent(const FileOwner& owner) {
  for_each_target(owner, [](auto& target) { send_signal(target, kSIGURG, {.code = kSiKernel}); });
}

i64 set_owner_by_number(File& file, u64 number) {
  const auto id = static_cast<i32>(number);
  if (id >= 0) {
    return set_owner(file, OwnerKind::kProcess, id);
  }
  return id == std::numeric_limits<i32>::min() ? -kEINVAL : set_owner(file, OwnerKind::kGroup, -id);
}

i64 owner_number(const File& file) {
  const FileOwner* const owner = file.owner.get();
  if (owner == nullptr || owner->id == 0 || !lives(owner->kind, owner->id)) {
    return 0;
  }
  return owner->kind == OwnerKind::kGroup ? -i64{owner->id} : i64{owner->id};
}

i64 set_owner_from_user(File& file, u64 address) {
  UserOwner wanted{};
  if (const i64 error = get_user(wanted, address); error != 0) {
    return error;
  }
  if (wanted.kind < 0 || wanted.kind > static_cast<i32>(OwnerKind::kGroup)) {
    return -kEINVAL;
  }
  if (wanted.id < 0) {
    return -kESRCH;
  }
  return set_owner(file, static_cast<OwnerKind>(wanted.kind), wanted.id);
}

i64 put_owner(const File& file, u64 address) {
  const FileOwner* const owner = file.owner.get();
  // As Linux: before anybody was asked for, a thread.
  const OwnerKind kind = owner == nullptr ? OwnerKind::kThread : owner->kind;
  const i32 id = owner == nullptr || !lives(owner->kind, owner->id) ? 0 : owner->id;
  return put_user(address, UserOwner{static_cast<i32>(kind), id});
}

i64 set_owner_signal(File& file, u64 signal) {
  if (signal > static_cast<u64>(kSignals)) {
    return -kEINVAL;
  }
  FileOwner* const owner = owner_of(file);
  if (owner == nullptr) {
    return -kENOMEM;
  }
  owner->signal = static_cast<i32>(signal);
  return 0;
}

i64 owner_signal(const File& file) { return file.owner ? file.owner->signal : 0; }

}  // namespace nopte::guest::files
