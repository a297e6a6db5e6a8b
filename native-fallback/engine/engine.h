// The paging engine: resolves faults against promised regions and makes page tables true. Written once, used
// in two homes: natively over the guest's own VmaTree, in the hypervisor over the regions that a guest
// declared. It stores no regions; each space names a RegionSource that is asked at faults.
//
// Truth: for anonymous and privately copied pages the leaf entry; for object pages the object's page index,
// whose leaf entries are a cache. There is no copy-on-write bit: a read-only leaf of an anonymous page in a
// writable region is upgraded in place when its frame has one reference, else copied.
//
// The methods mirror MmOps, so that the native adaptor and the hypervisor's dispatch are thin. The caller
// keeps the promised list and has checked the operation against it; what the engine checks itself is what
// would hurt it: unknown ids and ranges outside their half give kInvalid. Out of memory is an answer
// everywhere; taking rights away never needs memory. On failure nothing has changed unless said otherwise.
//
// Everything of its own (spaces, objects, index nodes, tables) is carved from FrameTable's frames.
//
// Concurrency: none of its own; one caller at a time. The processors may walk and set A and D at any moment.
// Source: AMD64 APM vol. 2 ch. 5 (translation, TLB management 5.5).
#pragma once

#include <array>
#include <optional>
#include <span>

#include "native-fallback/engine/engine_core.h"
#include "native-fallback/tables/cursor.h"
#include "native-fallback/tables/page_table_sink.h"
#include "native-fallback/tables/tlb_batch.h"

namespace nopte::pt {

template <PageTableSink Sink>
class Engine final : public EngineCore {
 public:
  using Format = typename Sink::Format;
  using Entry = typename Format::Entry;
  using FaultResult = std::expected<void, ViolationReason>;

  // What is installed at one address.
  struct Installed {
    Entry entry;     // as the tables hold it; may be a software entry
    unsigned level;  // 1, or more for a large leaf
    Perm rights;     // effective: AND along the path
    bool user;       // likewise
  };

  // The references must outlive the engine. Nothing happens before init().
  constexpr Engine(Sink& sink, FrameTable& frames) : EngineCore(frames, Format::kKmemRange), sink_(sink) {}

  // --- start --------------------------------------------------------------------------------------------

  // Makes the kernel space with empty tables in the top-level slots of the direct map, windows, kmem and
  // image. `direct_table`: the direct map exists already, and this is its published table below the root,
  // outside the pool. Precondition: frames is initialised. Errors: kNoMemory (then the engine is unusable),
  // kInvalid: it covers frames that the format cannot use everywhere.
  [[gnu::cold]] Result<void> init(std::optional<Frame> direct_table = {});
  // Maps existing frames that are not the pool's to give (the boot image, natively), global, at `begin`.
  // Precondition: canonical kernel range inside the image range, nothing mapped. Errors: kInvalid, kNoMemory
  // (a prefix is mapped).
  [[gnu::cold]] Result<void> map_kernel_frames(Gva begin, FrameRange frames, Perm perm);
  // Committed kernel pages with these contents, zero after their end, in the image range. Errors: as above.
  [[gnu::cold]] Result<void> map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm);
  // Maps `range` at the direct range + physical address, with 2 MiB leaves where aligned; read-write, not
  // executable. kUncached for devices. Errors: kInvalid, kNoMemory (a prefix is mapped).
  [[gnu::cold]] Result<void> map_direct(FrameRange range, Caching caching = Caching::kWriteBack);
  // The promises of the kernel space: kernel windows. Must outlive the engine.
  void set_kernel_regions(const RegionSource& windows) { kernel_.regions = &windows; }
  // Gives every frame back; all spaces but the kernel's and all objects are destroyed first by the caller.
  // For tests: afterwards free_frames() == total_frames() means that nothing leaked.
  [[gnu::cold]] void shut_down();

  // --- spaces -------------------------------------------------------------------------------------------

  // kKernel: no user addresses. Errors: kInvalid.
  Result<void> space_activate(SpaceId space);

  // --- regions: called after (map: before) the caller's own list is ready -------------------------------

