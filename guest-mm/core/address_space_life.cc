// AddressSpace: how it is made, copied and given up.
#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"
#include "pvops/base/panic.h"

namespace nopte::guest {

Result<Ref<AddressSpace>> AddressSpace::create() {
  auto space = Ref<AddressSpace>::adopt(make<AddressSpace>());
  if (!space) return Fail(Status::kNoMemory);
  const auto id = mm_ops().space_create(space->tree_);
  if (!id) return Fail(id.error());
  space->tree_.set_space(*id);
  return space;
}

Result<Ref<AddressSpace>> AddressSpace::clone() {
  if (!may_commit(pages()) && !may_commit_copy()) return Fail(Status::kNoMemory);
  auto child = Ref<AddressSpace>::adopt(make<AddressSpace>());
  if (!child) return Fail(Status::kNoMemory);
  NOPTE_TRY(child->tree_.copy_from(tree_));
  const auto id = mm_ops().space_clone(this->id(), child->tree_);
  if (!id) return Fail(id.error());
  child->tree_.set_space(*id);
  child->brk_start_ = brk_start_;
  child->brk_ = brk_;
  child->mmap_top_ = mmap_top_;
  child->unasked_ = unasked_;
  child->limits_ = limits_;
  child->write_exec_barred_ = (write_exec_barred_ & 2) != 0 ? 0 : write_exec_barred_;
  child->seen_flags_ = seen_flags_;
  child->future_flags_ = (future_flags_ + kVmaFork) & kVmaForkMask;
  if (may_have(kVmaForkFlags)) NOPTE_TRY(child->forget_what_stays_with_the_parent());
  return child;
}

void AddressSpace::release() {
  if (--references_ == 0) destroy(this);
}

void AddressSpace::release_for(SpaceId next) {
  NOPTE_ASSERT(!shared());
  mm_ops().space_switch(next, id());
  tree_.set_space(SpaceId::kKernel);  // the backend has let go
  release();
}

AddressSpace::~AddressSpace() {
  // The backend lets go first: objects that only this space showed can then be destroyed.
  if (id() != SpaceId::kKernel) mm_ops().space_destroy(id());
}

}  // namespace nopte::guest
