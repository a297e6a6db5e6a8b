// The nested tables of a guest whose memory lies in one piece.
#pragma once

#include "hv-mm/boot/linear_map.h"

namespace nopte::hv {

// Shows the guest at guest-physical 0 what lies in `memory` (2 MiB-aligned), all of it and nothing else, with
// all rights. The root's physical address. Errors: kNoMemory.
[[nodiscard]] Result<u64> make_nested_tables(BootMemory& own, PhysicalSpan memory);

}  // namespace nopte::hv
