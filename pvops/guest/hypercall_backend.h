// The guest's side of the ABI: MmOps as hypercalls (mode vma) and the platform that every hypervisor mode
// shares. Nothing here knows of page tables. Concurrency: one CPU.
#pragma once

#include <string_view>

#include "pvops/abi/boot_block.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"

namespace nopte::pv {

// Is a hypervisor of our ABI below, of whatever version? By CPUID signature.
bool hypervisor_present();
// Which version, by CPUID. Precondition: it is present.
u32 hypervisor_version();

// The feature bits that both sides know.
u64 common_features();

// Makes the platform operations usable: they keep time by the block's TSC frequency.
const PlatformOps& init_platform(const abi::BootBlock& block);

const MmOps& hypercall_mm_ops();
// What of the memory calls both sides know, once at boot before any is made: without kFeatureMapFlags
// region_map takes two calls where it replaces, with kFeatureRegionQueue it mostly takes none.
void use_memory_features(u64 features);

// Where violations are described (BootBlock::violation_block), for resolve_fault: whatever arrives as vector
// 14 has been refused already.
void set_violation_block(const abi::ViolationBlock* block);

}  // namespace nopte::pv
