// The shadow's tables and their bookkeeping: which shadow page stands for what, who links it, and which guest
// frames must not be writable. It knows nothing of faults or of when the guest's tables are looked at; that
// is shadow_mmu.h.
//
//   guest frame   -> FrameState  {writable mappings by mirrors, first mirror of the frame, protected?}
//   span of 2 MiB -> SpanState {split page, writable 2 MiB mappings, protected frames inside}
//
// Split pages map nearly all of a span; their entries are found by arithmetic, not by reverse lists.
//
// How the shadow learns that the guest writes its tables is the policy of a derived class: it may protect
// frames that are tables, and list what maps them writable for that (trapped/), or be told (told/). What
// leaves of leaf tables show, and what becomes of pages that nobody links, is the policy's.
//
// Invariants:
//   - a protected frame has no writable mapping, anywhere;
//   - a span with a protected frame has no writable 2 MiB mapping;
//   - every mapping lies inside guest memory;
//   - a free page's table is all zero.
//
// Where rights are taken away, losses() says so of the root in use, and a root's page of any other; the owner
// has the processor forget that before the guest runs there.
// Concurrency: the owner serialises; the guest is stopped.
// In files: shadow_tables.cc (memory), shadow_entries.cc, shadow_losses.cc, shadow_pages.cc, shadow_check.cc
// (tests).
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

class ShadowTables {
 public:
  // Fewer tables than this cannot hold the path of one access.
  static constexpr u32 kMinTables = 32;
  // Tables that an operation is promised: a root, or the three below it on the path of one access, be they
  // mirrors or the insides of large leaves.
  static constexpr u32 kPromised = pt::kLevels - 1;
  // Tables that are free when an operation begins: beside those for the path, some for splits.
  static constexpr u32 kReserve = 16;

  // What is wanted for mirrors that lose their last parent.
  enum class Orphans : u8 {
    kKeep,  // they may be linked again soon
    kZap,   // they are likely of no use any more
  };
  static constexpr u32 kMostZapped = 64;  // orphans that one operation zaps
  static constexpr u32 kMostReaped = 128;

  [[nodiscard]] static u64 metadata_bytes(u64 guest_frames, u32 tables);
  // Errors: kInvalid (sizes, alignment), kNoMemory (metadata too small, too few tables). Called once.
  Result<void> init(const GuestMemory& guest, const ShadowPool& pool);

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
  // Makes the mirror, empty. Preconditions: in the operation's budget, there is none, no mirror of gfn is
  // unsynchronised.
  PageIndex new_mirror(u64 gfn, unsigned level);
  // The page for the inside of a 1 GiB leaf, filled on demand by set_span(). Precondition: in the budget.
  PageIndex split_of_giant(u64 giant);
  // Empties the page, takes it out of every parent and frees it.
  void zap(PageIndex index, Orphans orphans);
  // Empties some orphans that wait for that, at most kMostReaped.
  void reap();

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
  virtual void set_leaf(PageIndex page, unsigned index, u64 gfn, u64 rights) = 0;
  // Makes the entries [first, first + 64) of a leaf table's mirror whose bit is in `which` show what the
  // guest's entries allow now: only where the guest's A is set, writable only where D is and the frame is not
  // protected. Gives the number of entries that changed. `first` is a multiple of 64.
  virtual unsigned refresh(PageIndex page, unsigned first, u64 which) = 0;
  // A level-2 entry that shows a whole span: by a 2 MiB mapping where possible, else by a split page.
  // Precondition: in the budget.
  void set_span(PageIndex page, unsigned index, u64 span, u64 rights);
  // Empties an entry of a higher table, present or not. What becomes of a mirror that has no parent any more
  // is the policy's.
  void drop_whole(PageIndex page, unsigned index, Orphans orphans = Orphans::kZap);
  // The same for the entries [first, end), at multiples of 64.
  void drop_all(PageIndex page, Orphans orphans, unsigned first = 0, unsigned end = pt::kEntriesPerTable);

  // No mapping of the frame may be writable.
  [[nodiscard]] bool is_protected(u64 gfn) const { return frames_[gfn].protected_frame(); }

