// Zeroing and copying of a page by the one pair of instructions, for the modes.
#pragma once

#include "pvops/arch/x86_64/cpu.h"

namespace nopte::hv {

struct PageInstructions {
  static void zero(u8* page) { cpu::rep_stosq(page, 0, kPageBytes / sizeof(u64)); }
  static void copy(u8* to, const u8* from) { cpu::rep_movsq(to, from, kPageBytes / sizeof(u64)); }
};

}  // namespace nopte::hv
