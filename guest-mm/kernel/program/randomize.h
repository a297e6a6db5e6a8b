// Address space layout randomisation: Linux's kernel.randomize_va_space, with numbers that a seed decides, so
// that boots repeat.
#pragma once

#include "guest-mm/core/places.h"

namespace nopte::guest {

// /proc/sys/kernel/randomize_va_space: 0 nothing, 1 all but the heap, 2 the heap too.
extern i32 g_randomize_va_space;

// From now on everything is randomised, and all that fill_random() gives comes from the seed.
void randomize_from(u64 seed);

// For a program that is about to run; the next of the sequence, as the setting has it, which is not 0.
Places random_places();

// personality(2): ADDR_NO_RANDOMIZE; and what a set-user-ID program loses (PER_CLEAR_ON_SETID), that among
// it.
inline constexpr u32 kPersonalityNoRandomize = 0x4'0000, kPersonalityLostBySetId = 0x74'0000;

}  // namespace nopte::guest
