// poll, ppoll, select, pselect6: all are one wait over an array of poll entries.
#include <algorithm>
#include <memory>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/timed_wait.h"
#include "guest-mm/kernel/files/wall_clock.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// struct pollfd
struct PollEntry {
  i32 descriptor;
  u16 wanted;
  u16 happened;
};

constexpr u64 kSelectLimit = 1024;  // FD_SETSIZE
constexpr u64 kSetWords = kSelectLimit / 64;

// n default-constructed T, the first few without an allocation.
template <class T, u64 kInline>
class SmallArray {
 public:
  // False: no memory; the array is then empty.
  [[nodiscard]] bool reserve(u64 count) {
    if (count > kInline) {
      more_ = static_cast<T*>(heap_alloc(count * sizeof(T)));
      if (more_ == nullptr) {
        return false;
      }
      std::uninitialized_value_construct_n(more_, count);
      count_ = count;
    }
    return true;
  }
  SmallArray() = default;
  SmallArray(const SmallArray&) = delete;
  SmallArray& operator=(const SmallArray&) = delete;
  ~SmallArray() {
    if (more_ != nullptr) {
      std::destroy_n(more_, count_);
      heap_free(more_, count_ * sizeof(T));
    }
  }
  T* data() { return more_ != nullptr ? more_ : few_; }

 private:
  T few_[kInline];
  T* more_ = nullptr;
  u64 count_ = 0;
};

u32 events_of(File* file, u32 wanted) {
  return file->poll() & (wanted | kPollError | kPollHangUp | kPollInvalid);
}

// Fills `happened`; how many entries have something.
u64 look(PollEntry* entries, u64 count) {
  u64 ready = 0;
  for (u64 i = 0; i < count; ++i) {
    PollEntry& entry = entries[i];
    entry.happened = 0;
    if (entry.descriptor < 0) {
      continue;
    }
    File* const file = file_of(static_cast<u32>(entry.descriptor));
    entry.happened = static_cast<u16>(file == nullptr ? kPollInvalid : events_of(file, entry.wanted));
    ready += entry.happened != 0 ? 1 : 0;
  }
  return ready;
}

// The number of entries with events, 0 after the deadline, -kERESTARTNOHAND, -ENOMEM.
i64 wait_for_events(PollEntry* entries, u64 count, u64 deadline_ns) {
  if (const u64 ready = look(entries, count); ready != 0) {
    return static_cast<i64>(ready);
  }
  if (deadline_ns == 0) {
    return 0;
  }
  // Files first: they outlive the places in their queues.
  const bool shared = current_files().table_shared();
  SmallArray<Ref<File>, 4> held;
  SmallArray<Waiter, 4> waiters;
  if (!waiters.reserve(count) || (shared && !held.reserve(count))) {
    return -kENOMEM;
  }
  for (u64 i = 0; i < count; ++i) {
    File* const file = entries[i].descriptor < 0 ? nullptr : file_of(static_cast<u32>(entries[i].descriptor));
    if (WaitQueue* queue = file == nullptr ? nullptr : file->poll_queue()) {
      queue->add(waiters.data()[i]);
      if (shared) {
        held.data()[i] = Ref<File>(file);
      }
    }
  }
  for (;;) {
    const WakeReason reason = sleep_until(deadline_ns);
    if (const u64 ready = look(entries, count); ready != 0) {
      return static_cast<i64>(ready);
    }
    if (reason == WakeReason::kSignal) {
      return -kERESTARTNOHAND;
    }
    if (reason == WakeReason::kTimeout) {
      return 0;
    }
  }
}

enum class TimeUnit : u16 { kMicrosecond = 1000, kNanosecond = 1 };

