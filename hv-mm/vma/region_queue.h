// The hypervisor's side of one space's queue (pvops/abi/region_queue.h). What it counts by is here; what the
// guest can write is read once, and only ever a wish: indices are masked, a call is copied before anybody
// looks at it, and no more are taken at once than there are slots.
//
// Concurrency: that of VmaMemory; the guest may write the queue at any moment.
#pragma once

#include <optional>

#include "hv-mm/vma/untouched_ranges.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/abi/region_queue.h"

namespace nopte::hv {

// Raw memory for region nodes that a space has paid for ahead, chained through itself.
class PaidNodes {
 public:
  [[nodiscard]] u32 count() const { return count_; }
  void put(void* memory) {
    first_ = new (memory) Link{first_};
    ++count_;
  }
  // Null: there is none.
  [[nodiscard]] void* take() {
    if (first_ == nullptr) return nullptr;
    Link* const taken = first_;
    first_ = taken->next;
    --count_;
    return taken;
  }

 private:
  struct Link {
    Link* next;
  };
  Link* first_ = nullptr;
  u32 count_ = 0;
};

class RegionQueue {
 public:
  // Something is put that is not taken. Always false of a queue that is not open.
  [[nodiscard]] bool pending() const { return abi::shared_load(shared_->tail) != head_; }
  [[nodiscard]] bool open() const { return shared_ != &kNone; }

  // From now on the guest may put calls into `memory`. `words`: and is told there what it may unmap by them.
  enum class Words : u8 { kNone, kUntouched };
  void open_at(abi::RegionQueue& memory, Words words) {
    shared_ = &memory;
    head_ = abi::shared_load(memory.tail);
    cost_ = abi::shared_load(memory.cost);
    untouched.tell_in(words == Words::kUntouched ? &memory.words : nullptr);
    tell(0);
  }
  // Nothing of what is queued happens, and nothing more can be put.
  void close() {
    if (!open()) return;
    abi::shared_store(shared_->head, abi::shared_load(shared_->tail));
    abi::shared_store(shared_->limit, abi::shared_load(shared_->cost));
    shared_ = &kNone;
    head_ = cost_ = credit_ = 0;
    untouched.tell_in(nullptr);
  }

  struct Taken {
    u64 call = abi::kQueuedFree;  // a number, abi::kQueuedCancelled, or nonsense
    std::array<u64, 5> arguments{};
  };
  // The next call, out of the queue. Nothing: there is none yet.
  std::optional<Taken> take() {
    const u32 tail = abi::shared_load(shared_->tail);
    if (tail == head_) return {};
    if (tail - head_ > abi::kQueueSlots) {
      head_ = tail;  // that is no queue
      return Taken{};
    }
    abi::QueuedCall& slot = shared_->calls[head_ % abi::kQueueSlots];
    u64 call = abi::shared_load(slot.state);
    if (call == abi::kQueuedFilling) return {};
    if (!abi::shared_change(slot.state, call, abi::kQueuedTaken)) [[unlikely]] {
      // Cancelled meanwhile, or about to be another: that is seen next time, if it is not seen now.
      call = abi::shared_load(slot.state);
      if (call != abi::kQueuedCancelled || !abi::shared_change(slot.state, call, abi::kQueuedTaken)) {
        return {};
      }
    }
    ++head_;
    const auto& from = slot.arguments;
    // Each into a register: most calls are looked at once.
    return Taken{call,
                 {abi::shared_load(from[0]), abi::shared_load(from[1]), abi::shared_load(from[2]),
                  abi::shared_load(from[3]), abi::shared_load(from[4])}};
  }
  // How many may be behind what was taken last.
  [[nodiscard]] u32 left() const { return abi::shared_load(shared_->tail) - head_; }
  // A call that was taken is done, or refused.
  void done(u32 cost) { cost_ += cost; }
  // What is taken is taken, and the guest may have `credit` more.
  void tell(u32 credit) {
    abi::shared_store(shared_->head, head_);
    abi::shared_store(shared_->limit, cost_ + credit);
    credit_ = credit;
  }
  // As told last.
  [[nodiscard]] u32 credit() const { return credit_; }

  PaidNodes paid;
  UntouchedRanges untouched;

 private:
  static inline abi::RegionQueue kNone{};  // never written

  abi::RegionQueue* shared_ = &kNone;
  u32 head_ = 0;
  u32 cost_ = 0;  // of all that was done
  u32 credit_ = 0;
};

}  // namespace nopte::hv