  // Whether an operation on the range may answer kAgain: that happens between leaf tables.
  [[nodiscard]] static bool may_stop(VaRange range) {
    return (range.begin.value() ^ (range.end - 1).value()) >= Format::table_bytes(1);
  }

  // Nothing is to be done for a new region: the first fault finds it.

  // Takes out everything installed in the range. Errors: kInvalid, kAgain; kNoMemory where the range ends
  // amidst what a clone has too, or a large page: nothing has changed.
  Result<void> region_unmapped(SpaceId space, VaRange range, Checkpoint* checkpoint = nullptr);
  // Gives what is installed in the range at most these rights, and adds rights where that saves a fault.
  // Errors: as region_unmapped.
  Result<void> region_protected(SpaceId space, VaRange range, Perm perm, Checkpoint* checkpoint = nullptr);
  // Before the two above are used on parts of a range, with checkpoints that say so: then none of them needs
  // memory, as long as the space is not cloned and gets no large page. Errors: as they.
  Result<void> make_ready(SpaceId space, VaRange whole);
  // As MmOps::region_advise; holes are skipped. Errors: kInvalid, kNoMemory (kPopulate: a prefix is
  // installed; kDontNeed: as region_unmapped), kAgain.
  Result<void> region_advise(SpaceId space, VaRange range, Advice advice, Checkpoint* checkpoint = nullptr) {
    const Completion<Sink> completion(sink_);
    return EngineCore::region_advise(space, range, advice, checkpoint);
  }

  // --- objects, kernel memory ---------------------------------------------------------------------------

