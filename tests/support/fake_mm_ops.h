// A fake of MmOps for hosted tests of the guest kernel: keeps what was declared in its own simple way, checks
// the contract of every call, fails at the nth call when told to. Kernel memory is host memory; objects have
// bytes, so that kernel windows can be resolved.
//
//     test::FakeMmOps fake;      // is mm_ops() while it lives; one at a time
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "pvops/mm_ops.h"

namespace nopte::test {

class FakeMmOps {
 public:
  explicit FakeMmOps(u64 total_pages = u64{1} << 18);
  ~FakeMmOps();
  FakeMmOps(const FakeMmOps&) = delete;
  FakeMmOps& operator=(const FakeMmOps&) = delete;

  // The nth fallible call from now on answers kNoMemory (1: the next one; 0: none).
  void fail_at(u64 nth) { fail_at_ = nth; }
  // Whether the failure asked for last has happened.
  [[nodiscard]] bool failed() const { return fail_at_ == 0; }
  // From now on kmem_alloc fails.
  void forbid_kmem(bool forbidden) { kmem_forbidden_ = forbidden; }
  // From now on all that takes memory in every case fails: what gives something back or takes rights away
  // goes on.
  void forbid_growth(bool forbidden) { growth_forbidden_ = kmem_forbidden_ = forbidden; }

  // From now on it knows no advice on how a range will be used.
  void know_no_usage() { knows_no_usage_ = true; }

  // Where the other backends let interrupts in: called in the middle of what may be long.
  std::function<void()> interrupt_window = [] {};

  // Calls of any kind so far.
  [[nodiscard]] u64 calls() const { return calls_; }
  // The declared regions of a space, neighbours that continue merged.
  [[nodiscard]] std::vector<RegionSpec> regions(SpaceId space) const;
  [[nodiscard]] u64 spaces() const { return spaces_.size() - 1; }  // without the kernel's
  [[nodiscard]] u64 objects() const { return objects_.size(); }
  [[nodiscard]] u64 object_pages(ObjectId object) const { return objects_.at(object).pages; }
  [[nodiscard]] SpaceId active() const { return active_; }

  // What was advised last, and how often anything was.
  struct Advised {
    SpaceId space;
    VaRange range;
    Advice advice;
  };
  [[nodiscard]] const std::vector<Advised>& advised() const { return advised_; }

  // The byte behind an address of a kernel window. Errors: kBadAddress (no region), kPastEnd.
  Result<char*> window_byte(Gva va);

 private:
  friend struct FakeCalls;
  struct Object {
    u64 pages = 0;
    const ObjectMappings* mappings = nullptr;
    absl::btree_map<u64, std::unique_ptr<std::array<char, kPageBytes>>> bytes;  // by page, made when touched
  };
  // Regions by their begin; neighbours are not merged.
  using Space = absl::btree_map<Gva, RegionSpec>;

  // What handles interrupts calls no operation.
  void open_interrupt_window();
  bool fails();
  bool growth_fails();
  Space& space(SpaceId id);
  static void cut(Space& space, Gva at);
  static void take_out(Space& space, VaRange range);
  static bool any(const Space& space, VaRange range);
  static bool all(const Space& space, VaRange range);
  void check_range(SpaceId id, VaRange range) const;

  MmOps ops_;
  const MmOps* previous_;
  u64 total_pages_;
  u64 fail_at_ = 0;
  bool kmem_forbidden_ = false;
  bool growth_forbidden_ = false;
  bool knows_no_usage_ = false;
  u64 calls_ = 0;
  u32 next_id_ = 1;
  SpaceId active_ = SpaceId::kKernel;
  absl::btree_map<SpaceId, Space> spaces_{{SpaceId::kKernel, {}}};
  absl::btree_map<ObjectId, Object> objects_;
  absl::btree_map<u64, u64> kmem_;  // grants: address to pages
  std::vector<Advised> advised_;
};

}  // namespace nopte::test
