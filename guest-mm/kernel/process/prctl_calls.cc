// prctl(2): what a thread or process says of itself. Rules: kernel/sys.c, security/commoncap.c of 6.12.
#include <cstring>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

namespace {

// uapi/linux/prctl.h.
enum Option : u32 {
  kSetDeathSignal = 1,
  kGetDeathSignal = 2,
  kGetDumpable = 3,
  kSetDumpable = 4,
  kGetKeepCaps = 7,
  kSetKeepCaps = 8,
  kGetTiming = 13,
  kSetTiming = 14,
  kSetName = 15,
  kGetName = 16,
  kReadBounding = 23,
  kDropBounding = 24,
  kGetSecureBits = 27,
  kSetSecureBits = 28,
  kSetSubreaper = 36,
  kGetSubreaper = 37,
  kSetNoNewPrivileges = 38,
  kGetNoNewPrivileges = 39,
  kSetThpDisable = 41,
  kGetThpDisable = 42,
  kAmbient = 47,
  kGetSeccomp = 21,
  kSetSeccomp = 22,
  kGetTsc = 25,
  kSetTsc = 26,
  kSetTimerSlack = 29,
  kGetTimerSlack = 30,
  kEventsOff = 31,
  kEventsOn = 32,
  kMachineCheckKill = 33,
  kGetMachineCheckKill = 34,
  kSetMemoryMap = 35,
  kGetTidAddress = 40,
  kGetSpeculation = 52,
  kSetSpeculation = 53,
  kSetIoFlusher = 57,
  kGetIoFlusher = 58,
  kSetWriteExec = 65,
  kGetWriteExec = 66,
  kSetMerge = 67,
  kGetMerge = 68,
};

i64 put(u64 address, i32 value) {
  return arch::copy_to_user(Gva{address}, &value, sizeof(value)) ? 0 : -kEFAULT;
}

bool valid_capability(u64 number) { return number <= kLastCapability; }

// PR_TSC_ENABLE, PR_TSC_SIGSEGV.
constexpr i32 kTscIsRead = 1, kTscFaults = 2;

i64 set_time_stamps_fault(Thread& self, const SyscallArgs& args) {
  if (args.a1 != kTscIsRead && args.a1 != kTscFaults) {
    return -kEINVAL;
  }
  return arch::set_time_stamps_fault(self.context, args.a1 == kTscFaults)
             ? 0
             : not_built(args, "PR_TSC_SIGSEGV", -kEINVAL);
}

i64 set_name(Thread& self, u64 address) {
  char name[sizeof(self.comm)] = {};
  const Result<u64> length = arch::copy_string_from_user(name, Gva{address}, sizeof(name) - 1);
  if (!length && length.error() != Status::kLimit) {
    return -kEFAULT;
  }
  std::memcpy(self.comm, name, sizeof(name));
  return 0;
}

i64 set_secure_bits(u64 bits) {
  const u32 old = identity().secure_bits;
  const u32 locked = old & kSecureLocks;
  if (((locked >> 1) & (old ^ bits)) != 0 || (locked & ~bits) != 0 || (bits & ~u64{kSecureAll}) != 0 ||
      !capable(Capability::kSetpcap)) {
    return -kEPERM;
  }
  Identity next = identity();
  next.secure_bits = static_cast<u32>(bits);
  return commit_identity(current(), std::move(next));
}

i64 set_keep_capabilities(u64 value) {
  if (value > 1) {
    return -kEINVAL;
  }
  Identity next = identity();
  if ((next.secure_bits & kSecureKeepCapsLocked) != 0) {
    return -kEPERM;
  }
  next.secure_bits = (next.secure_bits & ~kSecureKeepCaps) | (value != 0 ? kSecureKeepCaps : 0);
  return commit_identity(current(), std::move(next));
}

i64 drop_bounding(u64 number) {
  if (!capable(Capability::kSetpcap)) {
    return -kEPERM;
  }
  if (!valid_capability(number)) {
    return -kEINVAL;
  }
  Identity next = identity();
  next.bounding &= ~(CapabilitySet{1} << number);
  return commit_identity(current(), std::move(next));
}

i64 change_ambient(const SyscallArgs& args) {
  constexpr u64 kIsSet = 1, kRaise = 2, kLower = 3, kClearAll = 4;
  Identity next = identity();
  if (args.a1 == kClearAll) {
    if (args.a2 != 0 || args.a3 != 0 || args.a4 != 0) {
      return -kEINVAL;
    }
    next.ambient = 0;
    return commit_identity(current(), std::move(next));
  }
  if (!valid_capability(args.a2) || args.a3 != 0 || args.a4 != 0) {
    return -kEINVAL;
  }
  const CapabilitySet one = CapabilitySet{1} << args.a2;
  switch (args.a1) {
    case kIsSet:
      return (next.ambient & one) != 0 ? 1 : 0;
    case kRaise:
      if ((next.permitted & next.inheritable & one) == 0 || (next.secure_bits & kSecureNoAmbientRaise) != 0) {
        return -kEPERM;
      }
      next.ambient |= one;
      break;
    case kLower:
      next.ambient &= ~one;
      break;
    default:
      return -kEINVAL;
  }
  return commit_identity(current(), std::move(next));
}

i64 set_no_new_privileges() {
  Identity next = identity();
  next.no_new_privileges = true;
  return commit_identity(current(), std::move(next));
}

// How late timers may be; kept and told: they are on time.
i64 set_timer_slack(Thread& self, i64 ns) {
  self.timer_slack_ns = ns > 0 ? static_cast<u64>(ns) : self.usual_timer_slack_ns;
  return 0;
}

// Nothing tells of broken memory: the wish is kept and told.
i64 set_machine_check_kill(Thread& self, const SyscallArgs& args) {
  constexpr u64 kClear = 0, kSet = 1, kDefault = 2;
  if (args.a3 != 0 || args.a4 != 0) {
    return -kEINVAL;
  }
  switch (args.a1) {
    case kClear:
      self.machine_check_kill = kDefault;
      return args.a2 == 0 ? 0 : -kEINVAL;
    case kSet:
      if (args.a2 > kDefault) {
        return -kEINVAL;
      }
      self.machine_check_kill = static_cast<u8>(args.a2);
      return 0;
    default:
      return -kEINVAL;
  }
}

// As on a processor that speculates about nothing.
i64 speculation(const SyscallArgs& args, i64 known) {
  constexpr u64 kKinds = 3;
  return args.a3 != 0 || args.a4 != 0 ? -kEINVAL : args.a1 >= kKinds ? -kENODEV : known;
}

i64 bar_write_exec(AddressSpace& space, u64 bits) {
  const u64 now = static_cast<u64>(space.write_exec_barred());
  if (bits > 3 || bits == 2) {
    return -kEINVAL;
  }
  if (now != 0 && now != bits) {
    return -kEPERM;
  }
  space.bar_write_exec(static_cast<u8>(bits));
  return 0;
}

i64 io_flusher(Process& process, const SyscallArgs& args, bool sets) {
  if (!capable(Capability::kSysResource)) {
    return -kEPERM;
  }
  if (args.a2 != 0 || args.a3 != 0 || args.a4 != 0 || args.a1 > (sets ? 1 : 0)) {
    return -kEINVAL;
  }
  if (sets) {
    process.io_flusher = args.a1 != 0;
    return 0;
  }
  return process.io_flusher ? 1 : 0;
}

// Where the program's parts are told to lie: nobody looks there (kernel/sys.c, prctl_set_mm).
i64 set_memory_map(const SyscallArgs& args) {
  constexpr u64 kAuxiliary = 12, kMap = 14, kMapSize = 15;
  constexpr u32 kMapBytes = 104;  // struct prctl_mm_map
  const u64 option = args.a1;
  if (args.a4 != 0 || (args.a3 != 0 && option != kAuxiliary && option != kMap && option != kMapSize)) {
    return -kEINVAL;
  }
  if (option == kMapSize) {
    return put(args.a2, kMapBytes);
  }
  if (option == kMap) {
    return args.a3 != kMapBytes ? -kEINVAL : not_built(args, "PR_SET_MM_MAP", -kEINVAL);
  }
  return capable(Capability::kSysResource) ? not_built(args, "PR_SET_MM", -kEINVAL) : -kEPERM;
}

}  // namespace

