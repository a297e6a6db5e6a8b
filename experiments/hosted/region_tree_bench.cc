// What the region tree costs, at 10 to 10^6 regions.
#include "experiments/hosted/layout.h"
#include "pvops/base/panic.h"
#include "pvops/regions/region_tree.h"
#include "tests/support/counting_nodes.h"

namespace nopte::bench {
namespace {

struct Home {
  explicit Home(u64 regions) {
    for (u64 i = 0; i < regions; ++i) add(region(i));
  }
  void add(const RegionSpec& spec) { NOPTE_ASSERT(tree.insert(spec, 0, nullptr, ~u64{0})); }
  void protect(VaRange range, Perm perm) {
    auto plan = tree.prepare_protect(range, perm);
    NOPTE_ASSERT(plan);
    tree.commit(*plan);
  }
  void unmap(VaRange range) {
    auto plan = tree.prepare_unmap(range);
    NOPTE_ASSERT(plan);
    tree.commit(*plan);
  }

  test::CountingNodes nodes;
  GapIndex gaps;
  RegionTree tree{kBounds, nodes, &gaps};
};

void find(benchmark::State& state) {
  const Home home(regions_of(state));
  Places places(regions_of(state));
  for (auto _ : state) benchmark::DoNotOptimize(home.tree.find(places.next()));
}
BENCHMARK(find)->Name("tree/find")->Apply(to_a_million);

void find_same(benchmark::State& state) {
  const Home home(regions_of(state));
  const Gva va = region(regions_of(state) / 2).range.begin;
  for (auto _ : state) benchmark::DoNotOptimize(home.tree.find(va));
}
BENCHMARK(find_same)->Name("tree/find the last hit")->Apply(to_a_million);

// A region that touches no other comes and goes.
void map_unmap(benchmark::State& state) {
  Home home(regions_of(state));
  Places places(regions_of(state));
  for (auto _ : state) {
    const VaRange range = VaRange::of_pages(places.next() + kRegionPages * kPageBytes + kPageBytes, 1);
    home.add({range, kPermRW});
    home.unmap(range);
  }
}
BENCHMARK(map_unmap)->Name("tree/map and unmap")->Apply(to_a_million);

// One region becomes three, and one again.
void protect(benchmark::State& state) {
  Home home(regions_of(state));
  Places places(regions_of(state));
  for (auto _ : state) {
    const VaRange middle = VaRange::of_pages(places.next() + kPageBytes, 1);
    home.protect(middle, kPermR);
    home.protect(middle, kPermRW);
  }
}
BENCHMARK(protect)->Name("tree/protect a page and back")->Apply(to_a_million);

void find_gap(benchmark::State& state) {
  Home home(regions_of(state));
  for (auto _ : state) {
    const auto gap = home.tree.find_gap(kBounds, 2);
    NOPTE_ASSERT(gap);
    home.add({VaRange::of_pages(*gap, 2), kPermR});
    home.unmap(VaRange::of_pages(*gap, 2));
  }
}
BENCHMARK(find_gap)->Name("tree/find a gap, map and unmap")->Apply(to_a_million);

void copy(benchmark::State& state) {
  Home home(regions_of(state));
  while (state.KeepRunningBatch(state.range(0))) {
    RegionTree copied(kBounds, home.nodes, nullptr);
    NOPTE_ASSERT(copied.copy_from(home.tree));
  }
}
BENCHMARK(copy)->Name("tree/copy and clear, per region")->Apply(to_a_million);

}  // namespace
}  // namespace nopte::bench
