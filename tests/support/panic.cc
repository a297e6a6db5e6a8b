// panic() of the hosted build.
#include "pvops/base/panic.h"

#include <cstdio>
#include <cstdlib>

namespace nopte {

// Weak: each hosted library carries a copy, and one is linked.
[[noreturn, gnu::weak]] void panic(const char* what, const char* file, int line) {
  std::fprintf(stderr, "panic: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace nopte
