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

#include "native-fallback/engine/checkpoint.h"
#include "native-fallback/engine/id_table.h"
#include "native-fallback/engine/kmem_area.h"
#include "native-fallback/engine/memory_object.h"
#include "native-fallback/engine/space.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/tables/counters.h"
#include "native-fallback/tables/cursor.h"
#include "native-fallback/tables/page_table_sink.h"
#include "native-fallback/tables/tlb_batch.h"
#include "pvops/base/work.h"
#include "pvops/mm_ops.h"

namespace nopte::pt {

template <PageTableSink Sink>
class Engine {
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
  constexpr Engine(Sink& sink, FrameTable& frames) : sink_(sink), frames_(frames) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- start --------------------------------------------------------------------------------------------

  // Makes the kernel space with empty tables in the top-level slots of the direct map, windows, kmem and
  // image. `direct_table`: the direct map exists already, and this is its published table below the root,
  // outside the pool. Precondition: frames is initialised. Errors: kNoMemory (then the engine is unusable),
  // kInvalid: it covers frames that the format cannot use everywhere.
  Result<void> init(std::optional<Frame> direct_table = {});
  // Maps existing frames that are not the pool's to give (the boot image, natively), global, at `begin`.
  // Precondition: canonical kernel range inside the image range, nothing mapped. Errors: kInvalid, kNoMemory
  // (a prefix is mapped).
  Result<void> map_kernel_frames(Gva begin, FrameRange frames, Perm perm);
  // Committed kernel pages with these contents, zero after their end, in the image range. Errors: as above.
  Result<void> map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm);
  // Maps `range` at the direct range + physical address, with 2 MiB leaves where aligned; read-write, not
  // executable. kUncached for devices. Errors: kInvalid, kNoMemory (a prefix is mapped).
  Result<void> map_direct(FrameRange range, Caching caching = Caching::kWriteBack);
  // The promises of the kernel space: kernel windows. Must outlive the engine.
  void set_kernel_regions(const RegionSource& windows) { kernel_.regions = &windows; }
  // Gives every frame back; all spaces but the kernel's and all objects are destroyed first by the caller.
  // For tests: afterwards free_frames() == total_frames() means that nothing leaked.
  void shut_down();

  // --- spaces -------------------------------------------------------------------------------------------

