// A guest of mode vma whose stubs and queues are the real ones, on the machine model: what it asks for, what
// it touches, and how many exits that was.
#pragma once

#include <gtest/gtest.h>

#include "pvops/abi/region_queue.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"
#include "tests/model/vma_kind.h"

namespace nopte::test {

inline constexpr Gva kA{0x2000'0000'0000};
constexpr VaRange at(u64 page, u64 pages) { return VaRange::of_pages(kA + pages_to_bytes(page), pages); }
constexpr RegionSpec anonymous(u64 page, u64 pages, Perm perm = kPermRW) {
  return {.range = at(page, pages), .perm = perm};
}
// For backends that ask no list of the caller's.
class NoRegions final : public RegionSource {
 public:
  [[nodiscard]] std::optional<RegionSpec> find(Gva, RegionHint&) const override { return {}; }
  [[nodiscard]] std::optional<RegionSpec> find_next(Gva) const override { return {}; }
};
class NoMappings final : public ObjectMappings {
 public:
  void for_each(u64, u64, FunctionRef<void(SpaceId, VaRange)>) const override {}
};

class QueueGuest {
 public:
  explicit QueueGuest(u64 frames = 3000, u64 hidden_features = 0) : guest_(frames, {}, hidden_features) {
    current = this;
    pv::use_memory_features(guest_.mode().features() & ~hidden_features);
    pv::set_violation_block(&guest_.violation());
  }
  ~QueueGuest() {
    pv::use_memory_features(0);
    current = nullptr;
  }
  QueueGuest(const QueueGuest&) = delete;
  QueueGuest& operator=(const QueueGuest&) = delete;

  const MmOps& ops() { return pv::hypercall_mm_ops(); }
  SpaceId make_space() {
    const auto made = ops().space_create(no_regions_);
    NOPTE_ASSERT(made);
    return *made;
  }
  SpaceId make_active() {
    const SpaceId made = make_space();
    ops().space_activate(made);
    return made;
  }
  ObjectId make_object(u64 pages) {
    const auto made = ops().object_create(pages, no_mappings_);
    NOPTE_ASSERT(made);
    return *made;
  }
  // kNone: it worked.
  ViolationReason touch(Gva va, Access access, u64* word = nullptr) {
    const auto privilege = static_cast<i64>(va.value()) < 0 ? pt::Privilege::kKernel : pt::Privilege::kUser;
    const auto byte = guest_.access(va, access, privilege);
    if (!byte) return resolve_fault(va.value(), guest_.fault.error_code);
    if (word != nullptr) {
      if (access == Access::kWrite) {
        *reinterpret_cast<u64*>(*byte) = *word;
      } else {
        *word = *reinterpret_cast<u64*>(*byte);
      }
    }
    return ViolationReason::kNone;
  }
  ViolationReason store(u64 page, u64 value) {
    return touch(kA + pages_to_bytes(page), Access::kWrite, &value);
  }
  ViolationReason load(u64 page, u64& value) {
    return touch(kA + pages_to_bytes(page), Access::kRead, &value);
  }

  // Whether the tables lead to a page there; the fault that would bring it does not happen.
  [[nodiscard]] bool installed(Gva va) { return guest_.installed(va); }

  // What the hypervisor shows the guest for a space.
  abi::RegionQueue& queue(SpaceId space) {
    const auto block = guest_.call(static_cast<u64>(abi::Call::region_queues),
                                   {static_cast<u32>(space) / abi::kQueuesPerBlock});
    --guest_.exits;
    NOPTE_ASSERT(block.status == Status::kOk);
    return guest_.kernel<abi::RegionQueue>(block.value +
                                           static_cast<u32>(space) % abi::kQueuesPerBlock * abi::kQueueBytes);
  }
  [[nodiscard]] u64 exits() const { return guest_.exits; }
  model::VmaGuest& guest() { return guest_; }

  inline static QueueGuest* current = nullptr;

 private:
  NoRegions no_regions_;
  NoMappings no_mappings_;
  model::VmaGuest guest_;
};

class QueueTest : public testing::Test {
 protected:
  explicit QueueTest(u64 frames = 3000, u64 hidden_features = 0) : guest_(frames, hidden_features) {}

  // Regions until there may be no more.
  u64 fill_with_regions(SpaceId space) {
    u64 regions = 0;
    while (map(space, kFull + 2 * regions)) ++regions;
    return regions;
  }
  static constexpr u64 kFull = 1000;  // the first of their pages

  u64 exits_of(auto work) {
    const u64 before = guest_.exits();
    work();
    return guest_.exits() - before;
  }
  bool map(SpaceId space, u64 page, u64 pages = 1, Perm perm = kPermRW) {
    return guest_.ops().region_map(space, anonymous(page, pages, perm), 0).has_value();
  }
  bool unmap(SpaceId space, u64 page, u64 pages = 1) {
    return guest_.ops().region_unmap(space, at(page, pages)).has_value();
  }
  // By a call that names the space, and these pages.
  u64 resident(SpaceId space, u64 page, u64 pages = 1) {
    return *guest_.ops().region_resident(space, at(page, pages));
  }
  // What is queued happens, and nothing else.
  void heard(SpaceId space) { static_cast<void>(resident(space, kFar)); }
  static constexpr u64 kFar = 900'000;

  QueueGuest guest_;
};

}  // namespace nopte::test
