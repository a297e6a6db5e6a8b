// The fuzzer's guest (tests/fuzz/xen_world.h) with random bytes: every call, everything counted afterwards.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/fuzz/xen_world.h"

namespace nopte::fuzz {
namespace {

TEST(XenRandom, EverythingHoldsAfterEveryCall) {
  std::mt19937_64 random(2003);
  std::vector<u8> bytes(600);
  for (unsigned round = 0; round < 400; ++round) {
    for (u8& byte : bytes) byte = static_cast<u8>(random());
    Input input(bytes.data(), bytes.size());
    XenWorld world(input.byte());
    world.run(input);
  }
}

}  // namespace
}  // namespace nopte::fuzz
