// The memory calls of the ABI for one guest of mode vma: decode -> check -> perform over the paging engine.
//
// Every check on what the guest passed is here or in RegionTree; the engine is asked for what cannot be
// refused any more, or for what rolls back. A call that fails has changed nothing, except kAgain and populate
// (pvops/abi/hypercalls.def). The guest's own memory pays for all that is kept about it.
//
// Concurrency: one caller at a time (the vCPU's run loop).
#pragma once

#include <algorithm>

#include "hv-mm/abi/dispatch.h"
#include "hv-mm/vma/declared.h"
#include "hv-mm/vma/stopped_call.h"
#include "native-fallback/engine/engine.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

template <pt::PageTableSink Sink>
class VmaMemory {
 public:
  using Engine = pt::Engine<Sink>;

  // `stop`: an interrupt is pending, long calls should answer kAgain. All arguments outlive this.
  VmaMemory(Engine& engine, pt::FrameTable& frames, FunctionRef<bool()> stop)
      : engine_(engine),
        stop_(stop),
        nodes_(frames),
        spaces_(frames),
        objects_(frames),
        windows_(kWindowRange, nodes_, nullptr) {}
  VmaMemory(const VmaMemory&) = delete;
  VmaMemory& operator=(const VmaMemory&) = delete;

  // Once, after engine.init().
  void init() {
    engine_.set_kernel_regions(windows_);
    (void)nodes_.refill();  // or before the first call that needs it
  }

  // Features that the guest is not to have: what belongs to them is refused.
  void hide(u64 features) { hidden_ = features; }

  // Answers a memory call; kUnsupported for every number that is not one.
  CallResult call(u64 number, const abi::Registers& registers) { return dispatch(*this, number, registers); }

  // An access of the guest that its tables refused. `user`: made at CPL 3.
  std::expected<void, ViolationReason> fault(Gva va, Access access, pt::Privilege privilege) {
    if (active_space_->queue.pending()) [[unlikely]]
      drain(*active_space_, va);
    if (active_space_->queue.untouched.may_be_near(va) && !touch(*active_space_, va)) [[unlikely]]
      return std::unexpected(ViolationReason::kNoRegion);
    if (!kUserRange.contains(va) && !window_ready(va)) [[unlikely]]
      return std::unexpected(ViolationReason::kNoRegion);
    return engine_.fault(active_, va, access, privilege);
  }

  // The initramfs, before the guest starts. Errors: kNoMemory, kLimit.
  Result<ObjectId> adopt_object(pt::FrameRange contents) {
    return with_object([&](DeclaredObject& declared) { return engine_.object_adopt(contents, declared); });
  }

  // Kernel memory of the guest's that the hypervisor goes on writing to, so the guest cannot give it back.
  // Once, before the guest starts. Errors: kInvalid, kNoMemory.
  Result<Gva> alloc_kept_kmem(u64 pages) {
    const Result<Gva> begin = engine_.kmem_alloc(pages);
    if (begin) kept_kmem_ = *begin;
    return begin;
  }

  // What is queued is promised, too.
  [[gnu::cold]] void draw(pt::PictureWriter& picture) {
    if (active_space_->queue.pending()) drain(*active_space_);
    engine_.draw(picture);
  }

  [[nodiscard]] SpaceId active() const { return active_; }
  Engine& engine() { return engine_; }

  // The declared list of a space, for comparison: what is queued is not in it. Errors: kInvalid.
  [[nodiscard]] Result<const RegionTree*> declared(SpaceId space) {
    const Result<DeclaredSpace*> found = space_of(space);
    if (!found) return Fail(found.error());
    return *found;
  }
  // Nothing was installed at va since it was mapped, for all that its space's words say.
  [[nodiscard]] bool untouched(SpaceId space, Gva va) {
    const Result<DeclaredSpace*> found = space_of(space);
    return found && (*found)->queue.untouched.contains(va);
  }
  // Calls that came in queues, and how many of them were refused.
  struct QueueCounters {
    u64 queued = 0;
    u64 refused = 0;
  };
  [[nodiscard]] const QueueCounters& queue_counters() const { return queue_counters_; }

  // The handlers: one for each call, of its name, answering to dispatch().

  // --- spaces -------------------------------------------------------------------------------------------

  CallResult space_create(const abi::space_create_args&);
  CallResult space_clone(const abi::space_clone_args& args);
  CallResult space_destroy(const abi::space_destroy_args& args);
  CallResult space_activate(const abi::space_activate_args& args);
  CallResult space_switch(const abi::space_switch_args& args);

