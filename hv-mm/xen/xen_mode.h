// Mode xen: direct paging. The processor walks the guest's own tables, whose every change was checked; a page
// fault is the guest's own affair and does not come here.
#pragma once

#include "hv-mm/container/guest_tlb.h"
#include "hv-mm/launch.h"
#include "hv-mm/xen/xen_calls.h"

namespace nopte::hv {

class XenMode final : public ModeHandler {
 public:
  // `reserved`: the hypervisor's own entry in each root. `zero`, `copy`: as XenCalls has them.
  XenMode(Vcpu& vcpu, Host& host, const MachineFrames& frames, pt::Entry reserved, XenCalls::ZeroPage zero,
          XenCalls::CopyPage copy)
      : stop_{host}, tlb_(vcpu, host), types_(frames, reserved, stop_), calls_(types_, zero, copy) {}

  [[nodiscard]] const char* name() const override { return "xen"; }
  [[nodiscard]] u64 features() const override { return abi::kFeatureXen; }

  // Neither exits in this mode.
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override { vcpu.inject_page_fault(va, error_code); }
  void on_nested_fault(Vcpu& vcpu, u64, u64) override { vcpu.inject_exception(kVectorGeneralProtection, 0); }

  Result<u64> read_cr3(Vcpu&) override { return pages_to_bytes(types_.base()); }
  Result<void> write_cr3(Vcpu&, u64) override { return Fail(Status::kPermission); }
  void on_invlpg(Vcpu&, Gva va) override {
    types_.flush_page(va);
    settle();
  }

  CallResult on_memory_call(Vcpu&, u64 number, const abi::Registers& arguments) override {
    if (!abi::is_of(number, abi::Interface::kXen)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    settle();
    return result;
  }
  Result<void> read_guest(const Vcpu&, Gva va, std::span<u8> bytes) override {
    if (!calls_.pointers().read(va, bytes.data(), bytes.size())) return Fail(Status::kBadAddress);
    return {};
  }

  void write_counters(JsonWriter& json) const override;

  // The root that the domain builder made. False: the tables do not obey the rules.
  [[nodiscard]] bool start_on(u64 root) {
    XenErrno error = XenErrno::kRestart;
    while (error == XenErrno::kRestart) {
      if (types_.begin_call()) error = types_.pin(root, pt::kLevels);
    }
    stop_.runs = true;
    if (error != XenErrno::kNone || types_.set_base(root) != XenErrno::kNone) return false;
    // All is forgotten at the first entry.
    tlb_.load_root(pt::PhysAddr(pages_to_bytes(types_.base())));
    types_.flushed();
    return true;
  }

  [[nodiscard]] PageTypes& types() { return types_; }

 private:
  // Ends an exit: the processor goes on with the base, and knows nothing that it has to forget.
  void settle() {
    const pt::PhysAddr base(pages_to_bytes(types_.base()));
    if (!tlb_.runs(base)) {
      tlb_.load_root(base);
      others_known_ = true;
    }
    if (types_.due().any()) forget();
  }
  [[gnu::noinline]] void forget();

  struct Stop {
    Host& host;
    bool runs = false;  // before, the host takes no interrupts yet
    bool operator()() const { return runs && host.interrupt_waiting(); }
  };

  Stop stop_;
  GuestTlb tlb_;
  PageTypes types_;
  XenCalls calls_;
  bool others_known_ = false;  // of others than the base something may be known
  u64 flushes_ = 0;
  u64 page_flushes_ = 0;
};

// What start_xen() (launch.h) is made of.
StartResult start_xen_with(const Launch& launch, XenCalls::ZeroPage zero, XenCalls::CopyPage copy);

}  // namespace nopte::hv
