#include "experiments/profiler/follower.h"

#include <utility>

namespace profiler {
namespace {

constexpr int kNmi = 2;
constexpr int kFirstInterrupt = 32;

bool in_ring0(const Block& block) { return block.place.world == World::kRing0; }
bool is_fault(int vector) { return vector >= 0 && vector != kNmi && vector < kFirstInterrupt; }

}  // namespace

bool Follower::runs_in(World world) const { return !stack_.empty() && stack_.back().world == world; }

void Follower::enter(const Block& block, const Exit* exit) {
  Pending pending = account(block, exit);
  if (pending.branch == Branch::kVmrun) pending = enter_guest();
  if (exit != nullptr) {
    Frame frame = frame_of(block, Kind::kExit);
    frame.function = kFirstExit + static_cast<Function>(exit->code & 0xffff);
    frame.pending = pending;
    push(frame);
    settle(block);
  } else if (block.vector() >= 0 || (in_ring0(block) && !runs_in(World::kRing0))) {
    Frame frame = frame_of(block, Kind::kEntry);
    if (pending.branch != Branch::kSystemCall) frame.pending = pending;
    push(frame);
  } else if (!in_ring0(block) && runs_in(World::kRing0)) {
    leave_ring0(block);
  } else {
    go_on(pending, block);
  }
  previous_ = &block;
  cursor_ = 0;
}

// Counts what was executed of the previous block, for the frame on top; cuts where a span ends.
Follower::Pending Follower::account(const Block& next, const Exit* exit) {
  doubtful_ = false;
  Pending pending;
  if (previous_ != nullptr) {
    const Block& block = *previous_;
    const bool entered_guest = block.branch == Branch::kVmrun;
    bool whole = cursor_ + 1 == block.addresses.size();
    uint64_t executed = cursor_ + 1;
    if (exit != nullptr && !entered_guest && exit->stopped_an_instruction() &&
        exit->rip == block.addresses[cursor_]) {
      --executed;
      whole = false;
    }
    const NodeId node = stack_.back().node;
    tree_.count_instructions(node, executed);
    if (exit == nullptr && !entered_guest && is_fault(next.vector())) {
      doubtful_ = true;
      doubtful_node_ = node;
      doubtful_address_ = block.addresses[cursor_];
    }
    if (whole) pending = {block.branch, block.end};
    if (whole && block.branch == Branch::kReadTicks && block.place.world == World::kProgram) {
      on_cut_(Cut::kTicks);
    }
  }
  if (!program_seen_ && next.place.world == World::kProgram) {
    program_seen_ = true;
    on_cut_(Cut::kProgram);
  }
  if (next.place.entry.is_mark && next.begin() == next.place.entry.begin) on_cut_(Cut::kMark);
  return pending;
}

void Follower::return_address_is(uint64_t address) {
  if (!doubtful_) return;
  doubtful_ = false;
  if (address != doubtful_address_) return;
  tree_.take_back_instruction(doubtful_node_);
  stack_.back().pending = {};
}

void Follower::go_on(Pending pending, const Block& block) {
  switch (pending.branch) {
    case Branch::kCall:
      return call(block, pending.end);
    case Branch::kReturn:
      return leave_function(block);
    case Branch::kSystemCall:
      return push(frame_of(block, Kind::kEntry));
    case Branch::kLeaveKernel:
      // What was interrupted goes on, unless it left the kernel, too: that was in the kernel's own code.
      return go_on(leave_kernel(), block);
    case Branch::kVmrun:
    case Branch::kReadTicks:
    case Branch::kNone:
      return settle(block);
  }
}

// The block's function runs, without a call or return that was seen.
void Follower::settle(const Block& block) {
  const Function function = block.place.entry.function;
  if (!stack_.empty() && block.place.world == World::kProgram && stack_.back().world == World::kProgram &&
      stack_.back().program != block.place.program) {
    stack_.clear();  // another program was loaded
  }
  for (size_t depth = stack_.size(); depth > 0; --depth) {
    const Frame& frame = stack_[depth - 1];
    if (frame.function == function) {
      stack_.resize(depth);
      return;
    }
    if (frame.kind != Kind::kTail) break;
  }
  const bool jumped = !stack_.empty() && stack_.back().kind != Kind::kExit;
  push(frame_of(block, jumped ? Kind::kTail : Kind::kCall));
}

void Follower::call(const Block& block, uint64_t return_address) {
  const Entry& entry = block.place.entry;
  if (entry.whole && !stack_.empty() && stack_.back().function == entry.function) return;
  Frame frame = frame_of(block, Kind::kCall);
  frame.return_address = return_address;
  push(frame);
}

void Follower::leave_function(const Block& block) {
  for (size_t depth = stack_.size(); depth > 0; --depth) {
    const Frame& frame = stack_[depth - 1];
    if (frame.kind == Kind::kEntry || frame.kind == Kind::kExit) break;
    if (frame.kind == Kind::kCall && frame.return_address == block.begin()) {
      stack_.resize(depth - 1);
      return settle(block);
    }
  }
  // Its call was not seen: a new stack, a child of a fork, a return that is a jump.
  if (block.place.entry.is_start) stack_.clear();
  if (!stack_.empty() && stack_.back().function == block.place.entry.function) return;
  while (!stack_.empty() && stack_.back().kind == Kind::kTail) stack_.pop_back();
  if (!stack_.empty() && stack_.back().kind == Kind::kCall && stack_.back().return_address == 0)
    stack_.pop_back();
  settle(block);
}

Follower::Pending Follower::leave_kernel() {
  while (!stack_.empty()) {
    const Frame frame = stack_.back();
    if (frame.kind == Kind::kExit) return {};  // of the hypervisor, by IRET
    stack_.pop_back();
    if (frame.kind == Kind::kEntry) return frame.pending;
  }
  return {};
}

// VMRUN: the hypervisor's frames are gone, and what it ran for goes on.
Follower::Pending Follower::enter_guest() {
  while (!stack_.empty()) {
    const Frame frame = stack_.back();
    stack_.pop_back();
    if (frame.kind == Kind::kExit) return frame.pending;
  }
  return {};
}

Follower::Frame Follower::frame_of(const Block& block, Kind kind) const {
  Frame frame;
  frame.function = block.place.entry.function;
  frame.kind = kind;
  frame.program = block.place.program;
  frame.world = block.place.world;
  return frame;
}

// What ring 0 ran for goes on, or is handed on to the kernel; the kernel's frames are gone where a program
// runs.
void Follower::leave_ring0(const Block& block) {
  Pending pending;
  while (runs_in(World::kRing0)) {
    pending = stack_.back().pending;
    stack_.pop_back();
  }
  if (block.place.entry.is_bounce && block.begin() == block.place.entry.begin) {
    return push(frame_of(block, Kind::kEntry));
  }
  if (block.place.world == World::kProgram && runs_in(World::kKernel)) {
    while (runs_in(World::kKernel)) stack_.pop_back();
    pending = {};
  }
  go_on(pending, block);
}

void Follower::push(Frame frame) {
  if (stack_.size() == kDeepest && frame.kind != Kind::kEntry && frame.kind != Kind::kExit) stack_.pop_back();
  frame.node = tree_.child(stack_.empty() ? CallTree::kRoot : stack_.back().node, frame.function);
  tree_.count_call(frame.node);
  stack_.push_back(frame);
}

void Follower::switch_stores(uint64_t address) {
  stored_before_ = stored_;
  stored_ = address;
}

// The first load after the stores is from the other stack. The last store keeps the stack pointer elsewhere;
// the one before it is the last push, where this stack will be loaded from.
void Follower::switch_loads(uint64_t address) {
  // QEMU 7.2 reports accesses of helpers that run after a block, too, as if they were its last instruction's.
  const bool in_switch = previous_ != nullptr && previous_->place.entry.is_switch;
  if (!in_switch || stored_before_ == 0) return;
  parked_[stored_before_] = std::exchange(stack_, {});
  stored_ = stored_before_ = 0;
  if (const auto found = parked_.find(address); found != parked_.end()) {
    stack_ = std::move(found->second);
    parked_.erase(found);
  }
  if (stack_.empty()) push(frame_of(*previous_, Kind::kCall));
}

void Follower::finish() {
  if (previous_ != nullptr && !stack_.empty()) tree_.count_instructions(stack_.back().node, cursor_ + 1);
  previous_ = nullptr;
}

}  // namespace profiler
