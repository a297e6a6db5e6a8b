// The shadow's tables and their bookkeeping: which shadow page stands for what, who links it, which guest
// frames are guest tables and must not be writable, and where they are mapped writable. It knows nothing of
// faults or of when the guest's tables are looked at; that is shadow_mmu.h.
//
//   guest frame   -> FrameState  {writable mappings by mirrors, first mirror of the frame, protected?}
//   span of 2 MiB -> SpanState {split page, writable 2 MiB mappings, protected frames inside}
//
// Split pages map nearly all of a span; their entries are found by arithmetic, not by reverse lists.
//
// Invariants:
//   - a protected frame has no writable mapping, anywhere;
//   - a frame is protected while any of its mirrors must see the guest's stores: all but unsynchronised leaf
//     tables and detached pages;
//   - a span with a protected frame has no writable 2 MiB mapping;
//   - every mapping lies inside guest memory;
//   - a free page's table is all zero.
//
// Where rights are taken away, losses() says so of the root in use, and a root's page of any other; the owner
// has the processor forget that before the guest runs there.
// Concurrency: the owner serialises; the guest is stopped.
// In files: shadow_tables.cc (memory), shadow_entries.cc, shadow_losses.cc, shadow_pages.cc,
// shadow_protect.cc, shadow_tables_told.cc, shadow_check.cc (tests).
#pragma once

#include <span>
#include <utility>

#include "hv-mm/shadow/guest_memory.h"
#include "hv-mm/shadow/operation_budget.h"
#include "hv-mm/shadow/shadow_counters.h"
#include "hv-mm/shadow/shadow_losses.h"
#include "hv-mm/shadow/shadow_page.h"
#include "pvops/base/result.h"

namespace nopte::hv {

// Memory for shadow tables: `tables` frames, contiguous, in one window.
struct ShadowPool {
  u8* window = nullptr;
  pt::PhysAddr host;
  u32 tables = 0;
  // The first metadata_bytes() zeroed; aligned to 8. What is more holds reverse lists, 8 bytes
  // for each mapping of a page or parent of a table beyond its first; without it, older ones fault again.
  std::span<u8> metadata;
};

// How the shadow learns that the guest writes its tables.
enum class Tracking : u8 {
  kTrapped,  // they are write-protected
  kTold,  // the guest says so (hv-mm/told): nothing is protected, and a mirror but a root lives while linked
};

class ShadowTables {
 public:
  // Fewer tables than this cannot hold the path of one access.
  static constexpr u32 kMinTables = 32;
  // Tables that an operation is promised: a root, or the three below it on the path of one access, be they
  // mirrors or the insides of large leaves.
  static constexpr u32 kPromised = pt::kLevels - 1;
  // Tables that are free when an operation begins: beside those for the path, some for splits.
  static constexpr u32 kReserve = 16;

  // What happens to pages that lose their last parent. Told: they are detached and wait for reap().
  enum class Orphans : u8 {
    kKeep,  // still known by guest frame: linked again when the guest uses them
    kZap,   // kMostZapped of them in one operation, the rest are kept
  };
  static constexpr u32 kMostZapped = 64;
  static constexpr u32 kMostReaped = 128;
  // Unsynchronised leaf tables, and detached pages, at any time: bounds what a flush has to do.
  static constexpr u32 kMostUnsync = 128;
  static constexpr u32 kMostDetached = 64;

  [[nodiscard]] static u64 metadata_bytes(u64 guest_frames, u32 tables);
  // Errors: kInvalid (sizes, alignment), kNoMemory (metadata too small, too few tables). Called once.
  Result<void> init(const GuestMemory& guest, const ShadowPool& pool, Tracking tracking = Tracking::kTrapped);

