// What the hostile guest of mode xen needs before it is hostile.
#pragma once

#include "tests/boot/hostile/hostile.h"

namespace hostile::xen {

// Maps the page, of the image, where CPL 3 may use it; its address there.
u64 map_for_user(const abi::BootBlock& block, const Page& page);

}  // namespace hostile::xen
