// Static constructors: the images have no runtime that would run them.
#pragma once

namespace nopte {

using Constructor = void (*)();

// Runs the constructors of [begin, end), which a linker script brackets.
inline void run_constructors(const Constructor* begin, const Constructor* end) {
  for (const Constructor* constructor = begin; constructor != end; ++constructor) {
    (*constructor)();
  }
}

}  // namespace nopte

// The part of the image outside any special segment; defined by the linker scripts.
extern "C" const nopte::Constructor __init_array_start[];
extern "C" const nopte::Constructor __init_array_end[];
