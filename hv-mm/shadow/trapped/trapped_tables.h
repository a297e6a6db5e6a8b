// Shadow tables of a guest whose own tables are write-protected: a frame is protected while any of its
// mirrors must see the guest's stores: all but unsynchronised leaf tables and released pages. What maps a
// frame writable is listed, to be found when the frame becomes a table. A mirror that nobody links is still
// known by its frame, and linked again when the guest uses it. In files: trapped_leaves.cc,
// trapped_protect.cc.
#pragma once

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

class TrappedTables final : public ShadowTables {
 public:
  // Unsynchronised leaf tables, and released pages, at any time: bounds what a flush has to do.
  static constexpr u32 kMostUnsync = 128;
  static constexpr u32 kMostReleased = 64;

  void set_leaf(PageIndex page, unsigned index, u64 gfn, u64 rights) override;
  unsigned refresh(PageIndex page, unsigned first, u64 which) override;

  // Leaf-table mirrors only. Unsynchronised: its frame may be written.
  void mark_unsync(PageIndex page);
  void mark_synced(PageIndex page);
  [[nodiscard]] bool unsync(PageIndex index) const { return pages_[index].list == ShadowList::kUnsync; }
  // Chained by `after`.
  [[nodiscard]] PageIndex first_unsync() const { return list(ShadowList::kUnsync).newest; }
  [[nodiscard]] PageIndex oldest_unsync() const { return list(ShadowList::kUnsync).oldest; }
  [[nodiscard]] u32 unsync_pages() const { return list(ShadowList::kUnsync).pages; }

  // A mirror of level 2 to 4 is no longer known by frame: it stays linked, and shows what its table said,
  // while the guest writes the table freely. The owner zaps it where the processor would forget translations.
  void release(PageIndex index);
  // Chained by `after`.
  [[nodiscard]] PageIndex first_released() const { return list(ShadowList::kReleased).newest; }
  [[nodiscard]] u32 released_pages() const { return list(ShadowList::kReleased).pages; }

 private:
  void mirror_added(PageIndex index) override { protect(pages_[index].gfn); }
  void mirror_removed(u64 gfn) override {
    if (!must_protect(gfn)) unprotect(gfn);
  }
  void orphaned(PageIndex index, Orphans wanted) override;
  void empty_leaves(PageIndex index) override;
  void large_added(u64 span, EntryRef at) override { add_writer(spans_[span].large, at.packed()); }
  void large_removed(u64 span, EntryRef at) override { refs_.remove(spans_[span].large, at.packed()); }
  [[nodiscard]] bool has_its_place(PageIndex index) const override;
  [[nodiscard]] bool lists_writer(u64 gfn, EntryRef at) const override {
    return refs_.contains(frames_[gfn].writers, at.packed());
  }
  [[nodiscard]] bool lists_large(u64 span, EntryRef at) const override {
    return refs_.contains(spans_[span].large, at.packed());
  }
  [[nodiscard]] bool must_protect(u64 gfn) const override;

  [[nodiscard]] pt::Entry leaf_entry(u64 gfn, u64 rights) const;
  bool update_leaf(PageIndex page, unsigned index, pt::Entry old, pt::Entry value, u64 gfn);
  void add_writer(RefList& list, u32 ref);
  void lose_write(EntryRef ref);
  void protect(u64 gfn);
  void unprotect(u64 gfn);
  void split_large_mappings(u64 span);
};

}  // namespace nopte::hv
