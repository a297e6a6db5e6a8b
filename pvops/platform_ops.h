// Platform operations: the few things beside memory that depend on who runs the guest. In every
// hypervisor mode they are the same hypercalls; natively they are the machine's devices.
#pragma once

#include <optional>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte {

// Interrupt vectors that the guest kernel sees, in every mode.
inline constexpr u8 kTimerVector = 0x20;
inline constexpr u8 kConsoleVector = 0x21;

struct PlatformOps {
  const char* name;
  void (*console_write)(std::string_view text);
  // The next input byte, if one waits. kConsoleVector is raised when input arrives.
  std::optional<u8> (*console_read)();
  // Nanoseconds since boot, monotonic, never an exit.
  u64 (*now_ns)();
  // Raises kTimerVector once at or after `deadline_ns`; replaces an earlier deadline.
  void (*timer_set)(u64 deadline_ns);
  void (*timer_cancel)();
  // Acknowledges the interrupt being handled.
  void (*interrupt_done)(u8 vector);
  // Called with interrupts off; waits for the next interrupt with them on, returns with them off.
  void (*idle)();
  // Ends the machine; the exit status is carried whole (8 bits).
  [[gnu::noreturn]] void (*power_off)(u8 status);
  // Snapshot of every counter under this name, for measured spans (/dev/nopte-mark).
  void (*mark)(std::string_view name);
  // Unix time in ns at now_ns() == 0.
  u64 (*boot_wall_ns)();
};

extern const PlatformOps* g_platform_ops;
inline const PlatformOps& platform_ops() { return *g_platform_ops; }

}  // namespace nopte
