// Random numbers that are the same in every run: boots are to be reproducible instruction by instruction.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// How many bits of entropy programs are told there are: as many as Linux's pool has.
inline constexpr i32 kRandomPoolBits = 256;

// Begins another sequence.
void seed_random(u64 seed);
// The next bytes of the one sequence (splitmix64, Steele, Lea, Flood 2014).
void fill_random(void* to, u64 bytes);

}  // namespace nopte::guest
