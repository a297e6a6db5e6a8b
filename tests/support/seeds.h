// Seeds of a random test: fixed ones, and one that is new each time and printed. NOPTE_SEED=n runs that
// seed alone. NOPTE_OPERATIONS=n is how long a test runs that asks.
#pragma once

#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include "pvops/base/types.h"

namespace nopte::test {

// A number of the environment's.
inline std::optional<u64> chosen(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  u64 number = 0;
  if (!absl::SimpleAtoi(text, &number)) {
    absl::PrintF("%s=%s is no number\n", name, text);
    std::abort();
  }
  return number;
}

inline std::vector<u64> seeds() {
  if (const auto seed = chosen("NOPTE_SEED")) return {*seed};
  const u64 fresh = std::random_device{}();
  absl::PrintF("random seed: NOPTE_SEED=%d repeats it\n", fresh);
  return {1, 2, 3, fresh};
}

inline u64 operations(u64 usual) { return chosen("NOPTE_OPERATIONS").value_or(usual); }

}  // namespace nopte::test