i64 sys_prctl(const SyscallArgs& args) {
  Thread& self = current();
  Process& process = current_process();
  const bool more = args.a2 != 0 || args.a3 != 0 || args.a4 != 0;
  switch (static_cast<u32>(args.a0)) {
    case kSetDeathSignal:
      if (args.a1 > kSignals) {
        return -kEINVAL;
      }
      process.parent_death_signal = static_cast<i32>(args.a1);
      return 0;
    case kGetDeathSignal:
      return put(args.a1, process.parent_death_signal);
    case kGetDumpable:
      return process.dumpable ? 1 : 0;
    case kSetDumpable:
      if (args.a1 > 1) {
        return -kEINVAL;
      }
      process.dumpable = args.a1 != 0;
      return 0;
    case kGetKeepCaps:
      return (identity().secure_bits & kSecureKeepCaps) != 0 ? 1 : 0;
    case kSetKeepCaps:
      return set_keep_capabilities(args.a1);
    case kGetTiming:
      return 0;  // PR_TIMING_STATISTICAL
    case kSetTiming:
      return args.a1 == 0 ? 0 : -kEINVAL;
    case kSetName:
      return set_name(self, args.a1);
    case kGetName:
      return arch::copy_to_user(Gva{args.a1}, self.comm, sizeof(self.comm)) ? 0 : -kEFAULT;
    case kReadBounding:
      return !valid_capability(args.a1) ? -kEINVAL : static_cast<i64>(identity().bounding >> args.a1 & 1);
    case kDropBounding:
      return drop_bounding(args.a1);
    case kGetSecureBits:
      return identity().secure_bits;
    case kSetSecureBits:
      return set_secure_bits(args.a1);
    case kSetSubreaper:
      process.child_subreaper = args.a1 != 0;
      return 0;
    case kGetSubreaper:
      return put(args.a1, process.child_subreaper ? 1 : 0);
    case kSetNoNewPrivileges:
      return args.a1 != 1 || more ? -kEINVAL : set_no_new_privileges();
    case kGetNoNewPrivileges:
      return args.a1 != 0 || more ? -kEINVAL : static_cast<i64>(identity().no_new_privileges);
    case kSetThpDisable:
      if (more) {
        return -kEINVAL;
      }
      self.space->bar_large_leaves(args.a1 != 0);
      return 0;
    case kGetThpDisable:
      return args.a1 != 0 || more ? -kEINVAL : static_cast<i64>(self.space->large_leaves_barred());
    case kAmbient:
      return change_ambient(args);
    case kGetSeccomp:
      return static_cast<i64>(identity().seccomp);
    case kSetSeccomp:
      return set_seccomp(args.a1, args.a2);
    case kGetTsc:
      return put(args.a1, self.context.time_stamps_fault ? kTscFaults : kTscIsRead);
    case kSetTsc:
      return set_time_stamps_fault(self, args);
    case kSetTimerSlack:
      return set_timer_slack(self, static_cast<i64>(args.a1));
    case kGetTimerSlack:
      return static_cast<i64>(self.timer_slack_ns);
    case kEventsOff:
    case kEventsOn:
      return 0;  // there are none
    case kMachineCheckKill:
      return set_machine_check_kill(self, args);
    case kGetMachineCheckKill:
      return args.a1 != 0 || more ? -kEINVAL : self.machine_check_kill;
    case kSetMemoryMap:
      return set_memory_map(args);
    case kGetTidAddress:
      return arch::copy_to_user(Gva{args.a1}, &self.clear_child_tid, sizeof(u64)) ? 0 : -kEFAULT;
    case kGetSpeculation:
      return args.a2 != 0 ? -kEINVAL : speculation(args, 0);
    case kSetSpeculation:
      return speculation(args, -kENXIO);
    case kSetIoFlusher:
      return io_flusher(process, args, true);
    case kGetIoFlusher:
      return io_flusher(process, args, false);
    case kSetWriteExec:
      return more ? -kEINVAL : bar_write_exec(*self.space, args.a1);
    case kGetWriteExec:
      return args.a1 != 0 || more ? -kEINVAL : static_cast<i64>(self.space->write_exec_barred());
    case kSetMerge:
      if (more) {
        return -kEINVAL;
      }
      process.merges_memory = args.a1 != 0;
      return 0;
    case kGetMerge:
      return args.a1 != 0 || more ? -kEINVAL : static_cast<i64>(process.merges_memory);
    default:
      return not_built(args, "this option", -kEINVAL);
  }
}

}  // namespace nopte::guest
