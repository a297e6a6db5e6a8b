// A program of one instruction: runs at CPL 3 until its first exception.
#pragma once

#include "pvops/base/addr.h"

namespace nopte::conformance {

inline constexpr u8 kInvalidOpcode = 6;

struct ProgramEnd {
  bool refused = false;  // by whoever resolves page faults
  u8 vector = 0;         // else the exception
  Gva rip;               // where
};

ProgramEnd run_program(Gva entry);

}  // namespace nopte::conformance
