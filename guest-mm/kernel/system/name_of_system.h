// What the system is called (uname(2)).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// struct new_utsname.
struct SystemNames {
  static constexpr u64 kBytes = 64;  // of a name, without its terminator
  using Name = char[kBytes + 1];
  Name system = "Linux";
  Name node = "nopte";
  Name release = "6.12.0-nopte";
  Name version = "#1";
  Name machine = "x86_64";
  Name domain = "(none)";
};
extern SystemNames g_system_names;

}  // namespace nopte::guest