  // Ids are dense: below kMaxSpaces, lowest free first but never a multiple of 64. Errors: kNoMemory, kLimit.
  static constexpr u32 kMaxSpaces = IdTable<Space>::kMaxIds;
  Result<SpaceId> space_create(const RegionSource& promised);
  // Private pages are shared copy-on-write, object pages left to faults. Errors: kInvalid, kNoMemory, kLimit;
  // the parent may then have lost write rights that faults give back.
  Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised);
  // Frees all that the space holds but its name: an owner with a long list of promises, which are asked for
  // while pages of objects are installed, frees that list next. Errors: kInvalid, kBusy (a CPU runs it),
  // kAgain (issue again).
  Result<void> space_empty(SpaceId space, Checkpoint* checkpoint = nullptr);
  // The same, and its name. Errors: as space_empty.
  Result<void> space_destroy(SpaceId space, Checkpoint* checkpoint = nullptr);
  // kKernel: no user addresses. Errors: kInvalid.
  Result<void> space_activate(SpaceId space);

  // --- regions: called after (map: before) the caller's own list is ready -------------------------------

  // Whether an operation on the range may answer kAgain: that happens between leaf tables.
  [[nodiscard]] static bool may_stop(VaRange range) {
    return (range.begin.value() ^ (range.end - 1).value()) >= Format::table_bytes(1);
  }

  // Nothing is to be done for a new region: the first fault finds it.

  // Takes out everything installed in the range. Errors: kInvalid, kAgain.
  Result<void> region_unmapped(SpaceId space, VaRange range, Checkpoint* checkpoint = nullptr);
  // Gives what is installed in the range at most these rights, and adds rights where that saves a fault.
  // Errors: kInvalid, kAgain.
  Result<void> region_protected(SpaceId space, VaRange range, Perm perm, Checkpoint* checkpoint = nullptr);
  // Moves what is installed in `from` to the range of equal length at `to`, where nothing is installed.
  // Errors: kInvalid, kOverlap (of the two), kNoMemory.
  Result<void> region_moved(SpaceId space, VaRange from, Gva to);
  // As MmOps::region_advise; holes are skipped. Errors: kInvalid, kNoMemory (kPopulate: a prefix is
  // installed), kAgain.
  Result<void> region_advise(SpaceId space, VaRange range, Advice advice, Checkpoint* checkpoint = nullptr);
  // As MmOps::region_resident. Errors: kInvalid.
  [[nodiscard]] Result<u64> region_resident(SpaceId space, VaRange range) const;

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
  // A window onto one page of the object, made (zero) when it has no memory yet: for a home that reads and
  // writes objects without mapping them. Errors: kInvalid, kPastEnd, kNoMemory.
  Result<u8*> object_window(ObjectId object, u64 page);

  // --- kernel memory ------------------------------------------------------------------------------------

  // As MmOps. Errors: kInvalid (no pages), kNoMemory, kAgain (issue again; with other pages it begins anew).
  Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint = nullptr);
  // Errors: kInvalid: not exactly one grant; kAgain: part of it is gone, issue again.
  Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint = nullptr);
  // A window onto a committed kernel page (kmem or image), for the hypervisor to fill what it shares with a
  // guest. Errors: kInvalid: not committed kernel memory.
  Result<u8*> kernel_window(Gva va);

  // --- faults -------------------------------------------------------------------------------------------

  // Makes the access possible, or says why the promises refuse it. Kernel windows are looked up in the kernel
  // space whatever `space` is; an access with user privilege to any kernel address is kNoRegion. A fault that
  // finds nothing to do (another CPU did it, a stale translation) succeeds.
  FaultResult fault(SpaceId space, Gva va, Access access, Privilege privilege);

  // --- looking ------------------------------------------------------------------------------------------

  [[nodiscard]] MemoryInfo memory_info() const { return {frames_.total_frames(), frames_.free_frames()}; }
  [[nodiscard]] const EngineCounters& counters() const { return counters_; }
  // What is installed at va; nothing when the entry is empty or no table leads there.
  [[nodiscard]] std::optional<Installed> peek(SpaceId space, Gva va) const;
  // The top-level table. Errors: kInvalid (a space whose destruction was interrupted, too).
  [[nodiscard]] Result<Frame> root(SpaceId space) const;
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
  // visit(Gva, const Installed&) for all non-empty leaf entries of user addresses (the kernel space: of
  // windows), ascending. Tests and diagnostics.
  template <class Visit>
  void for_each_installed(SpaceId space, Visit visit) const;

 private:
  using Tables = TableMemory<Sink>;
  using Batch = TlbBatch<Sink>;

  // A region, and the object that it shows: null for anonymous memory.
  struct Promise {
    RegionSpec region;
    MemoryObject* object;
  };

  // --- looking up (engine_space.h) ---
  [[nodiscard]] Space* find_space(SpaceId id) {
    if (id == activated_id_) [[likely]]
      return activated_;
    if (id == SpaceId::kKernel) return &kernel_;
    return spaces_.find(frames_, static_cast<u32>(id));
  }
  [[nodiscard]] const Space* find_space(SpaceId id) const {
    return const_cast<Engine*>(this)->find_space(id);
  }
  [[nodiscard]] MemoryObject* find_object(ObjectId id) const {
    return objects_.find(frames_, static_cast<u32>(id));
  }
  // User addresses of a user space, windows of the kernel's.
  [[nodiscard]] static bool valid_range(SpaceId id, VaRange range) {
    const VaRange half = id == SpaceId::kKernel ? Format::kWindowRange : Format::kUserRange;
    return range.page_aligned() && !range.empty() && half.contains(range);
  }
  [[nodiscard]] static FlushScope scope_of(SpaceId id) {
    return id == SpaceId::kKernel ? FlushScope::kKernel : FlushScope::kSpace;
  }
  [[nodiscard]] static Privilege privilege_of(SpaceId id) {
    return id == SpaceId::kKernel ? Privilege::kKernel : Privilege::kUser;
  }
  [[nodiscard]] MetaFrames meta_frames() { return {frames_, zero_}; }

  // Pages between two looks at a checkpoint where leaf tables do not set the pace.
  static constexpr u64 kPagesPerCheck = 16;
  // Nodes that one step of will-need looks at.
  static constexpr u64 kNodesPerStep = work::kMostAtOnce / kPagesPerCheck;
  static constexpr u64 kKernelPagesPerCheck = 512;

  static constexpr Perm without_write(Perm perm) { return perm & kPermRX; }

  // --- pages (engine_fault.h) ---
  Result<void> resolve(Space& space, SpaceId id, const Promise& promise, Gva va, Access access);
  Result<void> resolve_empty(Cursor<Sink>& cursor, SpaceId id, const Promise& promise, u64 page,
                             Access access);
  Result<void> resolve_held(Cursor<Sink>& cursor, Space& space, SpaceId id, const Promise& promise,
                            Entry entry, Access access);
  Result<Frame> zeroed_frame(FrameKind kind);
  Result<Frame> copied_frame(Frame from);
  // One reference less; the last one hands the frame to the batch.
  void drop_reference(Frame frame, Batch& batch);
  Result<void> populate(SpaceId id, Space& space, VaRange range, Advice advice, Checkpoint* checkpoint);

  Result<void> drop_half_grant(Checkpoint* checkpoint);

  // --- ranges (engine_range.h) ---
  void prune_tables(const Space& space, VaRange range, Batch& batch);
  template <class Work>
  Result<void> for_each_leaf_table(SpaceId id, Space& space, VaRange range, Checkpoint* checkpoint,
                                   Work work);
  Result<void> zap(SpaceId id, Space& space, VaRange range, Checkpoint* checkpoint);
  void zap_leaf_table(Cursor<Sink>& cursor, VaRange part, Batch& batch);
  void protect_leaf_table(Cursor<Sink>& cursor, VaRange part, Perm perm, Batch& batch);

  // --- spaces (engine_space.h) ---
  Result<Frame> new_root();
  Result<void> clone_tables(const Space& parent, const Space& child);
  Result<void> clone_leaf_table(Cursor<Sink>& from, const Space& child, Batch& batch);
  Result<Frame> leaf_table_for(Cursor<Sink>& cursor, Gva va);
  std::optional<Installed> installed_at(const Cursor<Sink>& cursor, Entry entry) const;
  bool free_below(Frame table, unsigned level, Batch& batch, Checkpoint* checkpoint);
  [[gnu::noinline, gnu::cold]] void forget_entries(Frame table, unsigned count);

  // --- objects (engine_object.h) ---
  // The object's frame for a page inside it, made (zero) when absent. Errors: kNoMemory.
  Result<Frame> object_frame(MemoryObject& object, ObjectId id, u64 page);
  Result<void> cut_object(MemoryObject& object, u64 pages, Checkpoint* checkpoint);
  bool cut_mappings(MemoryObject& object, Checkpoint* checkpoint);

  // --- kernel (engine_kernel.h) ---
  Result<void> install_kernel(Gva va, Entry leaf, unsigned level = 1);
  void free_kernel_tables(Frame table, unsigned level, Gva begin, Batch& batch);
  Result<void> make_in_root(Frame root, Gva va, Privilege privilege);
  void fill_root(Frame root, Gva va, Frame table, Privilege privilege);

  Sink& sink_;
  FrameTable& frames_;
  EngineCounters counters_;
  Space kernel_;
  // The space that was activated last: it is asked for most.
  SpaceId activated_id_ = SpaceId::kKernel;
  Space* activated_ = &kernel_;
  IdTable<Space> spaces_;
  IdTable<MemoryObject> objects_;
  KmemArea kmem_{Format::kKmemRange};
  // What kmem_alloc stopped at, or is taking back. What is being taken back is nobody's to go on with.
  struct HalfGrant {
    Gva begin;
    u64 pages = 0;  // as asked for; 0: there is none
    u64 installed = 0;
    enum class Way : u8 { kGrows, kFailed, kGivesWay } way = Way::kGrows;
  };
  HalfGrant half_grant_;
  Tables tables_{sink_, frames_, counters_};
  // What FunctionRef in MetaFrames refers to.
  struct Zero {
    Sink& sink;
    void operator()(u8* page) const { sink.zero_page(page); }
  };
  Zero zero_{sink_};
};

}  // namespace nopte::pt

#include "native-fallback/engine/engine_fault.h"
#include "native-fallback/engine/engine_kernel.h"
#include "native-fallback/engine/engine_object.h"
#include "native-fallback/engine/engine_range.h"
#include "native-fallback/engine/engine_space.h"
