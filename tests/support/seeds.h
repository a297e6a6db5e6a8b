// Seeds of a random test: fixed ones, and one that is new each time and printed. NOPTE_SEED=n runs that
// seed alone.
#pragma once

#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "pvops/base/types.h"

namespace nopte::test {

inline std::vector<u64> seeds() {
  if (const char* chosen = std::getenv("NOPTE_SEED")) {
    u64 seed = 0;
    if (!absl::SimpleAtoi(chosen, &seed)) {
      absl::PrintF("NOPTE_SEED=%s is no number\n", chosen);
      std::abort();
    }
    return {seed};
  }
  const u64 fresh = std::random_device{}();
  absl::PrintF("random seed: NOPTE_SEED=%d repeats it\n", fresh);
  return {1, 2, 3, fresh};
}

}  // namespace nopte::test
