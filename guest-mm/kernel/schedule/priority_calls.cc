// Nice values and I/O priorities; nothing waits for a disk.
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduling.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

enum class Whose : u8 { kThread, kGroup, kUser };

// Visits those that are meant until one says no, the id 0 being one's own; false: there are none.
template <class Visit>
bool for_each_of(Whose whose, i32 id, Visit visit) {
  if (whose == Whose::kThread) {
    Thread* const thread = thread_or_self(static_cast<u64>(id));
    if (thread != nullptr) visit(*thread);
    return thread != nullptr;
  }
  const i32 group = id == 0 ? current_process().pgid : id;
  const u32 user = id == 0 ? identity().user.real : static_cast<u32>(id);
  bool any = false;
  const auto visit_one = [&](Thread& thread) {
    any = true;
    visit(thread);
  };
  if (whose == Whose::kGroup) {
    for_each_of_group(group, [&](Process& process) { process.for_each_thread(visit_one); });
  } else {
    for_each_thread([&](Thread& thread) {
      if (thread.process != nullptr && identity_of(thread).user.real == user) visit_one(thread);
    });
  }
  return any;
}

// As getpriority's, but who has none has one by the nice value.
u16 effective_io_priority(const Thread& thread) {
  constexpr u16 kBestEffort = 2 << 13, kIdle = 3 << 13, kRealTime = 1 << 13;
  const Thread::Scheduling& of = thread.scheduling;
  if (of.io >> 13 != 0) return of.io;
  const auto level = static_cast<u16>((of.nice + 20) / 5);
  const u16 kind = of.policy == kPolicyIdle ? kIdle : real_time(of.policy) ? kRealTime : kBestEffort;
  return kind | level;
}

}  // namespace

// The call answers 20 - nice.
i64 sys_getpriority(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose > 2) {
    return -kEINVAL;
  }
  i64 highest = 0;
  const bool any = for_each_of(static_cast<Whose>(whose), static_cast<i32>(args.a1), [&](const Thread& of) {
    highest = std::max<i64>(highest, 20 - of.scheduling.nice);
  });
  return any ? highest : -kESRCH;
}

i64 sys_setpriority(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose > 2) {
    return -kEINVAL;
  }
  const i32 nice = std::clamp(static_cast<i32>(args.a2), -20, 19);
  i64 result = 0;
  const bool any = for_each_of(static_cast<Whose>(whose), static_cast<i32>(args.a1), [&](Thread& of) {
    if (const i64 error = check_nice_change(of, nice); error != 0) {
      result = error;
    } else {
      set_nice(of.scheduling, nice);
    }
  });
  return any ? result : -kESRCH;
}

// ioprio_set(2): a class above 13 bits, of which 3 are a level.
i64 sys_ioprio_set(const SyscallArgs& args) {
  constexpr u32 kClassShift = 13, kClasses = 8, kLevels = 8, kNone = 0, kRealTime = 1, kIdle = 3;
  const auto whose = static_cast<u32>(args.a0);
  const auto value = static_cast<u32>(args.a2);
  const u32 kind = value >> kClassShift & (kClasses - 1);
  if (kind > kIdle || (kind == kNone && value % kLevels != 0)) {
    return -kEINVAL;
  }
  if (kind == kRealTime && !capable(Capability::kSysAdmin) && !capable(Capability::kSysNice)) {
    return -kEPERM;
  }
  if (whose < 1 || whose > 3) {
    return -kEINVAL;
  }
  i64 result = 0;
  const bool any = for_each_of(static_cast<Whose>(whose - 1), static_cast<i32>(args.a1), [&](Thread& of) {
    const Identity& own = identity();
    const u32 user = identity_of(of).user.real;
    if (result != 0) return;
    if (user != own.user.effective && user != own.user.real && !own.has(Capability::kSysNice)) {
      result = -kEPERM;
    } else {
      of.scheduling.io = static_cast<u16>(value);
    }
  });
  return any ? result : -kESRCH;
}

i64 sys_ioprio_get(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose < 1 || whose > 3) {
    return -kEINVAL;
  }
  i64 found = 0;
  const bool one = static_cast<Whose>(whose - 1) == Whose::kThread;
  const bool any =
      for_each_of(static_cast<Whose>(whose - 1), static_cast<i32>(args.a1), [&](const Thread& of) {
        const i64 io = one ? of.scheduling.io : effective_io_priority(of);
        found = found == 0 || io < found ? io : found;  // the best one: the smallest number
      });
  return any ? found : -kESRCH;
}

// personality(2): a word that is kept. But for ADDR_NO_RANDOMIZE (exec asks), what its bits would change is
// not there, or never done here.
i64 sys_personality(const SyscallArgs& args) {
  constexpr u32 kAsk = 0xffff'ffff;
  u32& word = current().personality;
  const u32 old = word;
  if (const auto wanted = static_cast<u32>(args.a0); wanted != kAsk) {
    word = wanted;
  }
  return old;
}

}  // namespace nopte::guest
