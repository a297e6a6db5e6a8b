// A machine for direct paging: memory, the validator, the calls, and a guest that may write what its tables
// show it writable, through a TLB that is tagged by root and forgets nothing until it is flushed.
//
// The first frames are a root with one table of each level, by which frame n is seen at page n of kDirect:
// all frames but these four writable.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "hv-mm/xen/xen_calls.h"
#include "pvops/base/panic.h"
#include "tests/support/work_meter.h"
#include "tests/support/xen_count.h"

namespace nopte::hv::testing {

class XenMachine {
 public:
  static constexpr u64 kBegin = 0x12'3400;  // machine frame numbers begin here
  static constexpr u64 kDirect = 0xffff'8800'0000'0000;
  static constexpr u64 kReserved = 0x7000 + kXP;  // the hypervisor's, in each root
  static constexpr u64 kRoot = 0, kLevel3 = 1, kLevel2 = 2, kFirstLeaf = 3;
  // The call lists lie in the frames behind the tables.
  static constexpr u64 kListPages = 10;

  explicit XenMachine(u64 frames, u64 entries_per_look = PageTypes::kEntriesPerLook)
      : frames_(frames),
        leaves_((frames + 511) / 512),
        memory_(static_cast<u8*>(std::aligned_alloc(4096, frames * 4096))),
        infos_(frames),
        types(MachineFrames(pt::FrameRange::of(pt::Frame(kBegin), frames), memory_.get(), infos_),
              pt::Entry(kReserved), stop, entries_per_look),
        calls(
            types, [](u8* page) { std::fill_n(page, 4096, u8{0}); },
            [](u8* to, const u8* from) { std::copy_n(from, 4096, to); }) {
    std::fill_n(memory_.get(), frames * 4096, u8{0});
    raw(kRoot, kDirect >> 39 & 511) = entry(kLevel3);
    raw(kLevel3, 0) = entry(kLevel2);
    for (u64 i = 0; i < leaves_; ++i) raw(kLevel2, i) = entry(kFirstLeaf + i);
    for (u64 frame = 0; frame < frames; ++frame) {
      raw(kFirstLeaf + frame / 512, frame % 512) = entry(frame, frame < first_free() - kListPages ? 0 : kXW);
    }
    XenErrno error = XenErrno::kRestart;
    while (error == XenErrno::kRestart) {
      if (types.begin_call()) error = types.pin(machine(kRoot), 4);
    }
    NOPTE_ASSERT(error == XenErrno::kNone && types.set_base(machine(kRoot)) == XenErrno::kNone);
    types.flushed();
    pins_[kRoot] = 4;
    base_ = kRoot;
    check();
  }

  [[nodiscard]] u64 frames() const { return frames_; }
  [[nodiscard]] u64 first_list() const { return kFirstLeaf + leaves_; }
  [[nodiscard]] u64 first_free() const { return first_list() + kListPages; }
  [[nodiscard]] static u64 machine(u64 frame) { return kBegin + frame; }
  // A present entry for the frame.
  [[nodiscard]] static u64 entry(u64 frame, u64 bits = kXW | kXU) {
    return machine(frame) << 12 | kXP | kXA | bits;
  }
  [[nodiscard]] static u64 address(u64 frame, u64 offset = 0) { return kDirect + frame * 4096 + offset; }
  [[nodiscard]] static u64 machine_address(u64 frame, u64 index) { return machine(frame) * 4096 + index * 8; }
  // Memory as it is, whoever may see it.
  u64& raw(u64 frame, u64 index) { return *reinterpret_cast<u64*>(memory_.get() + frame * 4096 + index * 8); }
  [[nodiscard]] const FrameInfo& info(u64 frame) const { return infos_[frame]; }

  // A store by the guest. False: a page fault.
  bool store(u64 va, u64 value) {
    const auto cached = tlb().find(va >> 12);
    if (cached == tlb().end() || !cached->second.writable) {
      tlb().erase(va >> 12);
      if (!walk(va)) return false;
    }
    const Cached& found = tlb().at(va >> 12);
    if (!found.writable) return false;
    raw(found.frame, (va & 4095) / 8) = value;
    return true;
  }
  // The frame that the guest sees at va, or nothing.
  std::optional<u64> load(u64 va) {
    if (!tlb().contains(va >> 12) && !walk(va)) return std::nullopt;
    return tlb().at(va >> 12).frame;
  }

  // Every call is held to what it may do between two looks at whether an interrupt waits.
  struct Stop {
    bool interrupt = true;
    u64 looks = 0;
    test::WorkMeter meter{};
    bool operator()() {
      meter.look();
      ++looks;
      return interrupt;
    }
  };
  CallResult call(u64 number, const abi::Registers& arguments) {
    stop.meter.begin();
    const CallResult result = calls.call(number, arguments);
    stop.meter.look();
    NOPTE_ASSERT(stop.meter.kept());
    flushed = types.due();
    forget(flushed);
    types.flushed();
    return result;
  }