  // What may make pages happens inside of one: the oldest pages are recycled at its begin, until kReserve
  // tables are free, and none later. kPromised of them are its budget, which new_mirror(), split_of_giant()
  // and set_span() debit; more than these is our bug. What it takes besides is not promised: where a frame
  // is protected and no more than those are free, a 2 MiB mapping is dropped instead of split, and faulted in
  // again.
  class Operation {
   public:
    // `pinned` is not recycled.
    Operation(ShadowTables& tables, PageIndex pinned) : tables_(tables) {
      tables.budget_.begin(kPromised);
      tables.zaps_left_ = kMostZapped;
      if (tables.free_tables_ < kReserve) [[unlikely]]
        tables.make_room(pinned);
    }
    ~Operation() { tables_.budget_.end(); }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

   private:
    ShadowTables& tables_;
  };

  // --- pages ---
  [[nodiscard]] ShadowPage& page(PageIndex index) { return pages_[index]; }
  [[nodiscard]] const ShadowPage& page(PageIndex index) const { return pages_[index]; }
  [[nodiscard]] pt::PhysAddr host_address(PageIndex index) const {
    return pool_.host + pages_to_bytes(index - 1);
  }
  [[nodiscard]] PageIndex find_mirror(u64 gfn, unsigned level) const {
    for (PageIndex at = frames_[gfn].mirrors(); at != 0; at = pages_[at].alias) {
      if (pages_[at].level == level) return at;
    }
    return 0;
  }
  [[nodiscard]] PageIndex first_mirror(u64 gfn) const { return frames_[gfn].mirrors(); }
  // Makes the mirror, empty, and protects the frame. Preconditions: in the operation's budget, there is none,
  // no mirror of gfn is unsynchronised.
  PageIndex new_mirror(u64 gfn, unsigned level);
  // The page for the inside of a 1 GiB leaf, filled on demand by set_span(). Precondition: in the budget.
  PageIndex split_of_giant(u64 giant);
  // Empties the page, takes it out of every parent and frees it.
  void zap(PageIndex index, Orphans orphans);
  // A mirror is no longer known by frame. Trapped: of level 2 to 4, it stays linked, and shows what its table
  // said, while the guest writes the table freely; the owner zaps it where the processor would forget
  // translations. Told: it is linked no more and waits to be emptied; what is below it may be out of date.
  void detach(PageIndex index);
  // Told: empties some of those that wait, at most kMostReaped.
  void reap();
  [[nodiscard]] PageIndex first_detached() const { return detached_.newest; }
  [[nodiscard]] u32 detached_pages() const { return detached_.pages; }
  // Empties every entry.
  void clear(PageIndex index);

  // --- entries ---
  [[nodiscard]] pt::Entry entry(PageIndex page, unsigned index) const {
    return pt::load_entry(table(page), index);
  }
  // Precondition: entry is present and not large, and not a leaf table's.
  [[nodiscard]] PageIndex child_of(pt::Entry entry) const {
    return static_cast<PageIndex>(entry.frame().number() - pool_.host.page()) + 1;
  }
  // Links child below page with these rights (bits W, U, NX). Replaces what was there.
  void link(PageIndex page, unsigned index, PageIndex child, u64 rights);
  // A leaf table's entry in a mirror: shows gfn with these rights. W is left out when gfn is protected.
  // Precondition: gfn inside guest memory.
  void set_leaf(PageIndex page, unsigned index, u64 gfn, u64 rights);
  // Makes the entries [first, first + 64) of a leaf table's mirror whose bit is in `which` show what the
  // guest's entries allow now: only where the guest's A is set, writable only where D is and the frame is no
  // table. Gives the number of entries that changed. `first` is a multiple of 64.
  unsigned refresh(PageIndex page, unsigned first, u64 which);
  // Makes one entry of a leaf table's mirror show what this guest entry allows, in the same way.
  void show_leaf(PageIndex page, unsigned index, pt::Entry guest);
  // A level-2 entry that shows a whole span: by a 2 MiB mapping where possible, else by a split page.
  // Precondition: in the budget.
  void set_span(PageIndex page, unsigned index, u64 span, u64 rights);
  // Empties an entry, present or not; gives the page that it linked, 0 when none.
  PageIndex drop(PageIndex page, unsigned index);
  // The same, and of a mirror that has no parent any more what Orphans::kZap says.
  void drop_whole(PageIndex page, unsigned index);
  [[nodiscard]] bool told() const { return told_; }
  // Told: the roots' mirrors, chained by unsync_after.
  [[nodiscard]] PageIndex first_root() const { return roots_.newest; }

