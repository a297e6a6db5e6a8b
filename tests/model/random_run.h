// Random operations against the reference, over one kind of world: contents and violations after every
// access, the whole of what is installed every 64 operations, nothing left at the end. What happened is
// counted.
#pragma once

#include <random>
#include <string>

#include "tests/model/reference.h"
#include "tests/model/world.h"

namespace nopte::model {

class RandomRun {
 public:
  RandomRun(const KindRow& kind, u64 seed, u64 frames) : world_(kind, frames, 2), random_(seed) {}
  // In areas of so many pages, with large pages wherever they fit.
  static RandomRun with_large_pages(const KindRow& kind, u64 seed, u64 frames, u64 area_pages) {
    return {kind, seed, frames, area_pages};
  }

  void run(u64 operations);

  // "operation: answer", and how often.
  using Histogram = absl::btree_map<std::string, u64>;
  Histogram histogram;
  // The engine's, at the end.
  pt::EngineCounters counters;

 private:
  RandomRun(const KindRow& kind, u64 seed, u64 frames, u64 area_pages)
      : world_(kind, frames, 2), area_pages_(area_pages), random_(seed) {}

  u64 below(u64 bound) { return random_() % bound; }
  [[nodiscard]] bool large() const { return area_pages_ > Layout::kAreaPages; }
  // Pages of an area of the space.
  [[nodiscard]] u64 area_pages(SpaceId id) const {
    return id == SpaceId::kKernel ? Layout::kAreaPages : area_pages_;
  }
  bool one_in(u64 n) { return below(n) == 0; }
  AnyEngine& engine() { return world_.engine(); }

  template <class T>
  const T* note(const char* operation, const Result<T>& result) {
    ++histogram[std::string(operation) + ": " + (result ? "ok" : status_name(result.error()))];
    return result ? &*result : nullptr;
  }
  bool note(const char* operation, const Result<void>& result) {
    ++histogram[std::string(operation) + ": " + (result ? "ok" : status_name(result.error()))];
    return result.has_value();
  }
  // No memory is an answer when little is left, or when an allocation was made to fail.
  [[nodiscard]] bool scarce() { return failing_ || world_.frames().free_frames() < 24; }
  // For operations that allocate seldom.
  void fail_soon();

  // --- choosing ---
  SpaceId any_space();
  std::optional<ObjectId> any_object();
  SpaceId unknown_space() { return SpaceId{one_in(2) ? 64u : 20'000u + static_cast<u32>(below(1u << 31))}; }
  ObjectId unknown_object() { return ObjectId{one_in(2) ? 0u : 20'000u + static_cast<u32>(below(1u << 31))}; }
  Gva area_of(SpaceId id);
  // Some pages of an area; now and then all from one area to the end of another.
  VaRange any_range(SpaceId id);
  VaRange bad_range();
  Perm any_perm();
  // A region of the space, or part of one.
  std::optional<VaRange> part_of_region(SpaceId id);

  // Issues an operation until it is done, stopping now and then.
  // `parts_of`: issues are about parts of that.
  template <class Issue>
  bool until_done(const char* operation, Issue issue, VaRange parts_of = {}) {
    const auto stop = [this] { return !one_in(8); };
    pt::Checkpoint checkpoint(stop, parts_of);
    for (int tries = 0; tries < 1000; ++tries) {
      const Result<void> result = issue(parts_of.empty() && one_in(4) ? nullptr : &checkpoint);
      note(operation, result);
      if (result || result.error() != Status::kAgain) return result.has_value();
    }
    ADD_FAILURE() << operation << " makes no progress";
    return false;
  }

  // Something that is taken away from a range, to its end, now and then part by part; or nothing is, as there
  // is no memory to copy what a clone has too. True if it was.
  template <class Take>
  bool taken(const char* operation, SpaceId id, const VaRange range, Take take) {
    VaRange left = range;
    Status last = Status::kOk;
    fail_soon();
    const bool parts = one_in(4);
    const auto issue = [&](pt::Checkpoint* checkpoint) -> Result<void> {
      if (parts && left == range) NOPTE_TRY(engine().make_ready(id, range));
      VaRange part = left;
      if (parts) part.end = part.begin + pages_to_bytes(1 + below(part.pages()));
      const Result<void> result = take(part, checkpoint);
      if (!result && result.error() != Status::kAgain) {
        EXPECT_FALSE(parts);
        return result;
      }
      left.begin = result ? part.end : checkpoint->next();
      if (left.empty()) return {};
      return Fail(Status::kAgain);
    };
    const bool done = until_done(
        operation,
        [&](pt::Checkpoint* checkpoint) {
          const Result<void> result = issue(checkpoint);
          if (!result) last = result.error();
          return result;
        },
        parts ? range : VaRange{});
    if (!done) {
      EXPECT_EQ(last, Status::kNoMemory);
      EXPECT_NE(id, SpaceId::kKernel);
      EXPECT_EQ(left, range);
      EXPECT_TRUE(scarce());
    }
    return done;
  }

  void step();
  void access();

  // --- random_spaces.cc ---
  void map();
  void unmap();
  void protect();
  void move();
  void advise();
  // Populating for writing copies pages of private objects: from then on they keep the value of that moment.
  void note_copies(SpaceId id, VaRange range);
  void create();
  void clone();
  void destroy();
  void activate();

  // --- random_objects.cc ---
  void object_create();
  void object_resize();
  void object_destroy();
  void unmap_object(SpaceId space, ObjectId object);
  void object_pointer();
  // Many pages at once, so that taking them out takes long.
  void fill_object(ObjectId id);
  void kernel_memory();
  void grant();
  void take_back();

  void compare();

  World world_;
  const Layout& layout_ = world_.layout();
  const u64 area_pages_ = Layout::kAreaPages;
  Reference reference_;
  std::mt19937_64 random_;
  absl::btree_map<Gva, u64> grants_;
  u64 value_ = 0;
  bool failing_ = false;
};

}  // namespace nopte::model