  // What tests ask, by calls.
  using Update = abi::xen::MmuUpdate;
  using Operation = abi::xen::MmuextOp;
  static Operation operation(abi::xen::Mmuext command, u64 arg1, u64 arg2 = 0) {
    return {static_cast<u32>(command), 0, arg1, arg2};
  }
  XenErrno update(u64 frame, u64 index, u64 value, u64 command = abi::xen::kNormalUpdate) {
    const Update one{machine_address(frame, index) | command, value};
    return update_list({&one, 1});
  }
  XenErrno update_list(std::span<const Update> list) { return batch(abi::xen::kMmuUpdate, list); }
  XenErrno pin(u64 frame, unsigned level) {
    const Operation one = operation(static_cast<abi::xen::Mmuext>(level - 1), machine(frame));
    const XenErrno error = operate({&one, 1});
    if (error == XenErrno::kNone) pins_[frame] = level;
    return error;
  }
  XenErrno unpin(u64 frame) {
    const Operation one = operation(abi::xen::Mmuext::kUnpin, machine(frame));
    const XenErrno error = operate({&one, 1});
    if (error == XenErrno::kNone) pins_.erase(frame);
    return error;
  }
  XenErrno set_base(u64 frame) {
    const Operation one = operation(abi::xen::Mmuext::kNewBaseptr, machine(frame));
    const XenErrno error = operate({&one, 1});
    if (error == XenErrno::kNone) base_ = frame;
    return error;
  }
  XenErrno operate(std::span<const Operation> list) { return batch(abi::xen::kMmuextOp, list); }
  // What the last call had forgotten.
  PageTypes::Flush flushed{};
  // Steps of the last list that were done.
  u32 done = 0;

  // Everything holds: counts, types, and what a stale translation could reach.
  void check() {
    XenCount(types, kReserved, pins_, base_).check();
    // A translation that was made before is kept by some processor.
    for (const auto& [base, known] : tlbs_) {
      for (const auto& [page, cached] : known) {
        const FrameInfo& info = infos_[cached.frame];
        NOPTE_ASSERT(!cached.writable || info.uses == 0 || !is_table(info.type));
        for (const u64 table : cached.tables) {
          NOPTE_ASSERT(infos_[table].uses == 0 || infos_[table].type != FrameType::kWritable);
        }
      }
    }
  }

  // The table's leaf in the direct map.
  XenErrno show(u64 frame, u64 bits) {
    return update(kFirstLeaf + frame / 512, frame % 512, entry(frame, bits));
  }
  // A pin or base pointer that was set past the methods above (a multicall's, a fuzzer's) is learned.
  void learn_pins() {
    pins_ = XenCount::pins_of(types);
    base_ = types.base() - kBegin;
  }

 private:
  struct Free {
    void operator()(u8* p) const { std::free(p); }
  };
  struct Cached {
    u64 frame;
    bool writable;
    u64 tables[4];
  };

  template <class Element>
  XenErrno batch(u64 number, std::span<const Element> list) {
    std::copy(list.begin(), list.end(), reinterpret_cast<Element*>(&raw(first_list(), 0)));
    const u64 done_at = address(first_list() + kListPages - 1);
    const CallResult result =
        call(number, {address(first_list()), list.size(), done_at, abi::xen::kDomainSelf, 0, 0});
    done = static_cast<u32>(raw(first_list() + kListPages - 1, 0));
    return result.status == Status::kOk ? XenErrno::kNone : static_cast<XenErrno>(~result.value + 1);
  }
  // What is known under the base.
  std::map<u64, Cached>& tlb() { return tlbs_[types.base()]; }
  void forget(const PageTypes::Flush& flush) {
    if (flush.everything) tlbs_.clear();
    if (flush.others) std::erase_if(tlbs_, [this](const auto& known) { return known.first != types.base(); });
    if (flush.base) tlb().clear();
    for (const Gva va : flush.pages()) tlb().erase(va.page());
  }
  bool walk(u64 va) {
    Cached found{base_, true, {}};
    for (unsigned level = 4; level != 0; --level) {
      found.tables[level - 1] = found.frame;
      const u64 e = raw(found.frame, va >> (12 + 9 * (level - 1)) & 511);
      if (level == 4 && abi::xen::is_reserved_slot(va >> 39 & 511)) return false;
      if (!(e & kXP)) return false;
      found.writable = found.writable && (e & kXW);
      found.frame = ((e & kXFrame) >> 12) - kBegin;
    }
    tlb()[va >> 12] = found;
    return true;
  }

  u64 frames_;
  u64 leaves_;
  std::unique_ptr<u8, Free> memory_;
  std::vector<FrameInfo> infos_;
  std::map<u64, unsigned> pins_;
  u64 base_ = 0;
  std::map<u64, std::map<u64, Cached>> tlbs_;  // by root

 public:
  Stop stop;
  PageTypes types;
  XenCalls calls;
};

}  // namespace nopte::hv::testing