  // --- regions ------------------------------------------------------------------------------------------

  [[gnu::always_inline]] CallResult region_map(const abi::region_map_args& args) {
    const Result<Target> target = target_of(args.space, args.begin, args.pages);
    if (!target) return Fail(target.error());
    const CallResult mapped = map_in(*target, args, kMaxRegionsPerSpace);
    if (target->tree->queue.credit() < abi::kQueueSlots) [[unlikely]]
      offer_queue(*target->tree);
    return mapped;
  }

  [[gnu::always_inline]] CallResult region_unmap(const abi::region_unmap_args& args) {
    const Result<Target> target = target_of(args.space, args.begin, args.pages);
    if (!target) return Fail(target.error());
    if (Engine::may_stop(target->range)) return unmap_far(args.space, *target->tree, target->range);
    Result<RegionPlan> plan = target->tree->prepare_unmap(target->range);
    if (!plan) return Fail(plan.error());
    if (too_many(*target->tree, *plan)) return Fail(Status::kLimit);
    if (!plan->changes()) return 0;
    NOPTE_TRY(engine_.region_unmapped(args.space, target->range));
    target->tree->commit(*plan);
    return 0;
  }

  [[gnu::always_inline]] CallResult region_protect(const abi::region_protect_args& args) {
    const Result<Target> target = target_of(args.space, args.begin, args.pages);
    if (!target) return Fail(target.error());
    if (args.perm & ~u64{Perm::kAll}) return Fail(Status::kInvalid);
    const Perm perm(static_cast<u8>(args.perm));
    if (args.space == SpaceId::kKernel && perm.exec()) return Fail(Status::kInvalid);
    if (Engine::may_stop(target->range)) return protect_far(args.space, *target->tree, target->range, perm);
    Result<RegionPlan> plan = target->tree->prepare_protect(target->range, perm);
    // It may be the rest of one that has begun: that is not refused.
    if (!plan || too_many(*target->tree, *plan)) [[unlikely]]
      return protect_far(args.space, *target->tree, target->range, perm);
    if (!plan->changes()) return 0;
    NOPTE_TRY(engine_.region_protected(args.space, {plan->changes_from(), target->range.end}, perm));
    target->tree->commit(*plan);
    return 0;
  }

  CallResult region_move(const abi::region_move_args& args) {
    const Result<Target> from = target_of(args.space, args.begin, args.pages);
    if (!from) return Fail(from.error());
    const Result<Target> to = target_of(args.space, args.to, args.pages);
    if (!to) return Fail(to.error());
    Result<RegionPlan> plan = from->tree->prepare_move(from->range, args.to);
    if (!plan) return Fail(plan.error());
    if (too_many(*from->tree, *plan)) return Fail(Status::kLimit);
    NOPTE_TRY(engine_.region_moved(args.space, from->range, args.to));
    from->tree->commit(*plan);
    return 0;
  }

  CallResult region_advise(const abi::region_advise_args& args) {
    const Result<Target> target = target_of(args.space, args.begin, args.pages);
    if (!target) return Fail(target.error());
    if (args.advice > static_cast<u64>(kLastAdvice)) return Fail(Status::kInvalid);
    const RangeCall issue{abi::Call::region_advise, args.space, target->range, args.advice};
    if (const UsageChange use = usage_change(static_cast<Advice>(args.advice)); use.mask != 0) {
      if (hides(abi::kFeatureUsage)) return Fail(Status::kInvalid);
      return use_range(issue, *target->tree, use);
    }
    const Gva begin = stopped_.start(issue, moment(issue.call, *target->tree)).begin;
    pt::Checkpoint checkpoint(stop_);
    const auto done = engine_.region_advise(args.space, {begin, target->range.end},
                                            static_cast<Advice>(args.advice), &checkpoint);
    if (done) return 0;
    if (done.error() != Status::kAgain) return Fail(done.error());
    return stop_at(issue, *target->tree, begin, checkpoint.next());
  }

  CallResult region_resident(const abi::region_resident_args& args) {
    const Result<Target> target = target_of(args.space, args.begin, args.pages);
    if (!target) return Fail(target.error());
    const Result<u64> resident = engine_.region_resident(args.space, target->range);
    if (!resident) return Fail(resident.error());
    return *resident;
  }

  CallResult region_installed(const abi::region_installed_args& args);
  CallResult region_queues(const abi::region_queues_args& args);

  // --- objects ------------------------------------------------------------------------------------------

