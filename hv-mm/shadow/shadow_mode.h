// What the modes of shadow paging share, trapped (shadow/trapped) and told (hv-mm/told): the guest keeps its
// own page tables in its own memory, the processor runs on the shadow MMU's.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>

#include "hv-mm/container/guest_tlb.h"
#include "hv-mm/launch.h"
#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

class ShadowMode : public ModeHandler {
 public:
  [[nodiscard]] ShadowMmu& mmu() { return mmu_; }

  // Before the first exit, when a root is loaded. All is forgotten at the first entry.
  void start_on(Vcpu& vcpu, Host& host);

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
        on_refused_store(vcpu, va, fault.gpa);
        break;
      case ShadowMmu::Fault::Outcome::kOutside:
        ++outside_;
        vcpu.inject_exception(kVectorGeneralProtection, 0);
        break;
    }
    settle();
  }
  void on_nested_fault(Vcpu&, u64, u64) override {}  // nested paging is off

  Result<u64> read_cr3(Vcpu&) override { return mmu_.guest_root(); }
  Result<void> write_cr3(Vcpu&, u64 value) override {
    const auto root = mmu_.set_root(value);
    if (!root) return Fail(root.error());
    tlb_->load_root(*root);
    settle();
    return {};
  }
  void on_control_changed(Vcpu&) override {
    mmu_.flush();
    settle();
  }
  void on_invlpg(Vcpu&, Gva va) override {
    mmu_.invlpg(va);
    settle();
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
  // `mmu` is the derived class's.
  explicit ShadowMode(ShadowMmu& mmu) : mmu_(mmu) {}
  ~ShadowMode() = default;

  // The guest's store to va was refused, as a protected table lies at gpa. Only where tables are protected.
  virtual void on_refused_store(Vcpu& vcpu, Gva va, Gpa gpa) = 0;

  // Something else than write_cr3() may have loaded a root.
  void use_root() {
    if (!tlb_->runs(mmu_.host_root())) tlb_->load_root(mmu_.host_root());
  }
  // Ends an exit: the processor goes on with the root in use, and knows nothing that is shown no more.
  void settle() {
    mmu_.end_exit();
    if (mmu_.losses().any()) forget_losses();
  }

 private:
  [[gnu::noinline]] void forget_losses();
  ShadowMmu& mmu_;
  Host* host_ = nullptr;
  std::optional<GuestTlb> tlb_;
  u64 outside_ = 0;
  u64 flushes_ = 0;
  u64 page_flushes_ = 0;
};

// Loads the guest and starts it on `mode`'s MMU.
StartResult start_shadowed(const Launch& launch, ShadowMode& mode);

}  // namespace nopte::hv
