// Xen's MMU calls by an adversary: see xen_world.h.
#include "tests/fuzz/xen_world.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nopte::fuzz;
  if (size == 0 || size > 1024) return 0;
  Input input(data, size);
  XenWorld world(input.byte());
  world.run(input);
  return 0;
}
