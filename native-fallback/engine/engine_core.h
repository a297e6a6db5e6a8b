// What an engine does that is not about entries of tables: its records of spaces and objects, what they hold,
// and kernel memory. It is there once, whatever sinks engines are made over; each leaves to its Engine what
// tables decide.
//
// Concurrency: the engine's.
#pragma once

#include <optional>

#include "native-fallback/engine/checkpoint.h"
#include "native-fallback/engine/id_table.h"
#include "native-fallback/engine/kmem_area.h"
#include "native-fallback/engine/memory_object.h"
#include "native-fallback/engine/picture.h"
#include "native-fallback/engine/space.h"
#include "native-fallback/frames/block.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/tables/counters.h"
#include "pvops/base/work.h"
#include "pvops/mm_ops.h"

namespace nopte::pt {

class EngineCore {
 public:
  EngineCore(const EngineCore&) = delete;
  EngineCore& operator=(const EngineCore&) = delete;

  // --- spaces -------------------------------------------------------------------------------------------

  // Ids are dense: below kMaxSpaces, lowest free first but never a multiple of 64. Errors: kNoMemory, kLimit.
  static constexpr u32 kMaxSpaces = IdTable<Space>::kMaxIds;
  Result<SpaceId> space_create(const RegionSource& promised);
  // Tables and pages are shared copy-on-write (unshare.h), in a bounded number of steps. Where the sink
  // cannot share tables, the pages. Errors: kInvalid, kNoMemory, kLimit; the parent may then have lost write
  // rights that faults give back.
  Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised);
  // Frees all that the space holds but its name: an owner with a long list of promises, which are asked for
  // while pages of objects are installed, frees that list next. Errors: kInvalid, kBusy (a CPU runs it),
  // kAgain (issue again).
  Result<void> space_empty(SpaceId space, Checkpoint* checkpoint = nullptr);
  // The same, and its name. Errors: as space_empty.
  Result<void> space_destroy(SpaceId space, Checkpoint* checkpoint = nullptr);

  // --- regions ------------------------------------------------------------------------------------------

  // Moves what is installed in `from` to the range of equal length at `to`, where nothing is installed.
  // Errors: kInvalid, kOverlap (of the two), kNoMemory.
  Result<void> region_moved(SpaceId space, VaRange from, Gva to);
  // As MmOps::region_resident. Errors: kInvalid.
  [[nodiscard]] Result<u64> region_resident(SpaceId space, VaRange range) const;
  // How much of the range's first pages is installed; takes those off the range, at least one. Errors:
  // kInvalid.
  Result<InstalledPages> region_installed(SpaceId space, VaRange& range) const;

  // --- objects ------------------------------------------------------------------------------------------

