// VmaMemory: calls that make, copy, end and activate spaces. Included by vma_memory.h.
#pragma once

namespace nopte::hv {

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::space_create(const abi::space_create_args&) {
  DeclaredSpace* const made = spaces_.make(kUserRange, nodes_, nullptr);
  if (made == nullptr) return Fail(Status::kNoMemory);
  const Result<u64> id = named(made, engine_.space_create(*made));
  if (id) offer_queue(*made);  // what is empty will be mapped into
  return id;
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::space_clone(const abi::space_clone_args& args) {
  const Result<DeclaredSpace*> parent = told_space(args.parent);
  if (args.parent == SpaceId::kKernel) return Fail(Status::kInvalid);
  if (!parent) return Fail(parent.error());
  DeclaredSpace* const tree = spaces_.make(kUserRange, nodes_, nullptr);
  if (tree == nullptr) return Fail(Status::kNoMemory);
  if (auto copied = tree->copy_from(**parent); !copied) {
    spaces_.destroy(tree);
    return Fail(copied.error());
  }
  return named(tree, engine_.space_clone(args.parent, *tree));
}

// The tree gets the name of the space made over it, or goes back.
template <pt::PageTableSink Sink>
Result<u64> VmaMemory<Sink>::named(DeclaredSpace* tree, Result<SpaceId> space) {
  if (!space) {
    spaces_.destroy(tree);
    return Fail(space.error());
  }
  tree->set_space(*space);
  stopped_.forget(*space);
  return static_cast<u32>(*space);
}

template <pt::PageTableSink Sink>
[[gnu::always_inline]] inline CallResult VmaMemory<Sink>::space_activate(
    const abi::space_activate_args& args) {
  NOPTE_TRY(engine_.space_activate(args.space));
  active_ = args.space;
  active_space_ = args.space == SpaceId::kKernel ? &windows_ : *user_space(args.space);
  if (active_space_->queue.pending()) [[unlikely]]
    drain(*active_space_);
  return 0;
}

template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::space_destroy(const abi::space_destroy_args& args) {
  const Result<DeclaredSpace*> space = user_space(args.space);
  if (!space) return Fail(space.error());
  if (args.space == active_) return Fail(Status::kBusy);
  return destroy(args.space, **space);
}

// Issued again it activates what is active, and goes on.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::space_switch(const abi::space_switch_args& args) {
  if (hides(abi::kFeatureSpaceSwitch)) return Fail(Status::kUnsupported);
  const Result<DeclaredSpace*> gone = user_space(args.gone);
  if (!gone) return Fail(gone.error());
  if (args.gone == args.space) return Fail(Status::kBusy);
  const CallResult activated = space_activate({args.space});
  if (activated.status != Status::kOk) return activated;
  return destroy(args.gone, **gone);
}

// Of a space that is not active. Errors: kAgain.
template <pt::PageTableSink Sink>
CallResult VmaMemory<Sink>::destroy(SpaceId space, DeclaredSpace& declared) {
  declared.queue.close();
  nodes_.pay_back(declared.queue.paid);
  pt::Checkpoint checkpoint(stop_);
  NOPTE_TRY(engine_.space_empty(space, &checkpoint));
  while (!declared.clear_some(work::kMostAtOnce)) {
    if (stop_()) return Fail(Status::kAgain);
  }
  NOPTE_TRY(engine_.space_destroy(space));
  spaces_.destroy(&declared);
  return 0;
}

}  // namespace nopte::hv
