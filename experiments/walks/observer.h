// Follows one processor through its modes, and hands its accesses and flushes to every model at once.
//
// An instruction is reported before it executes, and may be intercepted: what it does takes effect when the
// next block of instructions begins, unless that is the hypervisor's first one after an exit that says the
// instruction was stopped.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "experiments/walks/instruction.h"
#include "experiments/walks/walk_model.h"

namespace walks {

// What the plugin reads of the control block at VMRUN and at an exit (APM vol. 2, appendix B).
struct ControlBlock {
  uint32_t asid = 0;
  uint8_t tlb_control = 0;
  bool nested = false;
  uint64_t exit_code = 0;
};

// What the processor did that decides how many walks there are.
struct Events {
  uint64_t entries = 0;
  uint64_t exits = 0;
  uint64_t flushes_at_entry = 0;  // TLB_CONTROL asked for one
  uint64_t cr3_writes = 0;
  uint64_t page_flushes = 0;  // INVLPG: which page is not told, and it stays in the models
  uint64_t moved_pages = 0;   // pages seen at another frame than before: these the models forget
  uint64_t pages = 0;         // different pages of programs seen, under each identifier, of these
  uint64_t small_pages = 0;   // cannot lie in a leaf of 2 MiB: their frame is at another place of its 2 MiB
};

// Who runs when the machine starts.
enum class Machine : uint8_t { kBare, kHypervisor };

class Observer {
 public:
  explicit Observer(Machine machine);

  // A block of instructions begins. `after_vmrun`: it follows a VMRUN in memory. `block` is read when an
  // instruction of SVM is pending or an exit is seen; null: there is none.
  void enter_block(bool after_vmrun, const ControlBlock* block);
  void execute(Special special) { pending_ = special; }
  [[nodiscard]] bool is_pending() const { return pending_ != Special::kNone; }
  void access(Stream stream, uint64_t address, uint64_t physical);
  // An access to the page of the stream's last one is a hit that changes nothing, and is only counted. False:
  // this is none, and access() is needed.
  bool access_again(Stream stream, uint64_t address) {
    if (last_page_[static_cast<size_t>(stream)] != address >> 12) return false;
    ++accesses_[static_cast<size_t>(owner_of(asid_, address))][static_cast<size_t>(stream)];
    return true;
  }
  // Data: each load or store. Code: each block of instructions entered, once for each of its pages.
  [[nodiscard]] uint64_t accesses(Owner owner, Stream stream) const {
    return accesses_[static_cast<size_t>(owner)][static_cast<size_t>(stream)];
  }

  [[nodiscard]] bool in_hypervisor() const { return asid_ == 0; }
  [[nodiscard]] bool nested() const { return nested_; }
  [[nodiscard]] const Events& events() const { return events_; }

  struct Named {
    const char* dimensions;
    const char* guest;
    const char* nested;  // "" with one dimension
    WalkModel model;
  };
  [[nodiscard]] const std::vector<Named>& models() const { return models_; }

 private:
  void apply(Special special, const ControlBlock* block);
  void enter_guest(const ControlBlock& block);
  void look_at_frame(uint64_t page, uint64_t frame);
  template <typename Action>
  void each(Action action);

  static constexpr size_t kFrames = 1 << 18;
  struct Seen {
    uint64_t page = ~uint64_t{0};
    uint64_t frame = 0;
  };

  std::vector<Named> models_;
  std::vector<Seen> frames_;  // the last frame of a page; what falls to one place forgets what was there
  uint64_t accesses_[kOwners][2] = {};
  std::array<uint64_t, 2> last_page_{~uint64_t{0}, ~uint64_t{0}};
  Events events_;
  Special pending_ = Special::kNone;
  uint8_t asid_;  // 0: the hypervisor's; natively the guest has the whole machine
  uint8_t guest_asid_ = 1;
  bool nested_ = false;
};

}  // namespace walks
