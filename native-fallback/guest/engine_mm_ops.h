// MmOps over a paging engine in the same address space: the translation layer's guest home. The guest's own
// VmaTree is the engine's region source, so promises need no call; only what takes away or moves does.
//
// Concurrency: the guest kernel's (one CPU, non-preemptible). `engine` is a static object. Long operations
// call `look` at their check points, which takes pending interrupts; nothing is locked there, and what
// handles them calls no operation, so they go on at once.
#pragma once

#include "native-fallback/engine/engine.h"
#include "pvops/base/panic.h"

namespace nopte::pt {

template <auto& engine, void (*look)()>
class EngineMm {
 public:
  static constexpr MmOps ops(const char* name) {
    return {
        name,
#define NOPTE_OP(result, name, parameters, arguments) name,
#include "pvops/mm_ops.def"
    };
  }

  // A #PF at va: kNone when the access can be tried again.
  [[gnu::always_inline]] static ViolationReason fault(Gva va, Access access, Privilege privilege) {
    const auto result = engine.fault(active_, va, access, privilege);
    return result ? ViolationReason::kNone : result.error();
  }

 private:
  // Part of whoever calls them, or of the copy that the table points to.
  [[gnu::always_inline]] static Result<SpaceId> space_create(const RegionSource& promised) {
    return engine.space_create(promised);
  }
  [[gnu::always_inline]] static Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised) {
    return engine.space_clone(parent, promised);
  }
  [[gnu::always_inline]] static void space_destroy(SpaceId space) {
    NOPTE_ASSERT(engine.space_destroy(space, &checkpoint_));
  }
  [[gnu::always_inline]] static void space_activate(SpaceId space) {
    active_ = space;
    NOPTE_ASSERT(engine.space_activate(space));
  }
  [[gnu::always_inline]] static void space_switch(SpaceId space, SpaceId gone) {
    space_activate(space);
    space_destroy(gone);
  }
  // The promise is not in the guest's list yet, so there is nothing to populate from.
  [[gnu::always_inline]] static Result<Populated> region_map(SpaceId space, const RegionSpec& region,
                                                             u32 flags) {
    if (flags & kMapReplace) NOPTE_TRY(engine.region_unmapped(space, region.range, &checkpoint_));
    return Populated::kNo;
  }
  [[gnu::always_inline]] static Result<void> region_unmap(SpaceId space, VaRange range) {
    return engine.region_unmapped(space, range, &checkpoint_);
  }
  [[gnu::always_inline]] static Result<void> region_protect(SpaceId space, VaRange range, Perm perm,
                                                            RightsChange) {
    return engine.region_protected(space, range, perm, &checkpoint_);
  }
  [[gnu::always_inline]] static Result<void> region_move(SpaceId space, VaRange from, Gva to) {
    return engine.region_moved(space, from, to);
  }
  [[gnu::always_inline]] static Result<void> region_advise(SpaceId space, VaRange range, Advice advice) {
    return engine.region_advise(space, range, advice, &checkpoint_);
  }
  static Result<u64> region_resident(SpaceId space, VaRange range) {
    return engine.region_resident(space, range);
  }
  static Result<InstalledPages> region_installed(SpaceId space, VaRange range) {
    InstalledPages all;
    do {
      const auto some = engine.region_installed(space, range);
      if (!some) return some;
      all = {all.pages + some->pages, all.large + some->large};
      look();
    } while (!range.empty());
    return all;
  }
  [[gnu::always_inline]] static Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings) {
    return engine.object_create(pages, mappings);
  }
  [[gnu::always_inline]] static Result<void> object_resize(ObjectId object, u64 pages) {
    return engine.object_resize(object, pages, &checkpoint_);
  }
  [[gnu::always_inline]] static Result<void> object_destroy(ObjectId object) {
    return engine.object_destroy(object, &checkpoint_);
  }
  [[gnu::always_inline]] static Result<Gva> kmem_alloc(u64 pages) {
    return engine.kmem_alloc(pages, &checkpoint_);
  }
  [[gnu::always_inline]] static void kmem_free(Gva base, u64 pages) {
    NOPTE_ASSERT(engine.kmem_free(base, pages, &checkpoint_));
  }
  [[gnu::always_inline]] static MemoryInfo memory_info() { return engine.memory_info(); }

  struct GoOn {
    bool operator()() const {
      look();
      return false;
    }
  };
  static constexpr GoOn kGoOn{};
  inline static constinit Checkpoint checkpoint_{kGoOn};
  inline static SpaceId active_ = SpaceId::kKernel;
};

}  // namespace nopte::pt
