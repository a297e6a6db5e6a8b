// What else is done at a mark: set at boot by what lies below the kernel, if the command line asks for it.
#pragma once

namespace nopte {

using AtMark = void (*)();
extern constinit AtMark g_at_mark;

}  // namespace nopte
