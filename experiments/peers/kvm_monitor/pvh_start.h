// Puts a kernel into the guest's memory as PVH wants it: segments of its ELF file, command line, one module,
// memory map. Source: Xen's public/arch-x86/hvm/start_info.h, and its docs/misc/pvh.pandoc (the state at
// entry).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "experiments/peers/kvm_monitor/guest_memory.h"

namespace kvm_monitor {

struct PvhStart {
  uint64_t entry = 0;       // physical, of 32-bit code
  uint64_t start_info = 0;  // physical; rbx at entry
};

// Errors: what is wrong, as words for the user; memory may hold a part of it then.
[[nodiscard]] std::expected<PvhStart, std::string> load_pvh(const GuestMemory& memory,
                                                            std::string_view kernel, std::string_view module,
                                                            std::string_view command_line);

}  // namespace kvm_monitor
