// Nice values and I/O priorities: kept, inherited and told; all take turns alike, and nothing waits for a
// disk.
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

enum class Whose : u8 { kThread, kGroup, kUser };

// Everybody is root.
template <class Visit>
bool for_each_of(Whose whose, i32 id, Visit visit) {
  bool any = false;
  const auto found = [&](Thread& thread) {
    any = true;
    visit(thread.scheduling);
  };
  if (whose == Whose::kThread) {
    if (Thread* const thread = id == 0 ? &current() : find_thread(id)) {
      found(*thread);
    }
    return any;
  }
  const i32 group = id == 0 ? current_process().pgid : id;
  for_each_thread([&](Thread& thread) {
    if (thread.process != nullptr && (whose == Whose::kUser ? id == 0 : thread.process->pgid == group)) {
      found(thread);
    }
  });
  return any;
}

}  // namespace

// The call answers 20 - nice.
i64 sys_getpriority(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose > 2) {
    return -kEINVAL;
  }
  i64 highest = 0;
  const bool any = for_each_of(static_cast<Whose>(whose), static_cast<i32>(args.a1),
                               [&](const auto& of) { highest = std::max<i64>(highest, 20 - of.nice); });
  return any ? highest : -kESRCH;
}

i64 sys_setpriority(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose > 2) {
    return -kEINVAL;
  }
  const auto nice = static_cast<signed char>(std::clamp(static_cast<i32>(args.a2), -20, 19));
  const bool any =
      for_each_of(static_cast<Whose>(whose), static_cast<i32>(args.a1), [&](auto& of) { of.nice = nice; });
  return any ? 0 : -kESRCH;
}

// ioprio_set(2): a class above 13 bits of level.
i64 sys_ioprio_set(const SyscallArgs& args) {
  constexpr u32 kClassShift = 13, kLevels = 8, kNone = 0, kRealTime = 1, kBestEffort = 2, kIdle = 3;
  const auto whose = static_cast<u32>(args.a0);
  const auto value = static_cast<u32>(args.a2);
  const u32 kind = value >> kClassShift;
  const u32 level = value & (kLevels - 1);
  const bool valid =
      kind == kRealTime || kind == kBestEffort || kind == kIdle || (kind == kNone && level == 0);
  if (!valid || whose < 1 || whose > 3) {
    return -kEINVAL;
  }
  const bool any = for_each_of(static_cast<Whose>(whose - 1), static_cast<i32>(args.a1),
                               [&](auto& of) { of.io = static_cast<u16>(value); });
  return any ? 0 : -kESRCH;
}

i64 sys_ioprio_get(const SyscallArgs& args) {
  const auto whose = static_cast<u32>(args.a0);
  if (whose < 1 || whose > 3) {
    return -kEINVAL;
  }
  i64 found = 0;
  const bool any = for_each_of(static_cast<Whose>(whose - 1), static_cast<i32>(args.a1), [&](const auto& of) {
    found = found == 0 || (of.io != 0 && of.io < found) ? of.io : found;  // the best one: the smallest number
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