  // At the end of each exit.
  void end_exit() {
    if (list(ShadowList::kOrphans).newest != 0) reap();
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

  // Rights that the shadow gives for a guest leaf: no W before D.
  [[nodiscard]] static u64 allowed_rights(pt::Entry guest) {
    const u64 rights = guest.word() & kRights;
    return guest.dirty() ? rights : rights & ~pt::Entry::kWritable;
  }

  static constexpr u64 kRights = pt::Entry::kWritable | pt::Entry::kUser | pt::Entry::kNoExecute;

  // Tests: checks every invariant; asserts.
  void check_invariants();

 protected:
  ShadowTables() = default;
  ~ShadowTables() = default;

  // --- the policy ---
  // The mirror is known by its frame from now on.
  virtual void mirror_added(PageIndex index) = 0;
  // A mirror of the frame is known no more.
  virtual void mirror_removed(u64 gfn) = 0;
  // This mirror lost its last parent.
  virtual void orphaned(PageIndex index, Orphans wanted) = 0;
  // Empties the mirror of a leaf table that is linked no more. Losing the last link was the loss.
  virtual void empty_leaves(PageIndex index) = 0;
  // Writable 2 MiB mappings of the span.
  virtual void large_added(u64 span, EntryRef at) = 0;
  virtual void large_removed(u64 span, EntryRef at) = 0;
  // Tests. Whether the policy's lists have what they are to have of a page, and of a writable mapping of the
  // frame, in a mirror of a leaf table or 2 MiB large; whether the frame is to be protected.
  [[nodiscard]] virtual bool has_its_place(PageIndex index) const = 0;
  [[nodiscard]] virtual bool lists_writer(u64 gfn, EntryRef at) const = 0;
  [[nodiscard]] virtual bool lists_large(u64 span, EntryRef at) const = 0;
  [[nodiscard]] virtual bool must_protect(u64 gfn) const = 0;

  struct FrameState {
    static constexpr u32 kProtected = u32{1} << 31;
    RefList writers;  // writable entries of leaf-table mirrors, where they are listed
    u32 state = 0;    // first mirror, kProtected

    [[nodiscard]] PageIndex mirrors() const { return state & ~kProtected; }
    [[nodiscard]] bool protected_frame() const { return state & kProtected; }
  };
  struct SpanState {
    PageIndex split = 0;
    RefList large;             // writable 2 MiB mappings, where they are listed
    u32 protected_frames = 0;  // inside
  };
  // Chained by before and after.
  struct PageList {
    PageIndex newest = 0, oldest = 0;
    u32 pages = 0;
  };
  // What a page is taken from: the operation's budget, or what is free beside it.
  enum class From : u8 { kBudget, kSpare };

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

  // The store into a shadow table. Bookkeeping of `old` is done already. Whether it takes something away.
  bool replace(PageIndex index, unsigned slot, pt::Entry old, pt::Entry value) {
    ++counters_.entries_written;
    ShadowPage& page = pages_[index];
    const u64 bit = u64{1} << (slot % 64);
    if (old.present()) {
      pt::exchange_entry(table(index), slot, old, value);
      if (!value.present()) {
        page.installed[slot / 64] &= ~bit;
        --page.live;
      }
      return takes_away(old, value);
    }
    pt::store_entry(table(index), slot, value);
    page.installed[slot / 64] |= bit;
    ++page.live;
    return false;
  }
  void put(PageIndex page, unsigned index, pt::Entry old, pt::Entry value) {
    if (replace(page, index, old, value)) lost(page, index);
  }
  void lost(PageIndex page, unsigned index) {
    if (page != noted_) note_loss(page, index);
  }
  // The entries first + n of a leaf table, for each bit n.
  void note_losses(PageIndex page, unsigned first, u64 which);
  // The mirror is no longer known by frame. On this list it waits for what its owner has in mind.
  void detach(PageIndex index, ShadowList to);
  // The page for the inside of a span of 2 MiB, filled; 0 when there is none to spare.
  PageIndex split_of_span(u64 span, From from);
  [[nodiscard]] const PageList& list(ShadowList which) const { return lists_[static_cast<unsigned>(which)]; }
  void list_add(ShadowList which, PageIndex index);
  void list_remove(PageIndex index);

  GuestMemory guest_;
  FrameState* frames_ = nullptr;
  SpanState* spans_ = nullptr;
  ShadowPage* pages_ = nullptr;  // pages_[0] is unused
  RefPool refs_;
  u32 zaps_left_ = 0;  // of orphans, in this operation
  ShadowCounters counters_;

 private:
  static constexpr u64 kFramesPerSpan = pt::kEntriesPerTable;
  static constexpr u64 kSpansPerGiant = pt::kEntriesPerTable;

  [[nodiscard]] bool whole_span(u64 span) const { return (span + 1) << pt::kIndexBits <= guest_.frames; }
  void link_added() { links_added_ += links_added_ == ~u32{0} ? 2 : 1; }
  [[gnu::noinline, gnu::cold]] void note_loss(PageIndex page, unsigned index);
  [[gnu::noinline, gnu::cold]] void find_losers(PageIndex page, unsigned index);
  inline void drop(PageIndex page, unsigned index, Orphans orphans);
  void add_parent(PageIndex child, u32 ref);
  inline void remove_mirror(PageIndex index);
  // Precondition: one is free.
  PageIndex take_page(ShadowKind kind, u64 gfn, unsigned level);
  void make_room(PageIndex pinned);
  void age_append(PageIndex index);
  inline void age_remove(PageIndex index);
  void recycle_one(PageIndex pinned);
  void check_entry(const ShadowPage& page, EntryRef at, pt::Entry entry);

  ShadowPool pool_;
  PageIndex* giants_ = nullptr;
  PageIndex free_page_ = 0;   // given back, chained by newer
  PageIndex fresh_page_ = 1;  // pages from here on were never used
  u32 free_tables_ = 0;
  OperationBudget budget_;
  PageIndex oldest_ = 0, newest_ = 0;
  PageList lists_[kShadowLists];
  ShadowLosses losses_;
  PageIndex running_ = 0;
  PageIndex noted_ = 0;  // more losses there say nothing new in this exit
  u32 links_added_ = 1;  // how often; never 0, which no page's is
};

}  // namespace nopte::hv
