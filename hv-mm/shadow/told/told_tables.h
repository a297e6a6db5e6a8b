// Shadow tables of a guest that says what it writes to its own (hv-mm/told): no frame is protected, no list
// knows a leaf, and a mirror, but a root's, lives while it is linked: the guest reports no table that it
// frees, only the link to it. One that is linked no more is an orphan; what is below it may be out of date.
#pragma once

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

class ToldTables final : public ShadowTables {
 public:
  void set_leaf(PageIndex page, unsigned index, u64 gfn, u64 rights) override;
  unsigned refresh(PageIndex page, unsigned first, u64 which) override;
  // Makes one entry of a leaf table's mirror show what this guest entry allows, as refresh() does.
  void show_leaf(PageIndex page, unsigned index, pt::Entry guest);

  // Chained by `after`: the roots' mirrors.
  [[nodiscard]] PageIndex first_root() const { return list(ShadowList::kRoots).newest; }
  [[nodiscard]] bool orphans_wait() const { return list(ShadowList::kOrphans).newest != 0; }

 private:
  void mirror_added(PageIndex index) override;
  void mirror_removed(u64) override {}
  void orphaned(PageIndex index, Orphans) override { detach(index, ShadowList::kOrphans); }
  void empty_leaves(PageIndex index) override;
  void large_added(u64, EntryRef) override {}
  void large_removed(u64, EntryRef) override {}
  [[nodiscard]] bool has_its_place(PageIndex index) const override;
  [[nodiscard]] bool lists_writer(u64, EntryRef) const override { return true; }
  [[nodiscard]] bool lists_large(u64, EntryRef) const override { return true; }
  [[nodiscard]] bool must_protect(u64) const override { return false; }

  [[nodiscard]] static pt::Entry allowed(const GuestMemory& memory, pt::Entry guest);
};

}  // namespace nopte::hv
