// Seals: what can no more be done to a file of memory, from when they were added until it goes (fcntl(2),
// "File Sealing"; uapi/linux/fcntl.h).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::files {

enum Seal : u32 {
  kSealSeal = 1 << 0,         // no more seals
  kSealShrink = 1 << 1,       // it never gets shorter
  kSealGrow = 1 << 2,         // nor longer
  kSealWrite = 1 << 3,        // its bytes stay
  kSealFutureWrite = 1 << 4,  // the same, but for mappings that are there
  kSealExec = 1 << 5,         // its permission to be executed stays
};
inline constexpr u32 kAllSeals = 0x3f;
inline constexpr u32 kWriteSeals = kSealWrite | kSealFutureWrite;

}  // namespace nopte::guest::files