  // --- guest frames that are guest tables ---
  [[nodiscard]] bool is_protected(u64 gfn) const { return frames_[gfn].protected_frame(); }
  // Leaf-table mirrors only. Unsynchronised: its frame may be written.
  void mark_unsync(PageIndex page);
  void mark_synced(PageIndex page);
  [[nodiscard]] PageIndex first_unsync() const { return unsync_.newest; }
  [[nodiscard]] PageIndex oldest_unsync() const { return unsync_.oldest; }
  [[nodiscard]] u32 unsync_pages() const { return unsync_.pages; }

  // At the end of each exit. Told: empties some of those that wait.
  void end_exit() {
    if (told_) reap();
    noted_ = 0;
  }
  // What exits took away, since they were forgiven.
  [[nodiscard]] const ShadowLosses& losses() const { return losses_; }
  void forgive_losses() { losses_.clear(); }
  // The guest runs on this root when the exit ends; what was taken from it meanwhile is a loss.
  void run_on(PageIndex root) {
    if (root == running_) return;
    if (losses_.any()) [[unlikely]]
      pages_[running_].stale = true;
    losses_.switch_root();
    ShadowPage& page = pages_[root];
    if (page.stale) {
      page.stale = false;
      losses_.lose_root();
    }
    running_ = root;
  }

  [[nodiscard]] u32 free_tables() const { return free_tables_; }
  [[nodiscard]] const GuestMemory& guest() const { return guest_; }
  [[nodiscard]] ShadowCounters& counters() { return counters_; }
  [[nodiscard]] const ShadowCounters& counters() const { return counters_; }

  // What a leaf entry for gfn with these rights looks like.
  [[nodiscard]] pt::Entry leaf_entry(u64 gfn, u64 rights) const {
    using pt::Entry;
    if (is_protected(gfn)) rights &= ~Entry::kWritable;
    return mapping(guest_.host_frame(gfn), rights);
  }

  // Rights that the shadow gives for a guest leaf: no W before D.
  [[nodiscard]] static u64 allowed_rights(pt::Entry guest) {
    const u64 rights = guest.word() & kRights;
    return guest.dirty() ? rights : rights & ~pt::Entry::kWritable;
  }

  static constexpr u64 kRights = pt::Entry::kWritable | pt::Entry::kUser | pt::Entry::kNoExecute;

  // Tests: checks every invariant; asserts.
  void check_invariants();

 private:
  struct FrameState {
    static constexpr u32 kProtected = u32{1} << 31;
    RefList writers;  // writable entries of leaf-table mirrors
    u32 state = 0;    // first mirror, kProtected

    [[nodiscard]] PageIndex mirrors() const { return state & ~kProtected; }
    [[nodiscard]] bool protected_frame() const { return state & kProtected; }
  };
  struct SpanState {
    PageIndex split = 0;
    RefList large;             // writable 2 MiB mappings
    u32 protected_frames = 0;  // inside
  };

  static constexpr u64 kFramesPerSpan = pt::kEntriesPerTable;
  static constexpr u64 kSpansPerGiant = pt::kEntriesPerTable;

  // More rights, or the same for the same page, need no flush. Precondition: `old` is present.
  [[nodiscard]] static bool takes_away(pt::Entry old, pt::Entry value) {
    const u64 gained = pt::Entry::kWritable | pt::Entry::kUser | pt::Entry::kDirty;
    return ((old.word() ^ value.word()) & ~gained) || (old.word() & ~value.word() & gained);
  }
  // A and D are preset: the processor never has to write a shadow table.
  [[nodiscard]] static pt::Entry mapping(pt::Frame frame, u64 rights) {
    using pt::Entry;
    return Entry(frame.address().value() | Entry::kPresent | Entry::kAccessed | rights |
                 (rights & Entry::kWritable ? Entry::kDirty : 0));
  }
  [[nodiscard]] u8* table(PageIndex page) const { return pool_.window + pages_to_bytes(page - 1); }
  [[nodiscard]] static u64 span_of(u64 gfn) { return gfn >> pt::kIndexBits; }
  [[nodiscard]] bool whole_span(u64 span) const { return (span + 1) << pt::kIndexBits <= guest_.frames; }

