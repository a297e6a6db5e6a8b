// The hypervisor's side of one space's queue (pvops/abi/region_queue.h). What it counts by is here; what the
// guest can write is read once, and only ever a wish: indices are masked, a call is copied before anybody
// looks at it, and no more are taken at once than there are slots.
//
// Concurrency: that of VmaMemory; the guest may write the queue at any moment.
#pragma once

#include <optional>

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

  // From now on the guest may put calls into `memory`.
  void open_at(abi::RegionQueue& memory) {
    shared_ = &memory;
    head_ = abi::shared_load(memory.tail);
    cost_ = abi::shared_load(memory.cost);
    tell(0);
  }
  // Nothing of what is queued happens, and nothing more can be put.
  void close() {
    if (!open()) return;
    abi::shared_store(shared_->head, abi::shared_load(shared_->tail));
    abi::shared_store(shared_->limit, abi::shared_load(shared_->cost));
    shared_ = &kNone;
    head_ = cost_ = credit_ = 0;
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
    Taken taken{abi::shared_load(slot.state), {}};
    if (taken.call == abi::kQueuedFilling) return {};
    if (!abi::shared_change(slot.state, taken.call, abi::kQueuedTaken)) {
      // Cancelled meanwhile, or about to be another: that is seen next time, if it is not seen now.
      taken.call = abi::shared_load(slot.state);
      if (taken.call != abi::kQueuedCancelled ||
          !abi::shared_change(slot.state, taken.call, abi::kQueuedTaken)) {
        return {};
      }
    }
    for (u32 n = 0; n < taken.arguments.size(); ++n) taken.arguments[n] = abi::shared_load(slot.arguments[n]);
    ++head_;
    return taken;
  }
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

 private:
  static inline abi::RegionQueue kNone{};  // never written

  abi::RegionQueue* shared_ = &kNone;
  u32 head_ = 0;
  u32 cost_ = 0;  // of all that was done
  u32 credit_ = 0;
};

}  // namespace nopte::hv
