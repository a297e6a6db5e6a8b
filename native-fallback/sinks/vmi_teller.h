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

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/sinks/told_tables.h"
#include "pvops/interfaces/vmi.h"

namespace nopte::pt {

// `call` is callable as call(tagged number, a0, a1, a2).
template <auto call>
inline void vmi_call(u32 number, u64 a0, u64 a1 = 0, u64 a2 = 0) {
  call(abi::tagged(abi::Interface::kVmi, number), a0, a1, a2);
}

// `linear_begin` is where slot 0 of the linear mappings begins, with page 0.
template <u64 linear_begin, auto call>
class VmiTeller final : public ToldTables<VmiTeller<linear_begin, call>> {
 public:
  static constexpr bool kTellingFlushes = false;

  constexpr VmiTeller(FrameTable& frames, abi::vmi::Queue& queue)
      : ToldTables<VmiTeller>(frames, true), queue_(queue) {}

  void put(const Slot& slot, Entry) {
    const u64 pointer = pointer_to(slot);
    const bool current = FourLevel::kernel_half(slot.va) || this->runs(slot.root);
    if (!current && !this->lazy_) {
      vmi_call<call>(abi::vmi::kUpdatePxELong, pointer, abi::vmi::page_type(slot.level));
      return;
    }
    if (!current) this->after_lazy_ = true;  // VMI does not let it wait longer
    add(pointer | slot.level);
    ++waiting_;
  }
  [[nodiscard]] u64 waiting() const { return waiting_; }
  [[nodiscard]] bool full() const { return queue_.count + kMostWords > abi::vmi::kQueueWords; }

  void tell(TellFlush flush) {
    using namespace abi::vmi;
    waiting_ = 0;
    this->after_lazy_ = false;
    switch (flush.kind) {
      case TellFlush::Kind::kNone:
        return vmi_call<call>(kSetLazyMode, this->lazy_ ? kLazyMmu : kLazyNone);
      case TellFlush::Kind::kPage:
        return vmi_call<call>(kInvalPage, flush.va.page_base().value());
      case TellFlush::Kind::kSpace:
        return vmi_call<call>(kFlushTlb, kFlushTlbEntries);
      case TellFlush::Kind::kEverything:
        return vmi_call<call>(kFlushTlb, kFlushTlbEntries | kFlushGlobal);
    }
  }
  // Nothing to flush: it is not counted.
  void put_gain(const Slot& slot, Entry) { add(pointer_to(slot) | slot.level); }
  void tell_gain(const Slot& slot, Entry entry) {
    vmi_call<call>(abi::vmi::kSetPxELong, entry.word(), pointer_to(slot),
                   abi::vmi::page_type(slot.level) | abi::vmi::kCurrentAs | slot.va.page_base().value());
  }

  // A new root shows what the one in use shows of the kernel.
  void new_root(Frame root) {
    this->make_room();
    const u64 from = this->root_.number();
    constexpr u64 kFirst = kEntriesPerTable / 2;
    add_page(abi::vmi::kWordAllocate, root, from == 0 ? 0 : abi::vmi::kPageClone);
    add(from == 0 ? 0
                  : from << abi::vmi::kWordCloneShift | kFirst << abi::vmi::kWordFirstShift |
                        (kEntriesPerTable - kFirst));
  }
  void switch_root(Frame root) {
    this->unflushed_ = false;
    vmi_call<call>(abi::vmi::kSetCr3, root.address().value());
  }
  [[nodiscard]] bool release_root(Frame root) {
    this->make_room();
    add_page(abi::vmi::kWordRelease, root, 0);
    return true;
  }

 private:
  static u64 pointer_to(const Slot& slot) {
    return linear_begin + slot.table.address().value() + slot.index * sizeof(Entry);
  }

  static constexpr u64 kMostWords = 2;

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
  u64 waiting_ = 0;
};

}  // namespace nopte::pt