  [[nodiscard]] pt::Entry allowed(pt::Entry guest) const;
  unsigned refresh_told(PageIndex page, const u8* guest_table, u8* own_table, unsigned first, u64 which);
  bool update_leaf(PageIndex page, unsigned index, pt::Entry old, pt::Entry value, u64 gfn);
  bool replace(PageIndex page, unsigned index, pt::Entry old, pt::Entry value);
  void put(PageIndex page, unsigned index, pt::Entry old, pt::Entry value);
  void forget(PageIndex page, unsigned index, pt::Entry old);
  void link_added() { links_added_ += links_added_ == ~u32{0} ? 2 : 1; }
  void lost(PageIndex page, unsigned index) {
    if (page != noted_) note_loss(page, index);
  }
  [[gnu::noinline, gnu::cold]] void note_loss(PageIndex page, unsigned index);
  [[gnu::noinline, gnu::cold]] void find_losers(PageIndex page, unsigned index);
  // The entries first + n of a leaf table, for each bit n.
  void note_losses(PageIndex page, unsigned first, u64 which);
  void lose_write(EntryRef ref);
  void drop_for(PageIndex page, unsigned index);
  void empty_leaves(PageIndex page);
  void empty_mirror(PageIndex page);
  void add_parent(PageIndex child, u32 ref);
  void add_writer(RefList& list, u32 ref);
  void remove_mirror(PageIndex index);
  [[nodiscard]] bool needs_protection(u64 gfn) const;
  void protect(u64 gfn);
  void unprotect(u64 gfn);
  void split_linear_mappings(u64 span);
  // What a page is taken from: the operation's budget, or what is free beside it.
  enum class From : u8 { kBudget, kSpare };
  // The page for the inside of a span of 2 MiB, filled; 0 when there is none to spare.
  PageIndex split_of_span(u64 span, From from);
  // Precondition: one is free.
  PageIndex take_page(ShadowKind kind, u64 gfn, unsigned level);
  void make_room(PageIndex pinned);
  void age_append(PageIndex index);
  void age_remove(PageIndex index);
  // Chained by unsync_before and unsync_after.
  struct PageList {
    PageIndex newest = 0, oldest = 0;
    u32 pages = 0;
  };
  void list_add(PageList& list, PageIndex index);
  void list_remove(PageList& list, PageIndex index);
  void recycle_one(PageIndex pinned);

  GuestMemory guest_;
  ShadowPool pool_;
  FrameState* frames_ = nullptr;
  SpanState* spans_ = nullptr;
  PageIndex* giants_ = nullptr;
  ShadowPage* pages_ = nullptr;  // pages_[0] is unused
  RefPool refs_;
  PageIndex free_page_ = 0;   // given back, chained by newer
  PageIndex fresh_page_ = 1;  // pages from here on were never used
  u32 free_tables_ = 0;
  OperationBudget budget_;
  PageIndex oldest_ = 0, newest_ = 0;
  PageList unsync_;
  PageList detached_;
  PageList roots_;     // told only
  u32 zaps_left_ = 0;  // of orphans, in this operation; trapped
  ShadowLosses losses_;
  PageIndex running_ = 0;
  PageIndex noted_ = 0;  // more losses there say nothing new in this exit
  u32 links_added_ = 1;  // how often; never 0, which no page's is
  bool told_ = false;    // no frame is ever protected, and writers are not listed
  ShadowCounters counters_;
};

}  // namespace nopte::hv
