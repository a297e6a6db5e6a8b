// VmaMemory: calls that come in a space's queue (pvops/abi/region_queue.h). They are decoded, checked and
// performed as they are in registers; what differs is that nobody hears of an error, so that a guest that
// keeps the rules meets none. One that does not has promised less than it thinks. Included by vma_memory.h.
//
// At most kQueueSlots calls are done at once, and each is bounded: a region more, the rights of
// kQueuedProtectPages, or kMostUnmapped regions less.
#pragma once

namespace nopte::hv {

// region_map of a target. Errors: as the call; kLimit: above `most` regions.
template <pt::PageTableSink Sink>
[[gnu::always_inline]] inline CallResult VmaMemory<Sink>::map_in(const Target& target,
                                                                 const abi::region_map_args& args, u64 most) {
  if (args.flags & ~abi::kRegionFlagMask) return Fail(Status::kInvalid);
  RegionSpec spec{.range = target.range,
                  .perm = Perm(static_cast<u8>(args.flags & Perm::kAll)),
                  .sharing = (args.flags & abi::kRegionShared) ? Sharing::kShared : Sharing::kPrivate,
                  .object = args.object,
                  .object_page = args.object_page};
  if (args.flags & abi::kRegionUsage) [[unlikely]] {
    const u64 usage = (args.flags & abi::kRegionUsage) >> abi::kRegionUsageShift;
    if (hides(abi::kFeatureUsage) || !Usage::valid(usage)) return Fail(Status::kInvalid);
    spec.usage = Usage(static_cast<u8>(usage));
  }
  DeclaredObject* object = nullptr;
  if (args.object == ObjectId::kNone) {
    if (spec.sharing == Sharing::kShared || args.object_page != 0) return Fail(Status::kInvalid);
  } else {
    const Result<DeclaredObject*> found = object_of(args.object);
    if (!found) return Fail(found.error());
    object = *found;
  }
  // A kernel window shows an object as it is and holds no code.
  if (args.space == SpaceId::kKernel &&
      (object == nullptr || spec.sharing != Sharing::kShared || spec.perm.exec())) {
    return Fail(Status::kInvalid);
  }
  if (args.flags & (abi::kRegionReplace | abi::kRegionPopulate)) [[unlikely]] {
    return map_with(args.flags, args.space, *target.tree, spec, object);
  }
  NOPTE_TRY(target.tree->insert(spec, 0, object, most));
  return 0;
}

// All that is queued happens. `touched`: what is there is about to be installed, if it is an address of the
// space.
template <pt::PageTableSink Sink>
void VmaMemory<Sink>::drain(DeclaredSpace& space, Gva touched) {
  {
    const auto spent = nodes_.spend(space.queue.paid);
    for (u32 n = 0; n < abi::kQueueSlots; ++n) {
      const auto taken = space.queue.take();
      if (!taken) break;
      if (taken->call == abi::kQueuedCancelled) continue;
      ++queue_counters_.queued;
      if (queued_call(space, *taken, touched).status != Status::kOk) ++queue_counters_.refused;
      space.queue.done(taken->call == static_cast<u64>(abi::Call::region_protect) ? abi::kQueuedProtectCost
                                                                                  : abi::kQueuedMapCost);
    }
  }
  pay_ahead(space);
}

// Errors: those of the call, and kUnsupported: it is none that may be queued.
template <pt::PageTableSink Sink>
[[gnu::always_inline]] inline CallResult VmaMemory<Sink>::queued_call(DeclaredSpace& space,
                                                                      const RegionQueue::Taken& taken,
                                                                      Gva touched) {
  switch (taken.call) {
    case static_cast<u64>(abi::Call::region_map):
      return queued_map(space, taken, touched);
    case static_cast<u64>(abi::Call::region_unmap):
      return queued_unmap(space, taken);
    case static_cast<u64>(abi::Call::region_protect):
      return queued_protect(space, taken);
    default:
      return Fail(Status::kUnsupported);
  }
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::queued_map(DeclaredSpace& space, const RegionQueue::Taken& taken, Gva touched) {
  const auto& rest = taken.arguments;
  abi::region_map_args args;
  if (!abi::decode({static_cast<u32>(space.space()), rest[0], rest[1], rest[2], rest[3], rest[4]}, args)) {
    return Fail(Status::kInvalid);
  }
  if (args.flags & (abi::kRegionReplace | abi::kRegionPopulate)) return Fail(Status::kUnsupported);
  if (args.pages > kUserRange.pages()) return Fail(Status::kInvalid);
  const VaRange range = VaRange::of_pages(args.begin, args.pages);
  const CallResult mapped = map_in({&space, range}, args, kMostQueued);
  if (mapped.status == Status::kOk && !range.contains(touched) && space.queue.left() < kWordsAtOnce) {
    space.queue.untouched.add(range);
  }
  return mapped;
}

// The unmap of what nothing was installed in since it was mapped, so that there is nothing to take out. It is
// few regions: what was queued between its word's death and this has made them. Of more a prefix is
// withdrawn.
template <pt::PageTableSink Sink>
[[gnu::noinline]] CallResult VmaMemory<Sink>::queued_unmap(DeclaredSpace& space,
                                                           const RegionQueue::Taken& taken) {
  const auto& rest = taken.arguments;
  abi::region_unmap_args args;
  if (!abi::decode({static_cast<u32>(space.space()), rest[0], rest[1]}, args)) return Fail(Status::kInvalid);
  const VaRange range = VaRange::of_pages(args.begin, args.pages);
  if (!space.queue.untouched.take(range)) return Fail(Status::kUnsupported);
  Result<RegionPlan> plan = space.prepare_unmap(range);
  if (!plan) return Fail(plan.error());
  if (space.regions() + plan->nodes_held() > kMostQueued) return Fail(Status::kLimit);
  space.limit(*plan, kMostUnmapped);
  space.commit(*plan);
  return 0;
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::region_queues(const abi::region_queues_args& args) {
  if (hides(abi::kFeatureRegionQueue)) return Fail(Status::kUnsupported);
  if (args.block >= abi::kQueueBlocks) return Fail(Status::kInvalid);
  if (args.block >= queue_blocks_end_ || queue_blocks_[args.block] == Gva()) {
    pt::Checkpoint checkpoint(stop_);
    const Result<Gva> begin = engine_.kmem_alloc(abi::kQueueBlockPages, &checkpoint);
    if (!begin) return Fail(begin.error());
    queue_blocks_[args.block] = *begin;
    if (queue_blocks_end_ <= args.block) queue_blocks_end_ = args.block + 1;
  }
  // Other spaces have theirs with their next call.
  offer_queue(windows_);
  return queue_blocks_[args.block].value();
}

// A change of rights that only adds, where faults find it: what is installed is not looked at. Errors: as
// queued_map.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::queued_protect(DeclaredSpace& space, const RegionQueue::Taken& taken) {
  const auto& rest = taken.arguments;
  abi::region_protect_args args;
  if (!abi::decode({static_cast<u32>(space.space()), rest[0], rest[1], rest[2]}, args) ||
      (args.perm & ~u64{Perm::kAll}) != 0) {
    return Fail(Status::kInvalid);
  }
  const Perm perm(static_cast<u8>(args.perm));
  if (args.space == SpaceId::kKernel || args.pages > abi::kQueuedProtectPages) {
    return Fail(Status::kUnsupported);
  }
  const VaRange range = VaRange::of_pages(args.begin, args.pages);
  Result<RegionPlan> plan = space.prepare_protect(range, perm);
  if (!plan) return Fail(plan.error());
  for (const RegionNode* node = space.at_or_after(range.begin);
       node != nullptr && node->range().begin < range.end; node = space.next(*node)) {
    if (!perm.contains(node->spec.perm)) return Fail(Status::kUnsupported);
  }
  if (space.regions() + plan->nodes_held() > kMostQueued) return Fail(Status::kLimit);
  space.queue.untouched.forget_living(range);
  if (plan->changes()) space.commit(*plan);
  return 0;
}

// Opens the space's queue, if the guest has asked for it, and pays for what may be put there.
template <pt::PageTableSink Sink>
void VmaMemory<Sink>::offer_queue(DeclaredSpace& space) {
  if (!space.queue.open()) {
    const u32 id = static_cast<u32>(space.space());
    const u32 block = id / abi::kQueuesPerBlock;
    if (block >= queue_blocks_end_ || queue_blocks_[block] == Gva()) return;
    const Gva at = queue_blocks_[block] + id % abi::kQueuesPerBlock * abi::kQueueBytes;
    const Result<u8*> memory = engine_.kernel_pointer(at);
    if (!memory) return;
    space.queue.open_at(*reinterpret_cast<abi::RegionQueue*>(*memory), hides(abi::kFeatureUntouchedWords)
                                                                           ? RegionQueue::Words::kNone
                                                                           : RegionQueue::Words::kUntouched);
  }
  pay_ahead(space);
}

// The guest may put as many calls as there is room for what they make.
template <pt::PageTableSink Sink>
[[gnu::always_inline]] inline void VmaMemory<Sink>::pay_ahead(DeclaredSpace& space) {
  const u64 room = kMaxRegionsPerSpace - std::min(space.regions(), kMaxRegionsPerSpace);
  const u32 most = static_cast<u32>(std::min<u64>(room, abi::kQueueSlots));
  if (space.queue.paid.count() < most) [[unlikely]]
    nodes_.pay(space.queue.paid, most);
  space.queue.tell(std::min(space.queue.paid.count(), most));
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::object_destroy(const abi::object_destroy_args& args) {
  const Result<DeclaredObject*> object = object_of(args.object);
  if (!object) return Fail(object.error());
  pt::Checkpoint checkpoint(stop_);
  // The unmap of a region that shows it may be queued.
  while (const RegionNode* const shown = (*object)->first()) {
    DeclaredSpace& space = *static_cast<DeclaredSpace*>(shown->tree);
    if (!space.queue.pending()) return Fail(Status::kBusy);
    drain(space);
    // A call that is never put whole holds up those behind it.
    if (space.queue.pending() && (*object)->first() == shown) return Fail(Status::kBusy);
    if (checkpoint.should_stop(Gva())) return Fail(Status::kAgain);
  }
  NOPTE_TRY(engine_.object_destroy(args.object, &checkpoint));
  objects_.destroy(*object);
  return 0;
}

// A fault is about to install something. False: not while the guest is unmapping it.
template <pt::PageTableSink Sink>
[[gnu::noinline]] bool VmaMemory<Sink>::touch(DeclaredSpace& space, Gva va) {
  static_assert(Sink::Format::table_bytes(1) == UntouchedRanges::kBlockBytes);
  return space.queue.untouched.touch(UntouchedRanges::block_of(va), [&] {
    const auto region = space.find(va);
    return region ? Engine::reach_of_fault(va, *region) : VaRange{};  // it will be refused
  });
}

// The same, of a kernel window: what is queued for it has happened.
template <pt::PageTableSink Sink>
[[gnu::noinline]] bool VmaMemory<Sink>::window_ready(Gva va) {
  if (windows_.queue.pending()) drain(windows_, va);
  return !windows_.queue.untouched.may_be_near(va) || touch(windows_, va);
}

template <pt::PageTableSink Sink>
bool VmaMemory<Sink>::holds_queues(Gva begin) const {
  for (u64 block = 0; block < queue_blocks_end_; ++block) {
    if (queue_blocks_[block] == begin && begin != Gva()) return true;
  }
  return false;
}

}  // namespace nopte::hv
