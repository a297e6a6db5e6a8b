// The teller for VMI (pvops/interfaces/vmi.h): it plays the ROM that VMI puts into the guest. Entries are
// named by pointers into the linear map. What VMI lets wait - losses in the current address space (DEFER),
// all updates in lazy mode, and a root's begin and end - goes to the queue; everything else is a call.
//
// The hypervisor reads the queue by itself at every exit that is about memory. So only an invalidation, a
// full queue, and the end of lazy mode with updates for other address spaces need an exit for it.
// AllocatePage and ReleasePage of tables below a root are patched out, as a ROM may say of a call: the shadow
// learns of them by their links.
#pragma once

#include <atomic>

#include "native-fallback/sinks/root_by_call.h"
#include "native-fallback/sinks/told_sink.h"
#include "pvops/interfaces/vmi.h"

namespace nopte::pt {

// `call` is callable as call(tagged number, a0, a1, a2).
template <auto call>
inline void vmi_call(u32 number, u64 a0, u64 a1 = 0, u64 a2 = 0) {
  call(abi::tagged(abi::Interface::kVmi, number), a0, a1, a2);
}

template <auto call>
inline void vmi_load_root(PhysAddr root) {
  vmi_call<call>(abi::vmi::kSetCr3, root.value());
}
template <Processor Base, auto call>
using VmiProcessor = RootByCall<Base, vmi_load_root<call>>;

// `P` is a VmiProcessor; `linear_begin` is where slot 0 of the linear mappings begins, with page 0.
template <class P, u64 linear_begin, auto call>
class VmiTeller {
 public:
  static constexpr bool kReadAtExits = true;
  static constexpr bool kCanShareTables = true;
  static constexpr bool kTellingFlushes = false;

  constexpr VmiTeller(abi::vmi::Queue& queue, const P& processor) : queue_(queue), processor_(processor) {}

  void put(const Slot& slot, Entry) {
    if (!current(slot) && !lazy_) {
      vmi_call<call>(abi::vmi::kUpdatePxELong, pointer(slot), abi::vmi::page_type(slot.level));
      return;
    }
    if (!current(slot)) undeferred_ = true;
    add(pointer(slot) | slot.level);
    ++waiting_;
  }
  [[nodiscard]] u64 waiting() const { return waiting_; }
  [[nodiscard]] bool full() const { return queue_.count + kMostWords > abi::vmi::kQueueWords; }

  void tell(TellFlush flush) {
    using namespace abi::vmi;
    waiting_ = 0;
    undeferred_ = false;
    switch (flush.kind) {
      case TellFlush::Kind::kNone:
        return vmi_call<call>(kSetLazyMode, lazy_ ? kLazyMmu : kLazyNone);
      case TellFlush::Kind::kPage:
        return vmi_call<call>(kInvalPage, flush.va.page_base().value());
      case TellFlush::Kind::kSpace:
        return vmi_call<call>(kFlushTlb, kFlushTlbEntries);
      case TellFlush::Kind::kEverything:
        return vmi_call<call>(kFlushTlb, kFlushTlbEntries | kFlushGlobal);
    }
  }
  void tell_gain(const Slot& slot, Entry entry) {
    vmi_call<call>(abi::vmi::kSetPxELong, entry.word(), pointer(slot),
                   abi::vmi::page_type(slot.level) | abi::vmi::kCurrentAs | slot.va.page_base().value());
  }

  // A new root shows what the one in use shows of the kernel. Precondition, as for release_root(): !full().
  void new_root(Frame root) {
    const u64 from = processor_.root().value() >> kPageShift;
    constexpr u64 kFirst = kEntriesPerTable / 2;
    add_page(abi::vmi::kWordAllocate, root, from == 0 ? 0 : abi::vmi::kPageClone);
    add(from == 0 ? 0
                  : from << abi::vmi::kWordCloneShift | kFirst << abi::vmi::kWordFirstShift |
                        (kEntriesPerTable - kFirst));
  }
  void release_root(Frame root) { add_page(abi::vmi::kWordRelease, root, 0); }

  // True when what waits must be told now.
  [[nodiscard]] bool set_lazy(bool lazy) {
    lazy_ = lazy;
    return undeferred_;
  }

 private:
  static constexpr u64 kMostWords = 2;

  [[nodiscard]] bool current(const Slot& slot) const {
    return static_cast<i64>(slot.va.value()) < 0 || processor_.runs(slot.root.address());
  }
  static u64 pointer(const Slot& slot) {
    return linear_begin + slot.table.address().value() + slot.index * sizeof(u64);
  }
  // The word before the count: the hypervisor may read the queue at any instruction that faults.
  void add(u64 word) {
    const u64 count = queue_.count;
    queue_.words[count] = word;
    std::atomic_signal_fence(std::memory_order_release);
    queue_.count = count + 1;
  }
  void add_page(u64 op, Frame root, u64 flags) {
    flags |= abi::vmi::kPagePml4 | abi::vmi::kPagePae;
    add(root.number() << abi::vmi::kWordPageShift | flags << abi::vmi::kWordFlagsShift | op);
  }

  abi::vmi::Queue& queue_;
  const P& processor_;
  u64 waiting_ = 0;
  bool lazy_ = false;
  bool undeferred_ = false;  // an update that VMI does not let wait beyond lazy mode
};

}  // namespace nopte::pt
