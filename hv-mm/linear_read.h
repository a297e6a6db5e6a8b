// Reads memory at a linear address through 4-level tables that lie in physical memory that is seen: the
// guest's own tables (nested, shadow) or ours (vma). Rights are not checked. The tables may be a guest's:
// every physical address is checked against it, and the walk is bounded.
#pragma once

#include <span>

#include "pvops/arch/x86_64/pvh_info.h"
#include "pvops/base/addr.h"
#include "pvops/base/result.h"

namespace nopte::hv {

// The physical address that `root` (CR3) maps va to. Errors: kBadAddress.
Result<u64> translate(const PhysicalMemory& memory, u64 root, Gva va);

// Errors: kBadAddress; bytes may then be partly written.
Result<void> read_linear(const PhysicalMemory& memory, u64 root, Gva va, std::span<u8> bytes);

}  // namespace nopte::hv
