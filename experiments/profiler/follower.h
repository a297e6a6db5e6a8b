// Follows a machine of one processor from block to block, and counts each executed instruction for the chain
// of callers that led to it.
//
// There is a chain for each stack of the guest kernel: the program's callers, then, above the entry of a
// system call, exception or interrupt, the kernel's. The hypervisor is a callee of what was running when the
// guest was left: above an exit, named by its code, are the hypervisor's functions until VMRUN.
//
//   main → read → [syscall_entry → handle_syscall → ...] → [exit 0x81 → svm_run → svm_handle_call → ...]
//
// A hypervisor at ring 0, below a kernel at ring 3, is entered by all traps: those that it hands on enter the
// kernel as if it had not been there, and what it does for a call or trap is a callee of what was running.
//
//   main → read → [ring3_syscall_entry → handle_syscall → ... → [lstar_enter → pv_hypercall → ...]]
//
// A jump into another function is a call whose return is its caller's (a tail call), until it comes back.
// Nothing but addresses of blocks is seen, so that a return is told by where it leads: to behind a call that
// is open.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "experiments/profiler/branch.h"
#include "experiments/profiler/call_tree.h"
#include "experiments/profiler/table.h"

namespace profiler {

// Instructions that QEMU executes one behind the other, if none of them faults.
struct Block {
  std::vector<uint64_t> addresses;  // of its instructions
  uint64_t end = 0;                 // behind the last one
  Place place;
  Branch branch = Branch::kNone;  // of the last one
  bool after_vmrun = false;       // the hypervisor comes here when the guest was left

  [[nodiscard]] uint64_t begin() const { return addresses.front(); }
  // The exception or interrupt by which it is entered; -1: none.
  [[nodiscard]] int vector() const { return begin() == place.entry.begin ? place.entry.vector : -1; }
};

// Why the guest was left, from the control block.
struct Exit {
  uint64_t code;
  uint64_t rip;

  // Interrupts are taken behind an instruction; all other exits keep one from being executed (APM vol. 2,
  // appendix C: INTR, NMI, SMI, INIT, VINTR).
  [[nodiscard]] bool stopped_an_instruction() const { return code < 0x60 || code > 0x64; }
};

// Where counts of a span begin or end.
enum class Cut : uint8_t { kMark, kTicks, kProgram };

class Follower {
 public:
  using OnCut = std::function<void(Cut)>;
  explicit Follower(OnCut on_cut) : on_cut_(std::move(on_cut)) {}

  // `block`, which must stay, begins. `exit`: with what the guest was left, where the block is after VMRUN.
  void enter(const Block& block, const Exit* exit = nullptr);
  // The instruction `index` of the block begins.
  void reach(uint32_t index) { cursor_ = index; }
  // An entry that was reached by an exception tells where the program is to go on.
  void return_address_is(uint64_t address);
  // The function that changes stacks stores, loads.
  void switch_stores(uint64_t address);
  void switch_loads(uint64_t address);
  // Counts what was executed of the last block.
  void finish();

  [[nodiscard]] CallTree& tree() { return tree_; }

 private:
  enum class Kind : uint8_t { kCall, kTail, kEntry, kExit };

  // What an instruction did whose successor was not seen yet.
  struct Pending {
    Branch branch = Branch::kNone;
    uint64_t end = 0;
  };

  struct Frame {
    NodeId node = CallTree::kRoot;
    Function function = 0;
    Kind kind = Kind::kCall;
    uint64_t return_address = 0;  // 0: not known
    uint32_t program = 0;
    World world = World::kKernel;
    Pending pending;  // of an entry or exit: what goes on when it is over
  };

  // Deeper recursion is counted for the frame that it replaces.
  static constexpr size_t kDeepest = 400;

  Pending account(const Block& next, const Exit* exit);
  void go_on(Pending pending, const Block& block);
  void settle(const Block& block);
  void call(const Block& block, uint64_t return_address);
  void leave_function(const Block& block);
  Pending leave_kernel();
  Pending enter_guest();
  void leave_ring0(const Block& block);
  [[nodiscard]] bool runs_in(World world) const;
  void push(Frame frame);
  Frame frame_of(const Block& block, Kind kind) const;

  OnCut on_cut_;
  CallTree tree_;
  std::vector<Frame> stack_;
  std::unordered_map<uint64_t, std::vector<Frame>> parked_;  // by the address of what was pushed last
  const Block* previous_ = nullptr;
  uint32_t cursor_ = 0;
  bool program_seen_ = false;

  bool doubtful_ = false;  // the last instruction may have faulted
  NodeId doubtful_node_ = 0;
  uint64_t doubtful_address_ = 0;

  uint64_t stored_ = 0;  // by the switch: the last store, and the one before it
  uint64_t stored_before_ = 0;
};

}  // namespace profiler