  static constexpr u64 kMaxObjectPages = u64{1} << 36;
  // Ids are dense as for spaces. `mappings` must outlive the object. Errors: kNoMemory, kLimit (also: pages
  // above kMaxObjectPages).
  Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings);
  // An object over frames that hold its contents already and are outside the pool's usable ranges (the
  // initramfs): they become the pool's. Errors: kNoMemory, kLimit; then they stay outside.
  Result<ObjectId> object_adopt(FrameRange contents, const ObjectMappings& mappings);
  // Shrinking takes the pages past the end out of every mapping, private copies too, and frees them.
  // Errors: kInvalid, kLimit, kAgain (shrinking; the new size holds already for faults).
  Result<void> object_resize(ObjectId object, u64 pages, Checkpoint* checkpoint = nullptr);
  // Errors: kInvalid, kBusy (its mappings are not empty), kAgain (the pages are going; issue again).
  Result<void> object_destroy(ObjectId object, Checkpoint* checkpoint = nullptr);
  // Errors: kInvalid.
  [[nodiscard]] Result<u64> object_pages(ObjectId object) const;

  // --- kernel memory ------------------------------------------------------------------------------------

  // Errors: kInvalid: not exactly one grant; kAgain: part of it is gone, issue again.
  Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint = nullptr);

  // --- looking ------------------------------------------------------------------------------------------

  [[nodiscard]] MemoryInfo memory_info() const { return {frames_.total_frames(), frames_.free_frames()}; }
  [[nodiscard]] const EngineCounters& counters() const { return counters_; }
  // What the space that was activated last is promised and shows.
  [[gnu::cold]] void draw(PictureWriter& picture) const;
  // What space_create/clone and object_create/adopt were given: a home that keeps its own record behind these
  // views finds it by id. Errors: kInvalid (the kernel space too).
  [[nodiscard]] Result<const RegionSource*> promised(SpaceId space) const {
    const Space* const found = space == SpaceId::kKernel ? nullptr : find_space(space);
    if (found == nullptr) return Fail(Status::kInvalid);
    return found->regions;
  }
  [[nodiscard]] Result<const ObjectMappings*> mappings(ObjectId object) const {
    const MemoryObject* const found = find_object(object);
    if (found == nullptr) return Fail(Status::kInvalid);
    return found->mappings;
  }

 protected:
  // A region, and the object that it shows: null for anonymous memory.
  struct Promise {
    const RegionSpec& region;
    MemoryObject* object;
    AccessPattern pattern;  // which pages behind the one that is asked for come with it (ahead.h)
  };

  // What other roots have too is made this root's own before it changes, or changes for all.
  enum class Whose : u8 { kOwn, kEverybodys };

  constexpr EngineCore(FrameTable& frames, VaRange kmem) : frames_(frames), kmem_(kmem) {}
  ~EngineCore() = default;

  // --- what tables decide -------------------------------------------------------------------------------

  // Memory of the engine's own is about to be used.
  virtual void zero_page(u8* page) = 0;
  // A root for a space that shows nothing yet. Errors: kNoMemory.
  virtual Result<Frame> new_root() = 0;
  // How much of the range's first pages is installed, as far as a table tells, or some of its entries; takes
  // them off the range. Precondition: it may be shown.
  virtual InstalledPages count_first(const Space& space, VaRange& range) const = 0;
  // What user addresses show, in runs.
  virtual void draw_installed(const Space& space, PictureWriter& picture) const = 0;
  // The range is one that may show promises of this space.
  [[nodiscard]] virtual bool may_show(SpaceId id, VaRange range) const = 0;
  // What is installed at va was touched, or may have been.
  [[nodiscard]] virtual bool was_touched(SpaceId id, Gva va) const = 0;
  // A CPU runs it.
  [[nodiscard]] virtual bool runs(const Space& space) const = 0;
  // Shares what the parent shows with the child. Errors: kNoMemory.
  virtual Result<void> clone_tables(Space& parent, Space& child) = 0;
  // Retires the root and frees all that user addresses have. False: stopped at the checkpoint.
  virtual bool empty_tables(Space& space, Checkpoint* checkpoint) = 0;
  // Moves what is installed in `from`. Precondition: they may be shown and do not overlap. Errors: kNoMemory.
  virtual Result<void> move(SpaceId id, const Space& space, VaRange from, Gva to) = 0;
  // Takes out everything installed in the range. Errors: kAgain; kNoMemory (kOwn), nothing has changed.
  virtual Result<void> zap(SpaceId id, Space& space, VaRange range, Whose whose, Checkpoint* checkpoint) = 0;
  // Installs what is promised for these pages, all of one region. Up to where it is installed then: behind
  // them, where they end in a large page. Errors: kNoMemory, kPastEnd; a prefix is installed.
  virtual Result<Gva> install_promised(Space& space, SpaceId id, const Promise& promise, VaRange pages,
                                       Access access) = 0;
  // It makes a leaf table with all that is to be there, for less than page by page.
  [[nodiscard]] virtual bool fills_new_tables() const = 0;
  // Installs a zeroed page at va, a kernel address that shows nothing. Errors: kNoMemory.
  virtual Result<void> commit(Gva va) = 0;

  // --- looking up ---------------------------------------------------------------------------------------

  [[nodiscard]] Space* find_space(SpaceId id) {
    if (id == activated_id_) [[likely]]
      return activated_;
    if (id == SpaceId::kKernel) return &kernel_;
    return spaces_.find(frames_, static_cast<u32>(id));
  }
  [[nodiscard]] const Space* find_space(SpaceId id) const {
    return const_cast<EngineCore*>(this)->find_space(id);
  }
  [[nodiscard]] MemoryObject* find_object(ObjectId id) const {
    return objects_.find(frames_, static_cast<u32>(id));
  }
  [[nodiscard]] MetaFrames meta_frames() { return {frames_, zero_}; }

  // Pages between two looks at a checkpoint where leaf tables do not set the pace.
  static constexpr u64 kPagesPerCheck = 16;

  // The first touch of what a large page would map is at va: whether it is to have one, as the program asked
  // or as a run of touches has earned it (ahead.h).
  [[nodiscard]] bool wants_large(const Promise& promise) const {
    return promise.region.usage.large() == LargeLeaves::kWanted;
  }
  [[nodiscard]] bool earned_large(Space& space, const Promise& promise, Gva va) const;

  // As Engine's.
  Result<void> region_advise(SpaceId id, VaRange range, Advice advice, Checkpoint* checkpoint);
  Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint);

  FrameTable& frames_;
  Blocks blocks_{frames_};
  EngineCounters counters_;
  Space kernel_;
  // The space that was activated last: it is asked for most.
  SpaceId activated_id_ = SpaceId::kKernel;
  Space* activated_ = &kernel_;
  // Of the processor that faults; with more of them, one each.
  RegionHint asked_;
  IdTable<Space> spaces_;
  IdTable<MemoryObject> objects_;
  KmemArea kmem_;

 private:
  // Nodes that one step of will-need looks at.
  static constexpr u64 kNodesPerStep = work::kMostAtOnce / kPagesPerCheck;
  static constexpr u64 kKernelPagesPerCheck = 512;

  // Will-need and populate. Populating gives a large page where it asks for all that one maps, without the
  // region's wanting it: it wants each page, so that nothing can be wasted, and no account pays or earns. A
  // region that is to have none has none.
  Result<void> populate(SpaceId id, Space& space, VaRange range, Advice advice, Checkpoint* checkpoint);
  Result<void> cut_object(MemoryObject& object, u64 pages, Checkpoint* checkpoint);
  bool cut_mappings(MemoryObject& object, Checkpoint* checkpoint);
  Result<void> drop_half_grant(Checkpoint* checkpoint);

  // What kmem_alloc stopped at, or is taking back. What is being taken back is nobody's to go on with.
  struct HalfGrant {
    Gva begin;
    u64 pages = 0;  // as asked for; 0: there is none
    u64 installed = 0;
    enum class Way : u8 { kGrows, kFailed, kGivesWay } way = Way::kGrows;
  };
  HalfGrant half_grant_;
  // What FunctionRef in MetaFrames refers to.
  struct Zero {
    EngineCore& core;
    void operator()(u8* page) const { core.zero_page(page); }
  };
  Zero zero_{*this};
};

}  // namespace nopte::pt
