// MmOps over hypercalls. The hypervisor keeps its own list of what is promised, so the views that other
// backends ask are not used.
#include "pvops/base/panic.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"

namespace nopte::pv {
namespace {

Result<SpaceId> to_space(HypercallResult result) {
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return SpaceId(static_cast<u32>(result.value));
}

Result<SpaceId> space_create(const RegionSource&) { return to_space(call(abi::space_create_args{})); }

Result<SpaceId> space_clone(SpaceId parent, const RegionSource&) {
  return to_space(call(abi::space_clone_args{parent}));
}

void space_destroy(SpaceId space) { NOPTE_ASSERT(call_void(abi::space_destroy_args{space})); }
void space_activate(SpaceId space) { NOPTE_ASSERT(call_void(abi::space_activate_args{space})); }

Result<void> region_map(SpaceId space, const RegionSpec& region) {
  const u64 flags = region.perm.bits() | (region.sharing == Sharing::kShared ? abi::kRegionShared : 0);
  return call_void(abi::region_map_args{space, region.range.begin, region.range.pages(), flags, region.object,
                                        region.object_page});
}

Result<void> region_unmap(SpaceId space, VaRange range) {
  return call_void(abi::region_unmap_args{space, range.begin, range.pages()});
}

Result<void> region_protect(SpaceId space, VaRange range, Perm perm) {
  return call_void(abi::region_protect_args{space, range.begin, range.pages(), perm.bits()});
}

Result<void> region_move(SpaceId space, VaRange from, Gva to) {
  return call_void(abi::region_move_args{space, from.begin, from.pages(), to});
}

Result<void> region_advise(SpaceId space, VaRange range, Advice advice) {
  return call_void(abi::region_advise_args{space, range.begin, range.pages(), static_cast<u32>(advice)});
}

Result<ObjectId> object_create(u64 pages, const ObjectMappings&) {
  const auto result = call(abi::object_create_args{pages});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return ObjectId(static_cast<u32>(result.value));
}

Result<void> object_resize(ObjectId object, u64 pages) {
  return call_void(abi::object_resize_args{object, pages});
}

Result<void> object_destroy(ObjectId object) { return call_void(abi::object_destroy_args{object}); }

Result<Gva> kmem_alloc(u64 pages) {
  const auto result = call(abi::kmem_alloc_args{pages});
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return Gva(result.value);
}

void kmem_free(Gva base, u64 pages) { NOPTE_ASSERT(call_void(abi::kmem_free_args{base, pages})); }

MemoryInfo memory_info() {
  return {call(abi::memory_info_args{0}).value, call(abi::memory_info_args{1}).value};
}

constexpr MmOps kOps{
    "vma",          space_create,   space_clone, space_destroy, space_activate, region_map,
    region_unmap,   region_protect, region_move, region_advise, object_create,  object_resize,
    object_destroy, kmem_alloc,     kmem_free,   memory_info,
};

const abi::ViolationBlock* g_violation_block = nullptr;

}  // namespace

const MmOps& hypercall_mm_ops() { return kOps; }

void set_violation_block(const abi::ViolationBlock* block) { g_violation_block = block; }

ViolationReason violation_reason(u64, u64) {
  const auto reason =
      static_cast<ViolationReason>(static_cast<const volatile u32&>(g_violation_block->reason));
  return reason == ViolationReason::kNone ? ViolationReason::kNoRegion : reason;
}

}  // namespace nopte::pv