  // A pointer to one page of the object, made (zero) when it has no memory yet: for a home that reads and
  // writes objects without mapping them. Errors: kInvalid, kPastEnd, kNoMemory.
  Result<u8*> object_pointer(ObjectId object, u64 page);
  // As MmOps. Errors: kInvalid (no pages), kNoMemory, kAgain (issue again; with other pages it begins anew).
  Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint = nullptr) {
    const Completion<Sink> completion(sink_);
    return EngineCore::kmem_alloc(pages, checkpoint);
  }
  // A pointer to a committed kernel page (kmem or image), for the hypervisor to fill what it shares with a
  // guest. Errors: kInvalid: not committed kernel memory.
  [[gnu::cold]] Result<u8*> kernel_pointer(Gva va);

  // --- faults -------------------------------------------------------------------------------------------

  // Makes the access possible, or says why the promises refuse it. Kernel windows are looked up in the kernel
  // space whatever `space` is; an access with user privilege to any kernel address is kNoRegion. A fault that
  // finds nothing to do (another CPU did it, a stale translation) succeeds.
  FaultResult fault(SpaceId space, Gva va, Access access, Privilege privilege);
  // Where a fault at va, in a region, installs something: what it asks for, what comes ahead of it, and
  // around it where that is a program's, in the same leaf table; or the large page in that table's place,
  // which lies inside the region.
  [[nodiscard]] static VaRange reach_of_fault(Gva va, const RegionSpec& region) {
    const Gva table(va.value() & ~(Format::table_bytes(1) - 1));
    const VaRange all{table, table + Format::table_bytes(1)};
    if (kLargePages<Sink> && region.range.contains(all)) return all;
    const bool around = region.object != ObjectId::kNone && region.sharing == Sharing::kPrivate;
    const Gva begin = around ? Gva(va.value() & ~(AheadPolicy::kAround * kPageBytes - 1)) : va.page_base();
    return VaRange{begin, all.end}.intersect(region.range);
  }

  // --- looking ------------------------------------------------------------------------------------------

  // What is installed at va; nothing when the entry is empty or no table leads there.
  [[nodiscard]] std::optional<Installed> peek(SpaceId space, Gva va) const;
  // The top-level table. Errors: kInvalid (a space whose destruction was interrupted, too).
  [[nodiscard]] Result<Frame> root(SpaceId space) const;
  // visit(Gva, const Installed&) for all non-empty leaf entries of user addresses (the kernel space: of
  // windows), ascending; a large one with the first address that it maps. Tests and diagnostics.
  template <class Visit>
  void for_each_installed(SpaceId space, Visit visit) const;

 private:
  using Tables = TableMemory<Sink>;
  using Batch = TlbBatch<Sink>;

  // User addresses of a user space, windows of the kernel's.
  [[nodiscard]] static bool valid_range(SpaceId id, VaRange range) {
    const VaRange half = id == SpaceId::kKernel ? Format::kWindowRange : Format::kUserRange;
    return range.page_aligned() && !range.empty() && half.contains(range);
  }
  // The last entry of a space's table that is not the kernel's.
  [[nodiscard]] static constexpr unsigned last_user_index(unsigned level) {
    return level == Format::kLevels ? Format::table_index(Format::kUserRange.end - 1, Format::kLevels)
                                    : Format::kEntriesPerTable - 1;
  }
  [[nodiscard]] static FlushScope scope_of(SpaceId id) {
    return id == SpaceId::kKernel ? FlushScope::kKernel : FlushScope::kSpace;
  }
  [[nodiscard]] static Privilege privilege_of(SpaceId id) {
    return id == SpaceId::kKernel ? Privilege::kKernel : Privilege::kUser;
  }
  // What allows writing allows reading.
  static constexpr Perm without_write(Perm perm) { return perm.none() ? perm : (perm & kPermRX) | kPermR; }

  // --- what the core leaves to tables ---
  void zero_page(u8* page) override { sink_.zero_page(page); }
  Result<Frame> new_root() override;
  [[nodiscard]] bool may_show(SpaceId id, VaRange range) const override { return valid_range(id, range); }
  [[nodiscard]] bool was_touched(SpaceId id, Gva va) const override {
    const auto installed = peek(id, va);
    return installed.has_value() && installed->entry.accessed();
  }
  [[gnu::cold]] InstalledPages count_first(const Space& space, VaRange& range) const override;
  [[gnu::cold]] void draw_installed(const Space& space, PictureWriter& picture) const override;
  [[nodiscard]] bool runs(const Space& space) const override { return sink_.runs(space.root); }
  Result<void> clone_tables(Space& parent, Space& child) override;
  bool empty_tables(Space& space, Checkpoint* checkpoint) override;
  [[gnu::cold]] Result<void> move(SpaceId id, const Space& space, VaRange from, Gva to) override;
  Result<void> zap(SpaceId id, Space& space, VaRange range, Whose whose, Checkpoint* checkpoint) override;
  Result<Gva> install_promised(Space& space, SpaceId id, const Promise& promise, VaRange pages,
                               Access access) override;
  [[nodiscard]] bool fills_new_tables() const override { return !sink_.plain_tables(); }
  Result<void> commit(Gva va) override;

  // --- pages (engine_fault.h) ---
  template <class Way>
  Result<void> resolve(Space& space, SpaceId id, const Promise& promise, Gva va, Access access);
  Result<bool> own_for(const Space& space, Gva va, Access access);
  template <class Way>
  Result<void> resolve_empty(Cursor<Way>& cursor, Space& space, SpaceId id, const Promise& promise, u64 page,
                             Access access);
  template <class Way>
  Result<void> resolve_held(Cursor<Way>& cursor, Space& space, SpaceId id, const Promise& promise,
                            Entry entry, Access access);
  template <class Way>
  Result<void> install(Cursor<Way>& cursor, Entry leaf);
  template <class Way>
  Result<void> make_tables(Cursor<Way>& cursor, unsigned lowest);
  template <class Way>
  [[nodiscard]] bool follows_touched(const Cursor<Way>& cursor) const;
  template <class Way>
  bool make_leaf_table(Cursor<Way>& cursor);
  template <class Way, class Counts>
  unsigned step_ahead(const LeafTable& table, Gva va, const RegionSpec& region, Counts counts) const;
  void go_ahead(const LeafTable& table, Gva va, Space& space, SpaceId id, const Promise& promise, u64 page,
                Access access);
  void go_around(const LeafTable& table, Gva va, SpaceId id, const Promise& promise, u64 page, Access access);
  enum class Taken : u8 { kEnd, kPass };  // at an entry that is not empty
  template <class Way, Taken kTaken = Taken::kEnd>
  unsigned install_run(const LeafTable& table, unsigned first, unsigned pages, const Promise& promise,
                       u64 page, Entry model);
  u64 install_new_table(const Space& space, VaRange pages, const Promise& promise, u64 page, Entry model);
  bool fill_next_table(Space& space, SpaceId id, const Promise& promise, Gva va, u64 page, Access access);
  enum class Holes : u8 { kEnd, kStay };  // where there is no frame for an entry
  template <Holes kHoles, class Way, Taken kTaken, class SlotOf>
  unsigned fill_run(const LeafTable& table, unsigned first, unsigned pages, Entry model,
                    const SlotOf& slot_of);
  template <class Way>
  bool write_ahead(Cursor<Way>& cursor, const Promise& promise);
  template <class Way>
  void write_around(Cursor<Way>& cursor, Space& space, const Promise& promise);
  // The object's frame for a page inside it, made (zero) when absent. Errors: kNoMemory.
  Result<Frame> object_frame(MemoryObject& object, ObjectId id, u64 page);
  Result<Frame> zeroed_frame(FrameKind kind);
  Result<Frame> copied_frame(Frame from);
  // One reference less; the last one hands the frame to the batch.
  void drop_reference(Frame frame, FrameTable::Metas metas, Batch& batch);

  // --- large pages (engine_large.h) ---
  // Where the cursor is above level 1: whether to look closer.
  template <class Way>
  [[nodiscard]] bool may_be_large(const Cursor<Way>& cursor, const Space& space,
                                  const Promise& promise) const {
    const bool earned = Format::table_index(cursor.va(), 1) == 0 && space.ahead.paid_to_edge() &&
                        space.ahead.step_before(cursor.va()) >= AheadPolicy::kMost - 1;
    return earned || wants_large(promise) || !cursor.entry().empty();
  }
  enum class Large : u8 { kNone, kSplit, kDone };  // small pages are next, or are there by now
  [[gnu::noinline]] Result<Large> resolve_large(Space& space, SpaceId id, const Promise& promise, Gva va,
                                                Access access);
  bool give_large(Cursor<Sink>& cursor, Space& space, const Promise& promise, Access access);
  [[gnu::cold, gnu::noinline]] Result<void> split_large(Cursor<Sink>& cursor);
  [[gnu::cold, gnu::noinline]] void drop_large(Entry entry, Batch& batch);
  [[gnu::cold, gnu::noinline]] void zap_large(Cursor<Sink>& cursor, Space& space, Batch& batch);
  [[gnu::cold, gnu::noinline]] void protect_large(Cursor<Sink>& cursor, Perm perm, Batch& batch);
  [[gnu::cold, gnu::noinline]] Result<void> share_large(Frame parent, Frame child, Gva va);
  [[gnu::cold, gnu::noinline]] Result<bool> make_large_way(Cursor<Sink>& source, VaRange part,
                                                           Cursor<Sink>& destination, Gva there,
                                                           Batch& batch);

  // --- ranges (engine_range.h) ---
  bool goes_whole(VaRange part, Gva to) const;
  [[gnu::cold]] Result<void> make_way(const Space& space, VaRange from, Gva to, Batch& batch);
  [[gnu::noinline]] void move_entries(const Cursor<Sink>& source, VaRange part, Cursor<Sink>& destination,
                                      Batch& batch);
  [[gnu::cold]] void prune_tables(const Space& space, VaRange range, Batch& batch);
  [[gnu::cold]] Result<void> own(Cursor<Sink>& cursor, unsigned lowest, Batch& batch);
  enum class Shown : u8 { kNothing, kTables, kPages };  // tables: that hold nothing
  Shown shown_of(Cursor<Sink>& cursor, VaRange range) const;
  Result<void> own_edges(const Space& space, VaRange range, VaRange whole, Batch& batch);
  enum class Stops : u8 { kBehindChanges, kAnywhere };
  template <class Work>
  Result<void> for_each_leaf_table(SpaceId id, Space& space, VaRange range, Whose whose,
                                   Checkpoint* checkpoint, Stops stops, Work work);
  unsigned zap_leaf_table(Cursor<Sink>& cursor, VaRange part, Batch& batch);
  template <class Way>
  unsigned zap_entries(Cursor<Sink>& cursor, unsigned first, unsigned last, Batch& batch);
  unsigned take(const Cursor<Sink>& cursor, unsigned index, Entry entry, Batch& batch);
  [[gnu::noinline]] static void note_gone(Space& space, VaRange part, unsigned unused) {
    space.ahead.gone(part, unused);
  }
  unsigned note_unused(Entry entry);

  // --- rights (engine_protect.h) ---
  void protect_leaf_table(Cursor<Sink>& cursor, VaRange part, Perm perm, Batch& batch);
  bool restrict_table(Cursor<Sink>& cursor, unsigned first, unsigned last, Perm perm, Batch& batch);
  void hide_pages(Cursor<Sink>& cursor, unsigned first, unsigned last, Batch& batch);
  template <class Way>
  void hide_entries(Cursor<Sink>& cursor, unsigned first, unsigned last, Batch& batch);
  template <class Way, class Write>
  void give_rights(Cursor<Sink>& cursor, unsigned first, unsigned last, Perm perm, Write write, Batch& batch);

  // --- spaces (engine_space.h) ---
  // What a clone copies at once, as its sides would soon: tables with at most so many entries, at most so
  // many.
  static constexpr u64 kFewEntries = 64;
  static constexpr u64 kCopiedTables = 16;
  // And of their pages at most so many.
  static constexpr unsigned kCopiedPages = 8;
  struct Copies {
    u64 tables;
    unsigned pages;
    unsigned used = 0;  // pages that the original had copied ahead, and has written
  };
  Result<void> clone_below(Cursor<Sink>& from, Cursor<Sink>& to, Frame table, unsigned level, Gva begin,
                           Copies& left, Batch& batch);
  [[gnu::noinline]] Result<void> clone_leaf_table(Cursor<Sink>& from, Cursor<Sink>& to, Gva va, Copies& left);
  [[gnu::cold]] Result<Frame> leaf_table_for(Cursor<Sink>& cursor, Gva va, u64 entries);
  std::optional<Installed> installed_at(const Cursor<Sink>& cursor, Entry entry) const;
  template <class Way>
  void free_leaves(FrameMeta& meta, Frame table, Batch& batch);
  bool free_below(Frame table, unsigned level, Batch& batch, Checkpoint* checkpoint);
  [[gnu::noinline, gnu::cold]] void forget_entries(Frame table, unsigned count);

  // --- kernel (engine_kernel.h) ---
  [[gnu::cold]] Result<void> install_kernel(Gva va, Entry leaf, unsigned level = 1);
  [[gnu::cold]] void free_kernel_tables(Frame table, unsigned level, Gva begin, Batch& batch);
  [[gnu::cold]] Result<void> make_in_root(Frame root, Gva va, Privilege privilege);
  [[gnu::cold]] void fill_root(Frame root, Gva va, Frame table, Privilege privilege);
  enum class Slots : u8 { kEmpty, kKernels };
  void fill_kernel_slots(Frame root, Slots with);

  // The sink, as the one that it is (choose_way).
  template <class Way>
  [[nodiscard]] Way& way() const {
    return way_of<Way>(sink_);
  }

  Sink& sink_;
  Tables tables_{sink_, frames_, counters_};
};

}  // namespace nopte::pt

#include "native-fallback/engine/engine_ahead.h"
#include "native-fallback/engine/engine_fault.h"
#include "native-fallback/engine/engine_kernel.h"
#include "native-fallback/engine/engine_large.h"
#include "native-fallback/engine/engine_populate.h"
#include "native-fallback/engine/engine_protect.h"
#include "native-fallback/engine/engine_range.h"
#include "native-fallback/engine/engine_space.h"
