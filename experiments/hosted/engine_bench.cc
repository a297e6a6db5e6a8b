// What the paging engine costs over plain stores, at 10 to 10^6 regions, and what it does: leaf entries
// written, tables and frames per operation stand beside the time. No processor walks the tables, so no flush
// costs anything here.
#include <sys/mman.h>

#include <cstring>
#include <valarray>

#include "experiments/hosted/layout.h"
#include "native-fallback/engine/engine.h"
#include "native-fallback/sinks/store_sink.h"
#include "pvops/base/panic.h"
#include "pvops/regions/region_tree.h"
#include "tests/support/counting_nodes.h"

namespace nopte::bench {
namespace {

// Remembers the root that is loaded; what it would forget is not there.
class HostProcessor {
 public:
  void load_root(pt::PhysAddr root) { root_ = root; }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return root == root_; }
  void flush_page(Gva) {}
  void flush_user() {}
  void flush_everything() {}
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }

 private:
  pt::PhysAddr root_;
};

// The host gives a page when it is first written.
class Memory {
 public:
  explicit Memory(u64 pages) : bytes_(pages_to_bytes(pages)) {
    base_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    NOPTE_ASSERT(base_ != MAP_FAILED);
  }
  ~Memory() { munmap(base_, bytes_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] u64 base() const { return reinterpret_cast<u64>(base_); }

 private:
  u64 bytes_;
  void* base_;
};

class Home {
 public:
  using Engine = pt::Engine<pt::StoreSink<HostProcessor>>;

  // `touched`: the first page of each region is installed.
  Home(u64 regions, bool touched) : memory_(kMostFrames) {
    const pt::FrameRange all = pt::FrameRange::of(pt::Frame(kFirstFrame), kMostFrames - kFirstFrame);
    NOPTE_ASSERT(frames_.init(memory_.base(), all, {&all, 1}));
    NOPTE_ASSERT(engine.init());
    for (u64 i = 0; i < regions; ++i) NOPTE_ASSERT(tree.insert(region(i), 0, nullptr, ~u64{0}));
    space = *engine.space_create(tree);
    NOPTE_ASSERT(engine.space_activate(space));
    for (u64 i = 0; touched && i < regions; ++i) touch(region(i).range.begin);
    before_ = counted();
  }
  // Runs what belongs to no operation.
  void uncounted(benchmark::State& state, auto work) {
    state.PauseTiming();
    const Counts before = counted();
    work();
    before_ += counted() - before;
    state.ResumeTiming();
  }
  void touch(Gva va) { NOPTE_ASSERT(engine.fault(space, va, Access::kWrite, pt::Privilege::kUser)); }
  void drop(Gva va) { NOPTE_ASSERT(engine.region_unmapped(space, VaRange::of_pages(va, 1))); }
  void protect(Gva va, Perm perm) {
    NOPTE_ASSERT(engine.region_protected(space, VaRange::of_pages(va, 1), perm));
  }
  // What the operations did, for each of them.
  void report(benchmark::State& state) const {
    static constexpr const char* kNames[] = {"entries", "tables", "zeroed", "copied"};
    const Counts done = counted() - before_;
    for (std::size_t i = 0; i < done.size(); ++i) {
      state.counters[kNames[i]] =
          benchmark::Counter(static_cast<double>(done[i]), benchmark::Counter::kAvgIterations);
    }
  }

 private:
  static constexpr u64 kMostFrames = u64{2} << 20;  // 8 GiB, of which the host gives what is touched
  static constexpr u64 kFirstFrame = 16;
  using Counts = std::valarray<u64>;

  [[nodiscard]] Counts counted() const {
    const pt::EngineCounters& c = engine.counters();
    return {c.entries_written, c.tables_allocated, c.frames_zeroed, c.frames_copied};
  }

  Memory memory_;
  HostProcessor processor_;
  pt::FrameTable frames_;
  pt::StoreSink<HostProcessor> sink_{frames_, processor_};
  test::CountingNodes nodes_;
  Counts before_;

 public:
  RegionTree tree{kBounds, nodes_, nullptr};
  Engine engine{sink_, frames_};
  SpaceId space = SpaceId::kKernel;
};

void touch_and_drop(benchmark::State& state) {
  Home home(regions_of(state), false);
  Places places(regions_of(state));
  for (auto _ : state) {
    const Gva va = places.next();
    home.touch(va);
    home.drop(va);
  }
  home.report(state);
}
BENCHMARK(touch_and_drop)->Name("engine/touch and drop, tables come and go")->Apply(to_a_million);

void touch_near(benchmark::State& state) {
  Home home(regions_of(state), true);
  Places places(regions_of(state));
  for (auto _ : state) {
    const Gva va = places.next() + kPageBytes;
    home.touch(va);
    home.drop(va);
  }
  home.report(state);
}
BENCHMARK(touch_near)->Name("engine/touch and drop, tables stay")->Apply(to_a_million);

void protect(benchmark::State& state) {
  Home home(regions_of(state), true);
  Places places(regions_of(state));
  for (auto _ : state) {
    const Gva va = places.next();
    home.protect(va, kPermR);
    home.protect(va, kPermRW);
  }
  home.report(state);
}
BENCHMARK(protect)->Name("engine/protect a page and back")->Apply(to_a_million);

void clone(benchmark::State& state) {
  Home home(regions_of(state), true);
  while (state.KeepRunningBatch(state.range(0))) {
    const auto child = home.engine.space_clone(home.space, home.tree);
    NOPTE_ASSERT(child);
    NOPTE_ASSERT(home.engine.space_destroy(*child));
  }
  home.report(state);
}
BENCHMARK(clone)->Name("engine/clone and destroy, per touched page")->Apply(to_a_million);

// As a child does after fork. When it has a copy of every page, another child takes its place.
void copy_on_write(benchmark::State& state) {
  Home home(regions_of(state), true);
  Places places(regions_of(state));
  SpaceId child = SpaceId::kKernel;
  u64 copies = places.size();
  for (auto _ : state) {
    if (copies++ == places.size()) {
      home.uncounted(state, [&] {
        if (child != SpaceId::kKernel) NOPTE_ASSERT(home.engine.space_destroy(child));
        child = *home.engine.space_clone(home.space, home.tree);
      });
      copies = 1;
    }
    NOPTE_ASSERT(home.engine.fault(child, places.next(), Access::kWrite, pt::Privilege::kUser));
  }
  home.report(state);
}
BENCHMARK(copy_on_write)->Name("engine/write to a shared page")->Apply(to_a_million);

}  // namespace
}  // namespace nopte::bench

BENCHMARK_MAIN();
