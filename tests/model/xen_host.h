// Xen's side of one guest: the domain builder and the mode with its validator and calls, all the real ones,
// over the model's memory. The processor walks the guest's own tables, by machine frames; what a TLB knows is
// forgotten only where the control block says so.
//
// The guest's direct map is the kernel's view of memory (Memory::page). It is as a TLB that has seen the
// worst: a frame whose leaf turns read-only cannot be written from then on, and one that turns writable only
// when a flush came after.
//
//   guest frames:  | image | what is shared by the queue | list, tables of the domain builder | the pool ...
#pragma once

#include <algorithm>
#include <vector>

#include "hv-mm/xen/domain_builder.h"
#include "hv-mm/xen/xen_mode.h"
#include "pvops/base/panic.h"
#include "tests/model/entry.h"
#include "tests/model/launched.h"
#include "tests/model/walkers.h"
#include "tests/support/guest_elf.h"
#include "tests/support/xen_count.h"

namespace nopte::model {

class XenHost {
 public:
  // Machine frames begin above every guest frame: whoever mixes them up names what there is not.
  static constexpr u64 kMachineBegin = 0x1'0000;
  static constexpr u64 kImageFrames = hv::testing::GuestElf::kPages;
  static constexpr u64 kSharedFrames = 4;

  explicit XenHost(Memory& memory)
      : memory_(memory),
        order_(kMachineBegin, memory.range().frames()),
        infos_(memory.range().frames()),
        machine_frames_(pt::FrameRange::of(Frame(kMachineBegin), infos_.size()),
                        memory.map_in_order([this](u64 n) { return order_.machine(n) - kMachineBegin; }),
                        infos_),
        to_physical_(kMachineBegin + infos_.size()),
        writable_(infos_.size(), true) {
    host_.stop = [] { return true; };
    NOPTE_ASSERT(memory.range().begin == Frame(0) && infos_.size() <= kMachineBegin);
    hv::testing::GuestElf elf(0);
    hv::DomainBuilder builder(machine_frames_, order_);
    NOPTE_ASSERT(builder.build(*hv::GuestImage::parse(elf.bytes()), kImageFrames + kSharedFrames, block));
    builder.fill_machine_to_physical(&to_physical_[kMachineBegin]);
    run_on_boot_root();
  }

  // Before the guest runs.
  void start(Machine& machine) {
    machine_ = &machine;
    host_.forget = [&machine](Gva va, u32 asid) { machine.invlpga(va, asid); };
    // As set_up_container() leaves it.
    vcpu_.flush_tlb_at_entry();
    enter(machine, vmcb_);
    show_direct_map(true);
  }
  // By addresses in the direct map.
  hv::CallResult call(u64 number, const abi::Registers& arguments) {
    ++exits;
    hv::CallResult result;
    // What the guest's calls do between two looks of the guest's is counted without what is done here,
    // between looks of the hypervisor's own (xen_machine.h).
    const auto guests_work = work::g_done;
    bool forgets = false;
    {
      const GuestExit exit(*machine_, vcpu_);
      result =
          mode_.on_memory_call(vcpu_, abi::tagged(abi::Interface::kXen, static_cast<u32>(number)), arguments);
      forgets = exit.forgets();
    }
    work::g_done = guests_work;
    show_direct_map(forgets);
    return result;
  }
  // The guest ends: it runs on the domain builder's root, and its own has nothing in it that is not its own.
  void end(Frame kernel_root) {
    const u64 root = order_.machine(kernel_root.number());
    run_on_boot_root();
    const unsigned slot = pt::table_index(Gva(abi::kMachineDirectBase), pt::kLevels);
    NOPTE_ASSERT(types.update(root, slot, Entry(), false) == hv::XenErrno::kNone);
    pt::store_entry(machine_frames_.pointer(root), abi::xen::kReservedSlot, Entry());
    types.flush_everything();
    invlpg(Gva());
  }
  // The guest's instruction exits.
  void invlpg(Gva va) {
    {
      const GuestExit exit(*machine_, vcpu_);
      mode_.on_invlpg(vcpu_, va);
    }
    show_direct_map(true);
  }

  [[nodiscard]] Frame guest_frame(Frame machine) const {
    NOPTE_ASSERT(machine_frames_.owns(machine.number()));
    return Frame(to_physical_[machine.number()]);
  }
  // By machine frame; those that are not the guest's are not to be read.
  [[nodiscard]] const u64* to_physical() const { return to_physical_.data(); }

  // The validator's books are those of a count from scratch.
  void check() const {
    const auto pins = hv::testing::XenCount::pins_of(types);
    hv::testing::XenCount(types, kReserved, pins, types.base() - kMachineBegin).check();
  }

  abi::BootBlock block;
  u64 exits = 0;

 private:
  static constexpr u64 kReserved = 0x7001;  // the hypervisor's own, in each root

  void run_on_boot_root() { NOPTE_ASSERT(mode_.start_on(order_.machine(block.boot_root))); }
  void show_direct_map(bool flushed) {
    const u8* leaves = nullptr;
    for (u64 frame = 0; frame < writable_.size(); ++frame) {
      const u64 index = frame % pt::kEntriesPerTable;
      if (index == 0) {
        leaves = machine_frames_.pointer(order_.machine(block.direct_leaves + frame / pt::kEntriesPerTable));
      }
      const bool writable = pt::load_entry(leaves, static_cast<unsigned>(index)).writable();
      if (writable == writable_[frame] || (writable && !flushed)) continue;
      memory_.set_access(pt::FrameRange::of(Frame(frame), 1),
                         writable ? Memory::Allowed::kAll : Memory::Allowed::kLoads);
      writable_[frame] = writable;
    }
  }

  Memory& memory_;
  hv::FrameOrder order_;
  std::vector<hv::FrameInfo> infos_;
  hv::MachineFrames machine_frames_;
  std::vector<u64> to_physical_;
  std::vector<bool> writable_;  // by guest frame: what the direct map shows
  Machine* machine_ = nullptr;
  hv::Vmcb vmcb_{};
  hv::Vcpu vcpu_{vmcb_, 0};
  HostHere host_;
  hv::XenMode mode_{vcpu_,
                    host_,
                    machine_frames_,
                    pt::Entry(kReserved),
                    [](u8* page) { std::fill_n(page, kPageBytes, u8{0}); },
                    [](u8* to, const u8* from) { std::copy_n(from, kPageBytes, to); }};

 public:
  hv::PageTypes& types = mode_.types();
};

}  // namespace nopte::model