  CallResult object_create(const abi::object_create_args& args) {
    const Result<ObjectId> id =
        with_object([&](DeclaredObject& declared) { return engine_.object_create(args.pages, declared); });
    if (!id) return Fail(id.error());
    return static_cast<u32>(*id);
  }

  CallResult object_resize(const abi::object_resize_args& args) {
    const Result<DeclaredObject*> object = object_of(args.object);
    if (!object) return Fail(object.error());
    pt::Checkpoint checkpoint(stop_);
    NOPTE_TRY(engine_.object_resize(args.object, args.pages, &checkpoint));
    return 0;
  }

  CallResult object_destroy(const abi::object_destroy_args& args);

  // --- kernel memory ------------------------------------------------------------------------------------

  CallResult kmem_alloc(const abi::kmem_alloc_args& args) {
    pt::Checkpoint checkpoint(stop_);
    const Result<Gva> begin = engine_.kmem_alloc(args.pages, &checkpoint);
    if (!begin) return Fail(begin.error());
    return begin->value();
  }

  CallResult kmem_free(const abi::kmem_free_args& args) {
    // A grant is only ever named by where it begins.
    if (args.begin == kept_kmem_ || holds_queues(args.begin)) return Fail(Status::kInvalid);
    pt::Checkpoint checkpoint(stop_);
    NOPTE_TRY(engine_.kmem_free(args.begin, args.pages, &checkpoint));
    return 0;
  }

  CallResult memory_info(const abi::memory_info_args& args) {
    const MemoryInfo info = engine_.memory_info();
    switch (args.item) {
      case 0:
        return info.total_pages;
      case 1:
        return info.free_pages;
    }
    return Fail(Status::kInvalid);
  }

 private:
  [[nodiscard]] bool hides(u64 feature) const { return (hidden_ & feature) != 0; }

  // --- checks -------------------------------------------------------------------------------------------

  // Regions that the change may add count as added. What has begun may end: it takes no more than the
  // reserve.
  static bool too_many(const RegionTree& tree, const RegionPlan& plan, bool goes_on = false) {
    return plan.nodes_held() != 0 && tree.regions() + plan.nodes_held() >
                                         kMaxRegionsPerSpace + (goes_on ? RegionNodeSlab::kReserved : 0);
  }

  // --- spaces (space_calls.h) ---------------------------------------------------------------------------
  Result<u64> named(DeclaredSpace* tree, Result<SpaceId> space);
  CallResult destroy(SpaceId space, DeclaredSpace& declared);

  // --- calls that may stop (long_calls.h) ---------------------------------------------------------------
  [[nodiscard]] StoppedCall::Moment moment(abi::Call call, const RegionTree& tree) const;
  CallResult stop_at(const RangeCall& issue, const RegionTree& tree, Gva began, Gva next);
  Result<void> make_ready(const RangeCall& issue, Gva end);
  template <class Piece>
  CallResult in_pieces(const RangeCall& issue, RegionTree& tree, StoppedCall::Start start, Piece piece);
  static Result<Gva> commit_done(RegionTree& tree, RegionPlan& plan, const Result<void>& done,
                                 const pt::Checkpoint& checkpoint);
  [[gnu::noinline]] CallResult unmap_far(SpaceId space, RegionTree& tree, VaRange range);
  [[gnu::noinline]] CallResult protect_far(SpaceId space, RegionTree& tree, VaRange range, Perm perm);
  [[gnu::noinline, gnu::cold]] CallResult use_range(const RangeCall& issue, RegionTree& tree,
                                                    UsageChange use);
  [[gnu::noinline]] CallResult map_with(u64 flags, SpaceId space, RegionTree& tree, const RegionSpec& spec,
                                        DeclaredObject* object);
  CallResult replace(SpaceId space, RegionTree& tree, const RegionSpec& spec, DeclaredObject* object);
  u64 populated(SpaceId space, const RegionTree& tree, const RegionSpec& spec);

