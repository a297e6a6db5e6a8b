// VMI, the hypervisor's side: decode -> check -> perform. A call that is refused has changed nothing but the
// queue, which is empty after every call. Work per call is bounded by the queue's words, each of which looks
// at one entry, or fills or empties one table, and by ShadowTables::kMostReaped: what a table that goes has
// linked is out of use at once, and emptied a few tables per exit. Hosted: yes. Concurrency: one vCPU,
// stopped. Interface: pvops/interfaces/vmi.h.
#pragma once

#include <array>
#include <optional>

#include "hv-mm/mode_handler.h"
#include "hv-mm/shadow/told/told_mmu.h"
#include "pvops/interfaces/vmi.h"

namespace nopte::hv {

class VmiCalls {
 public:
  explicit VmiCalls(ToldMmu& mmu) : mmu_(mmu) {}

  // The call of this number (without the tag). The processor runs on mmu.host_root() afterwards.
  CallResult call(u64 number, const abi::Registers& arguments);

  // Does what the guest has queued. To be called before the guest's tables are looked at for any other reason
  // than a call. False: the queue was refused, and is dropped.
  bool drain() {
    if (queue_ == nullptr) return true;
    u64 count;
    __builtin_memcpy(&count, queue_, sizeof(count));
    return count == 0 || drain(count);
  }

  struct Counters {
    u64 set_pxes = 0;
    u64 update_pxes = 0;
    u64 allocated_pages = 0;
    u64 released_pages = 0;
    u64 set_cr3s = 0;
    u64 inval_pages = 0;
    u64 flush_tlbs = 0;
    u64 set_lazy_modes = 0;
    u64 queues = 0;        // that were not empty
    u64 entries_told = 0;  // by the queue
    u64 refused = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct LinearMapping {
    u64 va = 0;
    u64 bytes = 0;
    Gpa to;
  };
  struct NewPage {
    u64 page, flags, clone_from, first, count;
  };

  bool drain(u64 count);
  bool queue_refused();
  void look_at_entries(u64 first, u64 end);
  void perform_in_order(u64 count);
  // Gives 0 or the error.
  [[nodiscard]] u64 check(const NewPage& page) const;
  [[nodiscard]] u64 check_release(u64 page, u64 flags) const;
  [[nodiscard]] static u64 check_update(u64 flags);
  void allocate(const NewPage& page);
  // The entry that a pointer names; none outside the linear mappings or when not aligned.
  [[nodiscard]] std::optional<Gpa> entry_at(u64 pointer) const;
  [[nodiscard]] u64 queued(u64 index) const {
    u64 word;
    __builtin_memcpy(&word, queue_ + (1 + index) * sizeof(word), sizeof(word));
    return word;
  }
  [[nodiscard]] static NewPage new_page(u64 word, u64 second);

  CallResult set_pxe(u64 entry, u64 pointer, u64 flags);
  CallResult update_pxe(u64 pointer, u64 flags);
  CallResult set_cr3(u64 value);
  CallResult flush_tlb(u64 what);
  CallResult set_linear_mapping(u64 slot, u64 va, u64 pages, u64 page);
  CallResult set_queue(u64 address);
  CallResult refuse(u64 error);

  ToldMmu& mmu_;
  u8* queue_ = nullptr;
  std::array<LinearMapping, abi::vmi::kLinearSlots> linear_{};
  Counters counters_;
};

}  // namespace nopte::hv
