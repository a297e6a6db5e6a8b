// The ABI's hypercalls, as any mode has them.
#pragma once

#include "tests/boot/hostile/hostile.h"

namespace hostile::hypercalls {

// Every call with nasty values in every register, twice: the first round may leave tables and bitmaps that
// are kept, the second must leave nothing. `has_interface`: numbers with a tag are its own file's matter. How
// many calls that were.
u64 torture(bool has_interface);
// Prints how many instructions a call and its handling take, by the TSC.
void print_times();

}  // namespace hostile::hypercalls