  // --- queues (queued_calls.h) --------------------------------------------------------------------------
  struct Target;
  // Regions of a space. Room for queued ones was there when they were allowed, and the reserve is what calls
  // may have taken since.
  static constexpr u64 kMostQueued = kMaxRegionsPerSpace + RegionNodeSlab::kReserved + abi::kQueueSlots;
  // Who maps many at once is not about to unmap them: words are for the last few.
  static constexpr u32 kWordsAtOnce = 2;
  static constexpr u64 kMostUnmapped = work::kMostAtOnce / abi::kQueueSlots;
  static_assert(kMostUnmapped >= 1 + abi::kQueueSlots / abi::kQueuedProtectCost * abi::kQueuedProtectCost);
  CallResult map_in(const Target& target, const abi::region_map_args& args, u64 most);
  [[gnu::noinline]] void drain(DeclaredSpace& space, Gva touched = {});
  CallResult queued_call(DeclaredSpace& space, const RegionQueue::Taken& taken, Gva touched);
  CallResult queued_map(DeclaredSpace& space, const RegionQueue::Taken& taken, Gva touched);
  CallResult queued_unmap(DeclaredSpace& space, const RegionQueue::Taken& taken);
  CallResult queued_protect(DeclaredSpace& space, const RegionQueue::Taken& taken);
  [[gnu::noinline]] void offer_queue(DeclaredSpace& space);
  void pay_ahead(DeclaredSpace& space);
  bool touch(DeclaredSpace& space, Gva va);
  bool window_ready(Gva va);
  [[nodiscard]] bool holds_queues(Gva begin) const;

  struct Target {
    DeclaredSpace* tree;
    VaRange range;
  };

  // The tree and range that a region call names; what is queued for the space has happened. Whether the range
  // is page-aligned, not empty and within bounds is for those who get it to check: the tree, or the engine.
  // Errors: kInvalid.
  [[gnu::always_inline]] Result<Target> target_of(SpaceId space, Gva begin, u64 pages) {
    DeclaredSpace* tree = active_space_;
    if (space != active_) [[unlikely]] {
      const Result<DeclaredSpace*> found = told_space(space);
      if (!found) return Fail(found.error());
      tree = *found;
    } else if (tree->queue.pending()) [[unlikely]] {
      drain(*tree);
    }
    if (pages > kUserRange.pages()) return Fail(Status::kInvalid);  // at most, the end wraps to below begin
    const VaRange range = VaRange::of_pages(begin, pages);
    if (tree->queue.untouched.any()) [[unlikely]]
      tree->queue.untouched.forget(range);
    return Target{tree, range};
  }
  // The space, when what is queued for it has happened. Errors: kInvalid.
  [[gnu::noinline]] Result<DeclaredSpace*> told_space(SpaceId space) {
    const Result<DeclaredSpace*> found = space_of(space);
    if (found && (*found)->queue.pending()) drain(**found);
    return found;
  }

  // The engine remembers each space's promises and each object's mappings by reference: they are ours.
  // A space whose destruction was interrupted is no space any more, except for space_destroy.
  Result<DeclaredSpace*> space_of(SpaceId space) {
    // Nearly always; the active space cannot be destroyed.
    if (space == active_) [[likely]]
      return active_space_;
    if (space == SpaceId::kKernel) return &windows_;
    if (const auto root = engine_.root(space); !root) return Fail(root.error());
    return user_space(space);
  }
  Result<DeclaredSpace*> user_space(SpaceId space) {
    if (space == SpaceId::kKernel) return Fail(Status::kInvalid);
    const Result<const RegionSource*> promised = engine_.promised(space);
    if (!promised) return Fail(promised.error());
    return const_cast<DeclaredSpace*>(static_cast<const DeclaredSpace*>(*promised));
  }
  Result<DeclaredObject*> object_of(ObjectId object) {
    const Result<const ObjectMappings*> mappings = engine_.mappings(object);
    if (!mappings) return Fail(mappings.error());
    return const_cast<DeclaredObject*>(static_cast<const DeclaredObject*>(*mappings));
  }

  template <class Create>
  Result<ObjectId> with_object(Create create) {
    DeclaredObject* const declared = objects_.make();
    if (declared == nullptr) return Fail(Status::kNoMemory);
    const Result<ObjectId> id = create(*declared);
    if (!id) objects_.destroy(declared);
    return id;
  }

  Engine& engine_;
  FunctionRef<bool()> stop_;
  RegionNodeSlab nodes_;
  SlabOf<DeclaredSpace> spaces_;
  SlabOf<DeclaredObject> objects_;
  DeclaredSpace windows_;
  Gva kept_kmem_;  // where the grant begins
  SpaceId active_ = SpaceId::kKernel;
  DeclaredSpace* active_space_ = &windows_;
  StoppedCall stopped_;
  std::array<Gva, abi::kQueueBlocks> queue_blocks_{};  // where the grants begin; null: not made
  u64 queue_blocks_end_ = 0;                           // those from there on are not made
  u64 hidden_ = 0;                                     // features
  QueueCounters queue_counters_;
};

}  // namespace nopte::hv

#include "hv-mm/vma/long_calls.h"
#include "hv-mm/vma/queued_calls.h"
#include "hv-mm/vma/space_calls.h"
