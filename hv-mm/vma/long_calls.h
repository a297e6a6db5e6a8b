// VmaMemory: calls on ranges of more than one leaf table. They stop where an interrupt
// is pending, and where they have dealt with as many regions as are dealt with at once. Included by
// vma_memory.h.
#pragma once

namespace nopte::hv {

template <pt::PageTableSink Sink>
StoppedCall::Moment VmaMemory<Sink>::moment(abi::Call call, const RegionTree& tree) const {
  const pt::EngineCounters& counters = engine_.counters();
  const bool advice = call == abi::Call::region_advise;
  return {tree.version(), advice ? counters.entries_written + counters.tables_freed : 0};
}

// An answer: the call, which began at `began`, stops, and all below `next` is done.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::stop_at(const RangeCall& issue, const RegionTree& tree, Gva began, Gva next) {
  stopped_.remember(issue, began, next, moment(issue.call, tree));
  // Where the rest is issued as it was there is no other call to name.
  const u64 done = issue.call == abi::Call::region_map ? 0 : VaRange{issue.range.begin, next}.pages();
  return {Status::kAgain, done};
}

// What later pieces need of tables is there before the first one, which goes up to `end`, begins. Errors:
// kNoMemory.
template <pt::PageTableSink Sink>
Result<void> VmaMemory<Sink>::make_ready(const RangeCall& issue, Gva end) {
  return end == issue.range.end ? Result<void>() : engine_.make_ready(issue.space, issue.range);
}

// piece(begin, goes_on, checkpoint) does the call from `begin` on as far as the regions go that are dealt
// with at once, and answers how far that is. `goes_on`: something is done already, so it takes what it needs
// from the reserve and is refused nothing.
template <pt::PageTableSink Sink>
template <class Piece>
CallResult VmaMemory<Sink>::in_pieces(const RangeCall& issue, RegionTree& tree, StoppedCall::Start start,
                                      Piece piece) {
  pt::Checkpoint checkpoint(stop_, {start.began, issue.range.end});
  for (;;) {
    const Result<Gva> reached = piece(start.begin, start.goes_on, checkpoint);
    if (!reached) return Fail(reached.error());
    (void)nodes_.refill();  // by what was freed, if the piece took from there
    if (*reached == issue.range.end) return 0;
    if (checkpoint.stopped() || checkpoint.should_stop(*reached))
      return stop_at(issue, tree, start.began, *reached);
    start = {*reached, true, start.began};
  }
}

// The promise follows what is installed: all that the plan is about, or the prefix up to where the engine
// stopped. How far that is.
template <pt::PageTableSink Sink>
Result<Gva> VmaMemory<Sink>::commit_done(RegionTree& tree, RegionPlan& plan, const Result<void>& done,
                                         const pt::Checkpoint& checkpoint) {
  if (!done) {
    if (done.error() != Status::kAgain) return Fail(done.error());
    plan.only_unmap();
    plan.shorten(checkpoint.next());
  }
  const Gva reached = plan.range().end;
  tree.commit(plan);
  return reached;
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::unmap_far(SpaceId space, RegionTree& tree, VaRange range) {
  const RangeCall issue{abi::Call::region_unmap, space, range, 0};
  const auto start = stopped_.start(issue, moment(issue.call, tree));
  const auto piece = [&](Gva begin, bool goes_on, pt::Checkpoint& checkpoint) -> Result<Gva> {
    Result<RegionPlan> plan = tree.prepare_unmap({begin, range.end});
    if (!plan) return Fail(plan.error());
    if (too_many(tree, *plan, goes_on)) return Fail(Status::kLimit);
    if (!plan->changes()) return range.end;
    tree.limit(*plan, work::kMostAtOnce);
    if (!goes_on) NOPTE_TRY(make_ready(issue, plan->range().end));
    // Where a prefix ends inside a region, that is recorded until all of it is gone.
    const auto lent = nodes_.lend(true);
    if (!plan->hold_for_prefix()) return Fail(Status::kNoMemory);
    const auto done = engine_.region_unmapped(space, plan->range(), &checkpoint);
    return commit_done(tree, *plan, done, checkpoint);
  };
  return in_pieces(issue, tree, start, piece);
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::protect_far(SpaceId space, RegionTree& tree, VaRange range, Perm perm) {
  const RangeCall issue{abi::Call::region_protect, space, range, perm.bits()};
  const auto start = stopped_.start(issue, moment(issue.call, tree));
  const auto piece = [&](Gva begin, bool goes_on, pt::Checkpoint& checkpoint) -> Result<Gva> {
    auto lent = nodes_.lend(goes_on);
    Result<RegionPlan> plan = tree.prepare_protect({begin, range.end}, perm, work::kMostAtOnce);
    if (!plan) return Fail(plan.error());
    if (too_many(tree, *plan, goes_on)) return Fail(Status::kLimit);
    const Gva end = plan->range().end;
    if (!plan->changes() && end == range.end) return end;
    if (!goes_on) {
      // What a later piece needs is there before the first one begins.
      if (!nodes_.refill()) return Fail(Status::kNoMemory);
      NOPTE_TRY(make_ready(issue, end));
    }
    if (!plan->changes()) return end;
    lent.everything();
    if (!plan->hold_for_prefix()) return Fail(Status::kNoMemory);
    const auto done = engine_.region_protected(space, {plan->changes_from(), end}, perm, &checkpoint);
    return commit_done(tree, *plan, done, checkpoint);
  };
  return in_pieces(issue, tree, start, piece);
}

// How a range is used: a matter of the promises alone, so that no interrupt waits for more than a piece.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::use_range(const RangeCall& issue, RegionTree& tree, UsageChange use) {
  const auto start = stopped_.start(issue, moment(issue.call, tree));
  const auto piece = [&](Gva begin, bool goes_on, pt::Checkpoint&) -> Result<Gva> {
    const auto lent = nodes_.lend(goes_on);
    Result<RegionPlan> plan = tree.prepare_use({begin, issue.range.end}, use, work::kMostAtOnce);
    if (!plan) return Fail(plan.error());
    if (too_many(tree, *plan, goes_on)) return Fail(Status::kLimit);
    const Gva end = plan->range().end;
    // What a later piece needs is there before the first one begins.
    if (!goes_on && end != issue.range.end && !nodes_.refill()) return Fail(Status::kNoMemory);
    tree.commit(*plan);
    return end;
  };
  return in_pieces(issue, tree, start, piece);
}

// Answers how far it came, so that it need not stop.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::region_installed(const abi::region_installed_args& args) {
  if (hides(abi::kFeatureInstalled)) return Fail(Status::kUnsupported);
  const Result<Target> target = target_of(args.space, args.begin, args.pages);
  if (!target) return Fail(target.error());
  if (args.pages > abi::kMostCounted) return Fail(Status::kInvalid);
  VaRange left = target->range;
  const Result<InstalledPages> some = engine_.region_installed(args.space, left);
  if (!some) return Fail(some.error());
  return abi::CountedPages{some->pages, some->large, args.pages - left.pages()}.word();
}

