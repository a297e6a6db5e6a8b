// One process's address space: its promised regions (the VMA tree), the heap that brk moves, the stack that
// grows, and the operations that Linux's memory system calls are made of. Every change goes
// prepare -> MmOps call -> commit: after an error the space is as before unless the text says otherwise.
//
// Linux's map limit has an edge for each operation (mm/mmap.c, mm/vma.c, mm/mremap.c): a new mapping may be
// the one after the last, a split may not, and mremap wants room for what it may split.
//
// Places, as Linux lays them out: image and brk heap low, mmap from below the stack downwards (first fit from
// the top), the stack under kUserRange's end.
//
// Counted references: processes that share a space (vfork, CLONE_VM) hold one each. The last release destroys
// it; it must not be the active space then.
// Concurrency: the kernel's.
#pragma once

#include <utility>

#include "guest-mm/core/places.h"
#include "guest-mm/core/ref.h"
#include "guest-mm/core/region_nodes.h"
#include "guest-mm/core/space_limits.h"
#include "guest-mm/core/vma.h"

namespace nopte::guest {

inline constexpr u64 kStackGuardPages = 256;          // free pages kept below a growing stack
inline constexpr u64 kStackInitialBytes = 132 << 10;  // promised at exec
inline constexpr Gva kMmapBottom{0x1'0000};           // mmap places not below this (mmap_min_addr)

// How map() chooses the place.
enum class Placement : u8 {
  kAnywhere,        // at the hint, rounded down, when that is free, else below mmap_top
  kFixed,           // at the hint; what is there goes away
  kFixedNoReplace,  // at the hint, kOverlap when something is there
};

struct MapRequest {
  Gva hint{};
  u64 bytes = 0;  // rounded up to pages
  Perm perm{};
  Sharing sharing = Sharing::kPrivate;
  Placement placement = Placement::kAnywhere;
  u32 flags = 0;  // VmaFlag
  bool populate = false;
  Ref<MemoryObject> object{};  // null: anonymous (an object is made when shared)
  u64 offset_bytes = 0;        // page-aligned
};

// mremap(2); the ranges are page-aligned. A move takes `old` out of its place.
struct RemapRequest {
  VaRange old;  // empty: what is shared at its begin is mapped a second time, which is a move
  u64 new_pages = 0;
  bool may_move = false;
  bool fixed = false;         // to new_address; what is there goes away
  bool keeps_source = false;  // what is promised stays promised, without its pages (MREMAP_DONTUNMAP)
  Gva new_address{};          // with keeps_source alone: a hint, 0 for none
};

class AddressSpace {
 public:
  // An empty space. Errors: kNoMemory, kLimit.
  static Result<Ref<AddressSpace>> create();
  // A copy, as fork makes it. Errors: kNoMemory, kLimit.
  Result<Ref<AddressSpace>> clone();

  [[nodiscard]] SpaceId id() const { return tree_.space(); }
  // A number that no other space had or will have.
  [[nodiscard]] u64 serial() const { return serial_; }
  void activate() { mm_ops().space_activate(id()); }
  void retain() { ++references_; }
  void release();
  // release() of the last reference, when `next` is active, which this makes it. Precondition: nobody shares
  // it.
  void release_for(SpaceId next);
  // Whether another process runs in it, too.
  [[nodiscard]] bool shared() const { return references_ > 1; }

  // The address. Errors: kInvalid, kNoMemory (memory, address space or region count), kOverlap
  // (kFixedNoReplace), kPermission (writable and kVmaNoWrite). After kNoMemory from the backend with kFixed
  // what was there may be gone, as in Linux. Populating is best effort.
  Result<Gva> map(const MapRequest& request);
  // Where `pages` are free below 2 GiB, at the hint if they are, for MAP_32BIT; 0: nowhere.
  [[nodiscard]] Gva low_place(Gva hint, u64 pages);
  // Holes are fine; parts outside kUserRange are ignored. Errors: kInvalid (alignment, empty), kNoMemory.
  Result<void> unmap(VaRange range);
  // Errors: kInvalid, kNoRegion (a hole; Linux changes what lies before it, so does this), kPermission,
  // kNoMemory.
  Result<void> protect(VaRange range, Perm perm);
  // The new address. With `fixed` and the size as it is, all regions in `old` move and keep their distances
  // (Linux 6.17). Errors: kInvalid, kBadAddress (nothing at the begin of `old`, or it is not in one region
  // where it must be), kNoMemory (no room). After an error with `fixed` the target may be unmapped, `old`
  // shrunk to new_pages and regions before the one that failed moved, as in Linux; after kNoMemory with
  // keeps_source the pages may be at the target and `old` unmapped.
  Result<Gva> remap(const RemapRequest& request);
  // Makes of a part of one region a guard, which is without pages and raises a fault until it is none again,
  // though the rights are told, and changed, as if it were none. Nothing of what is one already changes.
  // Errors: kNoMemory (pages may be gone).
  Result<void> install_guard(VaRange part);
  Result<void> remove_guard(VaRange part);
  // Drops or installs pages. Errors: kInvalid, kNoRegion (holes; the rest is done), kNoMemory (populate).
  Result<void> advise(VaRange range, Advice advice);
  // Notes how the range will be used. Errors: kInvalid, kNoRegion (holes; the rest is done), kNoMemory
  // (nothing has changed).
  Result<void> use(VaRange range, Advice advice);
  // Puts `bits` in the place of the bits in `mask` (VmaFlag). Errors: kInvalid, kNoRegion (holes; the rest is
  // done), kNoMemory (nothing has changed).
  Result<void> mark(VaRange range, u32 mask, u32 bits);
  // Locks the range up to its first hole, without installing it, or unlocks it: `how` is 0, kVmaLocked, or
  // that and kVmaLockOnFault. Errors: as mark.
  Result<void> lock(VaRange range, u32 how);
  // How what comes from now on is locked; a clone begins with 0.
  void lock_future(u32 how) { future_flags_ = (future_flags_ & kVmaForkMask) | how; }
  [[nodiscard]] u32 future_locks() const { return future_flags_ & kVmaLockFlags; }
  [[nodiscard]] u64 locked_pages() const;
  // Whether any region may have one of these flags: false is certain.
  [[nodiscard]] bool may_have(u32 flags) const { return (seen_flags_ & flags) != 0; }
  // What it may come to from now on; a clone has the same.
  void set_limits(const SpaceLimits& limits) { limits_ = limits; }
  // Whether the program is to have large leaves at all, now and later; a clone says the same. Cannot fail.
  void bar_large_leaves(bool barred);
  [[nodiscard]] bool large_leaves_barred() const { return unasked_.barred(); }
  // PR_SET_MDWE's bits: 1, nothing becomes executable that was not, nor is writable and executable; with 2,
  // not in a clone.
  void bar_write_exec(u8 bits) { write_exec_barred_ = bits; }
  [[nodiscard]] u8 write_exec_barred() const { return write_exec_barred_; }
  // Which pages of the range, at most kMostResident, are in memory: bit n says it of page n. Precondition: it
  // is covered.
  [[nodiscard]] Result<u64> resident(VaRange range) const { return mm_ops().region_resident(id(), range); }
  // How much of a range is installed.
  [[nodiscard]] Result<InstalledPages> installed(VaRange range) const {
    return mm_ops().region_installed(id(), range);
  }

  // How much of all that is promised is; 0 where it cannot be told.
  [[nodiscard]] u64 installed_pages() const;

  // Where brk starts; exec calls it once the image is mapped.
  void set_brk_start(Gva start);
  // brk(2): moves the end of the heap when it can; the end as it is afterwards.
  Gva set_brk(Gva end);
  [[nodiscard]] Gva brk() const { return brk_; }
  [[nodiscard]] Gva brk_start() const { return brk_start_; }

  // mmap places below it from now on; a clone's does the same.
  void set_mmap_top(Gva top) { mmap_top_ = top; }
  // Promises the initial stack that ends at `top`. Errors: kNoMemory, kOverlap.
  Result<void> map_stack(Gva top = kStackTop, Perm perm = kPermRW);
  // Called at a violation (kNoRegion) at `va`: extends the stack above it when va is near enough, the limit
  // allows it and the guard gap stays free. True: the access can be tried again.
  bool grow_stack(Gva va);

  // True when every page of the range is promised.
  [[nodiscard]] bool covered(VaRange range) const { return tree_.covered(range); }
  [[nodiscard]] std::optional<Vma> find(Gva va) const;
  // The VMA that contains va or the next above it: /proc/self/maps walks with va = the last one's end.
  [[nodiscard]] std::optional<Vma> at_or_after(Gva va) const;
  // What of it may have to be committed (commit_limit.h).
  [[nodiscard]] u64 committed_pages() const;
  // Whether as much may be committed once more, for a copy; as Linux, one region after the other
  // (kernel/fork.c, dup_mmap).
  [[nodiscard]] bool may_commit_copy() const;
  // Whether this walk over all spaces comes here for the first time.
  [[nodiscard]] bool first_visit(u64 walk) { return std::exchange(last_walk_, walk) != walk; }
  [[nodiscard]] u64 pages() const { return tree_.pages(); }
  [[nodiscard]] u64 regions() const { return tree_.regions(); }
  [[nodiscard]] const RegionTree& tree() const { return tree_; }

 private:
  template <class T, class... Args>
  friend T* make(Args&&...);
  template <class T>
  friend void destroy(T*);
  AddressSpace() : tree_(kUserRange, heap_region_nodes(), &gaps_) {}
  ~AddressSpace();

  // Declares a region, as region_map's flags say. Errors: those of RegionTree's preparing and of region_map.
  Result<void> declare(const RegionSpec& spec, u32 flags, MemoryObject* object, u32 map_flags);
  // Where nothing is.
  Result<void> insert(const RegionSpec& spec, u32 flags, MemoryObject* object) {
    return declare(spec, flags, object, 0);
  }
  // Declares a region that shows the object from its page `page` on. Errors: those of declare().
  Result<void> declare_object(RegionSpec& spec, u32 flags, MemoryObject& object, u64 page, u32 map_flags) {
    if (object.ends_within(page, spec.range.pages())) [[unlikely]] {
      return declare_past_end(spec, flags, object, page, map_flags);
    }
    spec.object_page = object.page_in_whole(page);
    return declare(spec, flags, &object, map_flags);
  }
  // The same where it begins inside a view and ends behind it: what lies behind is a region of its own. After
  // an error nothing of the range is promised, or with kMapReplace what was.
  Result<void> declare_past_end(RegionSpec& spec, u32 flags, MemoryObject& view, u64 page, u32 map_flags);
  // Declares `pages` more after the region that ends at `end`, continuing it at `at`.
  Result<void> insert_continuation(const RegionNode& node, Gva end, Gva at, u64 pages);
  Result<Gva> find_place(Gva hint, u64 pages);
  Result<Gva> highest_in(VaRange within, u64 pages, u64 alignment);
  // Whether it can lie there, below `end`.
  [[nodiscard]] bool fits(Gva hint, u64 bytes, Gva end) const;
  // Where what lies below `above` (null: nothing) has to end.
  // protect(), where guards may be.
  Result<void> protect_around_guards(VaRange range, Perm perm);
  Result<void> protect_plain(VaRange range, Perm perm);
  static Gva limit_below(const RegionNode* above);
  Result<Gva> move(VaRange old, u64 new_pages, Gva to);
  // The parts of remap(), which see to it that the request makes sense.
  Result<Gva> move_each(const RemapRequest& request);
  Result<Gva> move_and_keep(const RemapRequest& request);
  Result<Gva> duplicate(const RemapRequest& request);
  Result<void> may_move() const;
  // Locked memory is there from the beginning.
  void install_locked(u32 flags, VaRange range);
  // What a clone does not take over. Errors: kNoMemory.
  Result<void> forget_what_stays_with_the_parent();
  // A change that adds none is always fine: there may be more than `most` already.
  // Whether so many pages more are within the limits; of a private region that may be written, `data`, within
  // RLIMIT_DATA too (mm/mmap.c, may_expand_vm).
  [[nodiscard]] bool may_grow(u64 pages, bool data) const {
    return (limits_.bytes == kUnlimited && (!data || limits_.data_bytes == kUnlimited)) ||
           within_limits(pages, data);
  }
  [[nodiscard]] bool within_limits(u64 pages, bool data) const;
  // How many pages of the range are promised.
  [[nodiscard]] u64 pages_in(VaRange range) const;
  [[nodiscard]] bool may_add(unsigned regions, u64 most) const {
    return regions == 0 || tree_.regions() + regions <= most;
  }

  static inline constinit u64 g_made = 0;
  const u64 serial_ = ++g_made;
  u32 references_ = 1;
  SpaceLimits limits_;
  Usage unasked_{};       // of a region of which the program has said nothing
  u32 future_flags_ = 0;  // VmaFlag of what is mapped from now on
  u8 write_exec_barred_ = 0;
  u32 seen_flags_ = 0;  // VmaFlag that some region had, once
  u64 last_walk_ = 0;
  GapIndex gaps_;
  RegionTree tree_;
  Gva brk_start_{};
  Gva brk_{};
  Gva mmap_top_ = kMmapTop;
};

}  // namespace nopte::guest
