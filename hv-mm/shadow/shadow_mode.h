// Mode shadow, and what the modes whose shadow is told (hv-mm/told) share with it: the guest keeps its own
// page tables in its own memory, the processor runs on the shadow MMU's.
#pragma once

#include <algorithm>
#include <cstring>

#include "hv-mm/launch.h"
#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

class ShadowMode : public ModeHandler {
 public:
  [[nodiscard]] ShadowMmu& mmu() { return mmu_; }

  [[nodiscard]] const char* name() const override { return "shadow"; }
  [[nodiscard]] PagingControl paging_control() const override { return PagingControl::kShadowed; }

  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override {
    const ShadowMmu::Fault fault = mmu_.on_page_fault(va, error_code);
    switch (fault.outcome) {
      case ShadowMmu::Fault::Outcome::kResolved:
        break;
      case ShadowMmu::Fault::Outcome::kReflect:
        vcpu.inject_page_fault(va, fault.error_code);
        break;
      case ShadowMmu::Fault::Outcome::kEmulateStore:
        if (!emulate_store(vcpu, va, fault.gpa)) mmu_.release(fault.gpa);
        break;
      case ShadowMmu::Fault::Outcome::kOutside:
        ++outside_;
        vcpu.inject_exception(kVectorGeneralProtection, 0);
        break;
    }
    flush_if_needed(vcpu);
  }
  void on_nested_fault(Vcpu&, u64, u64) override {}  // nested paging is off

  Result<u64> read_cr3(Vcpu&) override { return mmu_.guest_root(); }
  Result<void> write_cr3(Vcpu& vcpu, u64 value) override {
    const auto root = mmu_.set_root(value);
    if (!root) return Fail(root.error());
    vcpu.vmcb().cr3 = root->value();
    flush_if_needed(vcpu);
    return {};
  }
  void on_control_changed(Vcpu& vcpu) override {
    mmu_.flush();
    flush_if_needed(vcpu);
  }
  void on_invlpg(Vcpu& vcpu, Gva va) override {
    mmu_.invlpg(va);
    flush_if_needed(vcpu);
  }
  // One page at a time, and short: every CR3 load and INVLPG fetches its instruction by this.
  Result<void> read_guest(const Vcpu&, Gva va, std::span<u8> bytes) override {
    while (!bytes.empty()) {
      const auto gpa = mmu_.translate(va);
      if (!gpa) return Fail(gpa.error());
      const u64 chunk = std::min<u64>(bytes.size(), kPageBytes - va.page_offset());
      std::memcpy(bytes.data(), mmu_.guest().window + gpa->value(), chunk);
      va += chunk;
      bytes = bytes.subspan(chunk);
    }
    return {};
  }

  void write_counters(JsonWriter& json) const override;

 protected:
  ~ShadowMode() = default;

  void flush_if_needed(Vcpu& vcpu) {
    if (mmu_.take_flush()) {
      ++flushes_;
      vcpu.flush_tlb_at_entry();
    }
  }

 private:
  // Executes the instruction at rip, whose store to va was refused, as a shadowed table lies at gpa. False
  // when it is none of those that are known, does not lie in this page alone, or was part of delivering an
  // event: nothing has happened then.
  bool emulate_store(Vcpu& vcpu, Gva va, Gpa gpa);

  ShadowMmu mmu_;
  u64 outside_ = 0;
  u64 flushes_ = 0;
};

// Loads the guest and starts it on `mode`'s MMU, made as tracking says.
StartResult start_shadowed(const Launch& launch, ShadowMode& mode, Tracking tracking);

}  // namespace nopte::hv
