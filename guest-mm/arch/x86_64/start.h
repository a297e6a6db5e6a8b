// The first C++ of the guest, at both entries (start.cc), and the choice that it leaves open: who owns paging
// and who runs the machine (choose_backend.cc).
#pragma once

#include "guest-mm/kernel/arch.h"
#include "pvops/abi/boot_block.h"

namespace nopte::guest {

// What all entries have in common, once traps are taken. `block` is the guest's own.
[[noreturn]] void go_on(const abi::BootBlock& block);

// Makes platform_ops() usable, or halts: nothing can be printed yet.
void choose_platform(const abi::BootBlock& block);
// Makes mm_ops() usable, or refuses.
BootInfo choose_memory(const abi::BootBlock& block);

// Says why the guest cannot boot, and ends the machine.
[[noreturn]] void refuse(std::string_view why);
[[noreturn]] void halt();

}  // namespace nopte::guest