// region_map of a checked region with flags. The answer is how many pages are dealt with ahead.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::map_with(u64 flags, SpaceId space, RegionTree& tree, const RegionSpec& spec,
                                     DeclaredObject* object) {
  if (flags & abi::kRegionReplace) {
    const CallResult replaced = replace(space, tree, spec, object);
    if (replaced.status != Status::kOk) return replaced;
  } else {
    NOPTE_TRY(tree.insert(spec, 0, object, kMaxRegionsPerSpace));
  }
  return flags & abi::kRegionPopulate ? populated(space, tree, spec) : 0;
}

// Withdraws what is in the way of a region, and promises it. Errors: kNoMemory, kLimit, kAgain (a prefix is
// withdrawn).
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::replace(SpaceId space, RegionTree& tree, const RegionSpec& spec,
                                    DeclaredObject* object) {
  const RangeCall issue{abi::Call::region_map, space, spec.range, 0};
  const auto start = stopped_.start(issue, moment(issue.call, tree));
  // What is done is a hole by now: each piece is asked for the whole.
  const auto piece = [&](Gva, bool goes_on, pt::Checkpoint& checkpoint) -> Result<Gva> {
    const auto lent = nodes_.lend(goes_on);
    Result<RegionPlan> plan = tree.prepare_replace(spec, 0, object);
    if (!plan) return Fail(plan.error());
    if (too_many(tree, *plan, goes_on)) return Fail(Status::kLimit);
    tree.limit(*plan, work::kMostAtOnce);
    if (!goes_on && Engine::may_stop(spec.range)) {
      if (!nodes_.refill()) return Fail(Status::kNoMemory);
      NOPTE_TRY(make_ready(issue, plan->range().end));
    }
    const auto done = engine_.region_unmapped(space, plan->range(), &checkpoint);
    return commit_done(tree, *plan, done, checkpoint);
  };
  return in_pieces(issue, tree, start, piece);
}

// How many pages of a promised region are installed ahead, or could not be.
template <pt::PageTableSink Sink>
u64 VmaMemory<Sink>::populated(SpaceId space, const RegionTree& tree, const RegionSpec& spec) {
  const RangeCall rest{abi::Call::region_advise, space, spec.range, static_cast<u64>(Advice::kPopulate)};
  pt::Checkpoint checkpoint(stop_);
  // What was in the way has gone since the last look.
  if (checkpoint.should_stop(spec.range.begin))
    return stop_at(rest, tree, spec.range.begin, checkpoint.next()).value;
  const auto done = engine_.region_advise(space, spec.range, Advice::kPopulate, &checkpoint);
  if (done || done.error() != Status::kAgain) return spec.range.pages();
  return stop_at(rest, tree, spec.range.begin, checkpoint.next()).value;
}

}  // namespace nopte::hv
