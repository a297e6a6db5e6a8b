// What waits to be asked of Xen's interface (pvops/interfaces/xen.h): changes of entries, then operations,
// in one exit; and before them pins, and their ends, of what nothing of that touches.
#pragma once

#include "pvops/base/panic.h"
#include "pvops/base/result.h"
#include "pvops/interfaces/xen.h"

namespace nopte::pt {

struct HypercallAnswer {
  Status status;
  u64 value;
};

// Memory that both sides see.
struct XenQueueMemory {
  static constexpr u64 kUpdates = 512;
  static constexpr u64 kOperations = 32;
  static constexpr u64 kPins = 128;
  abi::xen::MmuUpdate updates[kUpdates];
  abi::xen::MmuextOp pins[kPins];
  abi::xen::MmuextOp operations[kOperations];
  abi::xen::MulticallEntry calls[3];
  u32 done[3];
};

// `call` is callable as call(tagged number, a0, a1, a2, a3) and answers with a HypercallAnswer.
template <auto call>
class XenQueue {
 public:
  constexpr explicit XenQueue(XenQueueMemory& memory) : m_(memory) {}

  [[nodiscard]] u64 updates() const { return updates_; }
  [[nodiscard]] bool empty() const { return updates_ == 0 && operations_ == 0 && pins_ == 0; }
  // Precondition: !full(), and no operation waits.
  void update(u64 ptr, u64 val) { m_.updates[updates_++] = {ptr, val}; }
  [[nodiscard]] bool full() const { return updates_ == XenQueueMemory::kUpdates; }
  [[nodiscard]] bool operation_waits() const { return operations_ != 0; }
  // But for one.
  [[nodiscard]] bool operations_full() const { return operations_ + 1 >= XenQueueMemory::kOperations; }
  // Precondition: fewer than kOperations wait.
  void operation(abi::xen::Mmuext command, u64 arg1) {
    m_.operations[operations_++] = {static_cast<u32>(command), 0, arg1, 0};
  }
  // Comes before the updates that wait. Precondition: !pins_full().
  void pin(abi::xen::Mmuext command, u64 frame) {
    m_.pins[pins_++] = {static_cast<u32>(command), 0, frame, 0};
  }
  [[nodiscard]] bool pins_full() const { return pins_ == XenQueueMemory::kPins; }
  // Nothing but one update waits.
  [[nodiscard]] bool is_single() const { return updates_ == 1 && operations_ == 0 && pins_ == 0; }
  // The last update, which has not been issued, is taken back: its value.
  u64 take_back() { return m_.updates[--updates_].val; }

  // Afterwards all of it has happened.
  void issue() {
    if (pins_ != 0) [[unlikely]]
      return issue_with_pins();
    u64 first_update = 0, first_operation = 0;
    for (;;) {
      const u64 updates = updates_ - first_update, operations = operations_ - first_operation;
      if (updates == 0 && operations == 0) break;
      m_.done[0] = m_.done[1] = 0;
      const u64 u = reinterpret_cast<u64>(m_.updates + first_update);
      const u64 o = reinterpret_cast<u64>(m_.operations + first_operation);
      if (operations == 0) {
        m_.done[0] =
            ask(abi::xen::kMmuUpdate, u, updates, address(0)) ? static_cast<u32>(updates) : m_.done[0];
      } else if (updates == 0) {
        m_.done[1] =
            ask(abi::xen::kMmuextOp, o, operations, address(1)) ? static_cast<u32>(operations) : m_.done[1];
      } else {
        prepare(0, abi::xen::kMmuUpdate, u, updates);
        prepare(1, abi::xen::kMmuextOp, o, operations);
        (void)ask(abi::xen::kMulticall, reinterpret_cast<u64>(m_.calls), 2, 0);
        for (unsigned i = 0; i < 2; ++i) {
          const auto& entry = m_.calls[i];
          NOPTE_ASSERT(entry.result == 0 || entry.result == abi::xen::as_value(abi::xen::Errno::kRestart));
        }
      }
      first_update += m_.done[0];
      first_operation += m_.done[1];
    }
    updates_ = operations_ = 0;
  }

  // True: done; false: a prefix is. We ask for nothing that can be refused.
  static bool ask(u32 number, u64 a0, u64 a1, u64 a2) {
    const HypercallAnswer answer =
        call(abi::tagged(abi::Interface::kXen, number), a0, a1, a2, abi::xen::kDomainSelf);
    NOPTE_ASSERT(answer.status == Status::kOk || answer.status == Status::kAgain);
    return answer.status == Status::kOk;
  }

 private:
  struct List {
    u32 number;
    u64 address;
    u64 count;
    u64 element_bytes;
  };
  [[gnu::cold, gnu::noinline]] void issue_with_pins() {
    List lists[] = {
        {abi::xen::kMmuextOp, reinterpret_cast<u64>(m_.pins), pins_, sizeof(m_.pins[0])},
        {abi::xen::kMmuUpdate, reinterpret_cast<u64>(m_.updates), updates_, sizeof(m_.updates[0])},
        {abi::xen::kMmuextOp, reinterpret_cast<u64>(m_.operations), operations_, sizeof(m_.operations[0])}};
    for (;;) {
      List* waits[std::size(lists)];
      unsigned count = 0;
      for (List& list : lists) {
        if (list.count == 0) continue;
        m_.done[count] = 0;
        prepare(count, list.number, list.address, list.count);
        waits[count++] = &list;
      }
      if (count == 0) break;
      (void)ask(abi::xen::kMulticall, reinterpret_cast<u64>(m_.calls), count, 0);
      for (unsigned i = 0; i < count; ++i) {
        const u64 result = m_.calls[i].result;
        NOPTE_ASSERT(result == 0 || result == abi::xen::as_value(abi::xen::Errno::kRestart));
        waits[i]->address += m_.done[i] * waits[i]->element_bytes;
        waits[i]->count -= m_.done[i];
      }
    }
    updates_ = operations_ = pins_ = 0;
  }
  // A call of many; it has no more arguments than these.
  void prepare(unsigned i, u64 number, u64 list, u64 count) {
    abi::xen::MulticallEntry& entry = m_.calls[i];
    entry.op = number;
    entry.result = 0;
    entry.args[0] = list;
    entry.args[1] = count;
    entry.args[2] = address(i);
    entry.args[3] = abi::xen::kDomainSelf;
  }
  [[nodiscard]] u64 address(unsigned i) const { return reinterpret_cast<u64>(&m_.done[i]); }

  XenQueueMemory& m_;
  u64 updates_ = 0;
  u64 operations_ = 0;
  u64 pins_ = 0;
};

}  // namespace nopte::pt
