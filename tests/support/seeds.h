// Seeds of a random test: fixed ones, and one that is new each time and printed. NOPTE_SEED=n runs that
// seed alone.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "pvops/base/types.h"

namespace nopte::test {

inline std::vector<u64> seeds() {
  if (const char* chosen = std::getenv("NOPTE_SEED")) return {std::strtoull(chosen, nullptr, 0)};
  const u64 fresh = std::random_device{}();
  std::printf("random seed: NOPTE_SEED=%llu repeats it\n", static_cast<unsigned long long>(fresh));
  return {1, 2, 3, fresh};
}

}  // namespace nopte::test