// The end of a call whose timeout lies at `address` (0: none): as Linux, what is left of the time is written
// there, so that a call that is made again waits no longer than the first. Where it cannot be written the
// call is not made again.
i64 report_rest(u64 address, u64 deadline_ns, TimeUnit unit, i64 result) {
  if (address == 0 || deadline_ns == 0 || deadline_ns == kNoDeadline) {
    return result;
  }
  const u64 now_ns = platform_ops().now_ns();
  Timespec rest = signed_timespec(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
  rest.nanoseconds /= static_cast<i64>(unit);
  const bool written = put_user(address, rest) == 0;
  return written || result != -kERESTARTNOHAND ? result : -kEINTR;
}

i64 poll_entries(u64 address, u64 count, u64 deadline_ns) {
  if (count > current_process().limits->of(Resource::kOpenFiles).now) {
    return -kEINVAL;
  }
  SmallArray<PollEntry, 8> entries;
  if (!entries.reserve(count)) {
    return -kENOMEM;
  }
  if (!arch::copy_from_user(entries.data(), Gva(address), count * sizeof(PollEntry))) {
    return -kEFAULT;
  }
  const i64 ready = wait_for_events(entries.data(), count, deadline_ns);
  if (ready >= 0 && !arch::copy_to_user(Gva(address), entries.data(), count * sizeof(PollEntry))) {
    return -kEFAULT;
  }
  return ready;
}

// poll(2) of `value` entries; after a signal without a handler it goes on to its deadline.
i64 poll_until(const Restart& call) {
  const i64 ready = poll_entries(call.address, call.value, call.deadline_ns);
  if (ready != -kERESTARTNOHAND) {
    return ready;
  }
  current().restart = call;
  return -kERESTART_RESTARTBLOCK;
}

struct DescriptorSets {
  u64 read[kSetWords] = {};
  u64 write[kSetWords] = {};
  u64 except[kSetWords] = {};
};

constexpr u32 kReadEvents = kPollIn | kPollReadNormal | kPollHangUp | kPollError | kPollInvalid;
constexpr u32 kWriteEvents = kPollOut | kPollWriteNormal | kPollError | kPollInvalid;
constexpr u32 kExceptEvents = kPollPriority | kPollInvalid;

i64 select_sets(u64 limit, const u64 (&addresses)[3], u64 deadline_ns) {
  limit = std::min(limit, kSelectLimit);
  DescriptorSets wanted;
  u64* const sets[3] = {wanted.read, wanted.write, wanted.except};
  u64 set_bytes = 0;
  const auto load = [&] {
    set_bytes = (limit + 63) / 64 * 8;
    bool all = true;
    for (int i = 0; i < 3; ++i) {
      all = all && (addresses[i] == 0 || arch::copy_from_user(sets[i], Gva(addresses[i]), set_bytes));
    }
    return all;
  };
  if (!load()) {
    // Linux reads as much as its table has room for, which begins with 64.
    limit = std::min(limit, std::max<u64>(current_files().table.capacity(), 64));
    if (!load()) {
      return -kEFAULT;
    }
  }
  constexpr u32 kEvents[3] = {kReadEvents, kWriteEvents, kExceptEvents};
  SmallArray<PollEntry, 8> entries;
  if (!entries.reserve(limit)) {
    return -kENOMEM;
  }
  u64 count = 0;
  for (u64 descriptor = 0; descriptor < limit; ++descriptor) {
    u32 events = 0;
    for (int i = 0; i < 3; ++i) {
      events |= sets[i][descriptor / 64] >> (descriptor % 64) & 1 ? kEvents[i] : 0;
    }
    if (events != 0) {
      if (file_of(descriptor) == nullptr) {
        return -kEBADF;
      }
      entries.data()[count++] = {static_cast<i32>(descriptor), static_cast<u16>(events), 0};
    }
  }
  const i64 waited = wait_for_events(entries.data(), count, deadline_ns);
  if (waited < 0) {
    return waited;
  }
  DescriptorSets answer;
  u64* const results[3] = {answer.read, answer.write, answer.except};
  i64 ready = 0;
  for (u64 at = 0; at < count; ++at) {
    const u64 descriptor = static_cast<u64>(entries.data()[at].descriptor);
    for (int i = 0; i < 3; ++i) {
      const u64 bit = u64{1} << (descriptor % 64);
      if ((sets[i][descriptor / 64] & bit) && (entries.data()[at].happened & kEvents[i])) {
        results[i][descriptor / 64] |= bit;
        ++ready;
      }
    }
  }
  for (int i = 0; i < 3; ++i) {
    if (addresses[i] != 0 && !arch::copy_to_user(Gva(addresses[i]), results[i], set_bytes)) {
      return -kEFAULT;
    }
  }
  return ready;
}

}  // namespace

i64 sys_poll(const SyscallArgs& args) {
  const i32 timeout_ms = static_cast<i32>(args.a2);
  const u64 deadline_ns =
      timeout_ms < 0 ? kNoDeadline : deadline_after(static_cast<u64>(timeout_ms) * 1'000'000);
  return poll_until({.go_on = poll_until,
                     .deadline_ns = deadline_ns,
                     .address = args.a0,
                     .value = static_cast<u32>(args.a1)});
}

i64 sys_ppoll(const SyscallArgs& args) {
  u64 deadline_ns = 0;
  if (const i64 error = load_deadline(args.a2, deadline_ns); error != 0) {
    return error;
  }
  TemporarySignalMask mask;
  if (const i64 error = mask.begin(args.a3, args.a4); error != 0) {
    return error;
  }
  const i64 ready = poll_entries(args.a0, static_cast<u32>(args.a1), deadline_ns);
  return mask.finish(report_rest(args.a2, deadline_ns, TimeUnit::kNanosecond, ready));
}

i64 sys_select(const SyscallArgs& args) {
  u64 deadline_ns = kNoDeadline;
  if (static_cast<i32>(args.a0) < 0) {
    return -kEINVAL;
  }
  if (args.a4 != 0) {
    Timespec time;  // a timeval until its microseconds are scaled
    if (const i64 error = get_user(time, args.a4); error != 0) {
      return error;
    }
    if (time.seconds < 0 || time.nanoseconds < 0) {
      return -kEINVAL;
    }
    // Microseconds of a second and more are legal here.
    time.seconds += time.nanoseconds / 1'000'000;
    time.nanoseconds = time.nanoseconds % 1'000'000 * 1000;
    deadline_ns = deadline_after(time);
  }
  const i64 ready = select_sets(static_cast<u32>(args.a0), {args.a1, args.a2, args.a3}, deadline_ns);
  return report_rest(args.a4, deadline_ns, TimeUnit::kMicrosecond, ready);
}

i64 sys_pselect6(const SyscallArgs& args) {
  struct {
    u64 address;
    u64 bytes;
  } signals{};
  u64 deadline_ns = 0;
  if (static_cast<i32>(args.a0) < 0) {
    return -kEINVAL;
  }
  if (const i64 error = load_deadline(args.a4, deadline_ns); error != 0) {
    return error;
  }
  if (args.a5 != 0) {
    if (const i64 error = get_user(signals, args.a5); error != 0) {
      return error;
    }
  }
  TemporarySignalMask mask;
  if (const i64 error = mask.begin(signals.address, signals.bytes); error != 0) {
    return error;
  }
  const i64 ready = select_sets(static_cast<u32>(args.a0), {args.a1, args.a2, args.a3}, deadline_ns);
  return mask.finish(report_rest(args.a4, deadline_ns, TimeUnit::kNanosecond, ready));
}

}  // namespace nopte::guest
