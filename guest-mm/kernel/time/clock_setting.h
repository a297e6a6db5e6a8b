// What settimeofday(2) keeps besides the time.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// struct timezone: minutes west of Greenwich, and a word that means nothing.
inline constinit i32 g_time_zone[2] = {};

}  // namespace nopte::guest
