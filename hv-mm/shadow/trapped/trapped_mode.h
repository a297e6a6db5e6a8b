// Mode shadow; and any mode whose guest is not offered the interface by which it would tell.
#pragma once

#include "hv-mm/shadow/shadow_mode.h"
#include "hv-mm/shadow/trapped/trapped_mmu.h"

namespace nopte::hv {

class TrappedMode : public ShadowMode {
 public:
  explicit TrappedMode(const char* name = "shadow") : ShadowMode(mmu_), name_(name) {}

  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] TrappedMmu& mmu() { return mmu_; }

 protected:
  ~TrappedMode() = default;

 private:
  void on_refused_store(Vcpu& vcpu, Gva va, Gpa gpa) final {
    if (!emulate_store(vcpu, va, gpa)) mmu_.release(gpa);
  }
  // Executes the instruction at rip, whose store to va was refused, as a shadowed table lies at gpa. False
  // when it is none of those that are known, does not lie in this page alone, or was part of delivering an
  // event: nothing has happened then.
  bool emulate_store(Vcpu& vcpu, Gva va, Gpa gpa);

  const char* name_;
  TrappedMmu mmu_;
};

StartResult start_trapped(const Launch& launch, TrappedMode& mode);
// The same on a mode of this name, made for it.
StartResult start_trapped(const Launch& launch, const char* name);

}  // namespace nopte::hv
