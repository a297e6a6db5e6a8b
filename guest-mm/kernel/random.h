// Random numbers that are the same in every run: boots are to be reproducible instruction by instruction.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// The next bytes of the one sequence (splitmix64, Steele, Lea, Flood 2014).
void fill_random(void* to, u64 bytes);

}  // namespace nopte::guest
