// Where the regions of a benchmark lie: equal ones at equal distances, so that cost depends on their number
// alone. Addresses are asked for in an order that repeats and that no cache line follows.
//
//   [rw rw rw rw] . . . .  [rw rw rw rw] . . . .  ...     4 pages promised, 4 free
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

#include "pvops/region_spec.h"

namespace nopte::bench {

inline constexpr VaRange kBounds{Gva(0x10000), Gva(0x7fff'ffff'f000)};
inline constexpr Gva kFirst(0x1000'0000'0000);
inline constexpr u64 kRegionPages = 4;
inline constexpr u64 kStridePages = 8;

inline u64 regions_of(const benchmark::State& state) { return static_cast<u64>(state.range(0)); }
inline RegionSpec region(u64 i) {
  return {VaRange::of_pages(kFirst + pages_to_bytes(i * kStridePages), kRegionPages), kPermRW};
}

// The begins of regions, shuffled by a fixed seed.
class Places {
 public:
  explicit Places(u64 regions) {
    for (u64 i = 0; i < std::min<u64>(regions, kMost); ++i) {
      places_.push_back(region(i * (regions / std::min<u64>(regions, kMost))).range.begin);
    }
    std::shuffle(places_.begin(), places_.end(), std::mt19937_64(2007));
  }
  Gva next() { return places_[next_++ % places_.size()]; }
  [[nodiscard]] u64 size() const { return places_.size(); }

 private:
  static constexpr u64 kMost = 4096;
  std::vector<Gva> places_;
  u64 next_ = 0;
};

inline void to_a_million(benchmark::internal::Benchmark* b) {
  b->Arg(10)->Arg(1000)->Arg(100'000)->Arg(1'000'000);
}

}  // namespace nopte::bench
