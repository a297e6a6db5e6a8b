// Questions about the system, limits and scheduling.
#include <algorithm>
#include <iterator>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

// struct sysinfo.
struct SystemInfo {
  i64 uptime_seconds = 0;
  u64 loads[3] = {};
  u64 total_bytes = 0, free_bytes = 0, shared_bytes = 0, buffer_bytes = 0, total_swap = 0, free_swap = 0;
  u16 processes = 0;
  u16 pad = 0;
  u32 hole = 0;
  u64 total_high = 0, free_high = 0;
  u32 unit_bytes = 1;
  u32 end = 0;
};
static_assert(sizeof(SystemInfo) == 112);

}  // namespace

i64 sys_sysinfo(const SyscallArgs& args) {
  const MemoryInfo memory = mm_ops().memory_info();
  SystemInfo info;
  info.uptime_seconds = static_cast<i64>(platform_ops().now_ns() / kNsPerSecond);
  info.total_bytes = pages_to_bytes(memory.total_pages);
  info.free_bytes = pages_to_bytes(memory.free_pages);
  info.processes = static_cast<u16>(thread_count());
  return arch::copy_to_user(Gva{args.a0}, &info, sizeof(info)) ? 0 : -kEFAULT;
}

void note_resident(Process& process, const AddressSpace& space) {
  process.most_resident = std::max(process.most_resident, space.installed_pages());
}

void note_left(Process& process, const AddressSpace& space) {
  if (space.pages() > kCountedFrom && space.pages() <= process.inherited_pages) {
    process.as_its_maker = true;
  } else if (space.pages() > kCountedFrom) [[unlikely]] {
    note_resident(process, space);
  } else {
    process.most_resident = std::max(process.most_resident, space.pages());
  }
  process.faults = process.faults_of_left = faults_known(process);
}

u64 faults_known(const Process& process) { return std::max(process.faults, process.most_resident); }

u64 note_faults(Process& process, const AddressSpace& space) {
  return process.faults = std::max(process.faults, process.faults_of_left + space.installed_pages());
}

u64 most_of_children(Process& self, u64 counted, bool as_self) {
  if (!as_self) return counted;
  note_resident(self, *current().space);
  return std::max(counted, self.most_resident);
}

i64 sys_getrusage(const SyscallArgs& args) {
  split_processor_time();
  Process& self = current_process();
  Rusage usage;
  switch (static_cast<i32>(args.a0)) {
    case 0:  // RUSAGE_SELF
      note_resident(self, *current().space);
      usage = rusage_of(spent_by(self), self.most_resident, note_faults(self, *current().space));
      break;
    case 1:  // RUSAGE_THREAD
      note_resident(self, *current().space);
      usage = rusage_of(spent_by(current()), self.most_resident, note_faults(self, *current().space));
      break;
    case -1:  // RUSAGE_CHILDREN
      usage = rusage_of(self.of_children,
                        most_of_children(self, self.children_most_resident, self.children_as_self),
                        self.children_faults);
      break;
    default:
      return -kEINVAL;
  }
  return arch::copy_to_user(Gva{args.a1}, &usage, sizeof(usage)) ? 0 : -kEFAULT;
}

// reboot(2), as include/uapi/linux/reboot.h names its commands: every end of the machine is the same one.
// Nothing presses Ctrl-Alt-Del here, so that it may be switched on or off.
i64 sys_reboot(const SyscallArgs& args) {
  constexpr u32 kMagic = 0xfee1'dead;
  constexpr u32 kSecondMagics[] = {672'274'793, 85'072'278, 369'367'448, 537'993'216};
  constexpr u32 kRestart = 0x0123'4567, kHalt = 0xcdef'0123, kPowerOff = 0x4321'fedc,
                kRestartWith = 0xa1b2'c3d4, kCtrlAltDelOn = 0x89ab'cdef, kCtrlAltDelOff = 0;
  if (!capable(Capability::kSysBoot)) {
    return -kEPERM;
  }
  const auto second = static_cast<u32>(args.a1);
  if (static_cast<u32>(args.a0) != kMagic ||
      std::ranges::find(kSecondMagics, second) == std::end(kSecondMagics)) {
    return -kEINVAL;
  }
  switch (static_cast<u32>(args.a2)) {
    case kRestartWith: {
      char command[256];  // for a firmware that would read it
      const Result<u64> length = arch::copy_string_from_user(command, Gva{args.a3}, sizeof(command));
      if (!length && length.error() != Status::kLimit) {
        return -kEFAULT;
      }
      end_machine(0);
    }
    case kRestart:
    case kHalt:
    case kPowerOff:
      end_machine(0);
    case kCtrlAltDelOn:
    case kCtrlAltDelOff:
      return 0;
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
