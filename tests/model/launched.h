// What boot.cc prepares before a mode starts a guest, over the model's memory: the guest's, behind it the
// hypervisor's own; the guest's image; the vCPU with its container.
#pragma once

#include <functional>

#include "hv-mm/container/setup.h"
#include "hv-mm/launch.h"
#include "pvops/base/panic.h"
#include "tests/model/machine.h"
#include "tests/support/guest_elf.h"

namespace nopte::model {

// The machine below: a processor with 1 GiB leaves. Modes ask it for nothing else.
class HostHere final : public hv::Host {
 public:
  static constexpr unsigned kPhysicalBits = 40;

  void console_write(std::string_view) override {}
  std::optional<u8> console_read() override { return std::nullopt; }
  void counters_write(std::string_view) override {}
  u64 ticks() override { return 0; }
  u64 ns_of_ticks(u64 ticks) override { return ticks; }
  void timer_set(u64) override {}
  void timer_cancel() override {}
  void take_interrupts() override {}
  bool interrupt_waiting() override { return stop && stop(); }
  void wait_for_interrupt() override { NOPTE_PANIC("waits for ever"); }
  u32 raised_interrupts() override { return 0; }
  Signals signals() override { return {}; }
  hv::CpuidLeaf cpuid(u32 leaf, u32) override {
    return {.eax = leaf == 0x8000'0008 ? kPhysicalBits : 0,
            .ebx = leaf == 0x8000'000a ? asids : 0,
            .edx = leaf == 0x8000'0001                    ? 1u << 26
                   : leaf == 0x8000'000a && flush_by_asid ? 1u << 6
                                                          : 0};
  }
  void forget_page(Gva va, u32 asid) override { forget(va, asid); }
  void set_xcr0(u64) override {}
  [[noreturn]] void power_off(u8) override { NOPTE_PANIC("the guest ended"); }

  std::function<bool()> stop;  // an interrupt waits
  std::function<void(Gva, u32)> forget;
  // What the processor has: ASIDs, the host's among them, and FlushByAsid.
  static constexpr u32 kAsids = 4;
  u32 asids = kAsids;
  bool flush_by_asid = machines_flush_by_asid;
  // Of those that are made from now on.
  inline static bool machines_flush_by_asid = false;
};

// Machines that are made while this lives have FlushByAsid, or have not.
class Processors {
 public:
  explicit Processors(bool flush_by_asid) { HostHere::machines_flush_by_asid = flush_by_asid; }
  ~Processors() { HostHere::machines_flush_by_asid = false; }
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;
};

// Another guest has run under the same ASIDs, and its TLB entries are still there. Its tables are the
// `kTraceFrames` frames that the machine's walker finds at `physical`.
inline constexpr u64 kTraceFrames = 4;
inline void leave_traces(Machine& machine, u8* tables, u64 physical, u32 asids = HostHere::kAsids) {
  constexpr u64 kEverything = 0x67;  // present, writable, user, accessed, dirty
  std::memset(tables, 0, pages_to_bytes(kTraceFrames));
  for (u64 n = 0; n < kTraceFrames; ++n) {
    const u64 below = physical + pages_to_bytes(std::min(n + 1, kTraceFrames - 1));
    const u64 entry = below | kEverything;
    std::memcpy(tables + pages_to_bytes(n), &entry, sizeof(entry));
  }
  for (u32 asid = hv::Vcpu::kAsid; asid < asids; ++asid) {
    machine.enter(asid, PhysAddr(physical), hv::kTlbKeep);
    NOPTE_ASSERT(machine.access(0, Gva(), Access::kRead, Privilege::kUser));
    machine.leave();
  }
}

class Launched {
 public:
  // Seen at `view` + its physical address is all that `physical` and `own` name.
  Launched(u8* view, PhysicalSpan guest, PhysicalSpan own, u64 image_at)
      : elf_(image_at), own_(own, reinterpret_cast<u64>(view)) {
    hv::set_up_container(vcpu, bitmaps_, 0);
    launch.image = &*image_;
    launch.guest = guest;
    launch.own = &own_;
    launch.vcpu = &vcpu;
    launch.host = &host;
  }

  HostHere host;
  hv::Vmcb vmcb{};
  hv::Vcpu vcpu{vmcb, 0};
  hv::Launch launch;

 private:
  hv::PermissionBitmaps bitmaps_{};
  hv::testing::GuestElf elf_;
  std::expected<hv::GuestImage, const char*> image_ = hv::GuestImage::parse(elf_.bytes());
  hv::BootMemory own_;
};

}  // namespace nopte::model
