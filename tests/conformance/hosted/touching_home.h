// A home whose programs and kernel touch memory through the machine model's processor.
#pragma once

#include "tests/conformance/hosted/home.h"
#include "tests/model/machine.h"

namespace nopte::conformance {

class TouchingHome : public Home {
 public:
  Result<u64> load(Gva va) override {
    const auto at = word(va, Access::kRead, privilege_at(va));
    if (!at) return Fail(at.error());
    return **at;
  }
  Status store(Gva va, u64 value) override {
    const auto at = word(va, Access::kWrite, privilege_at(va));
    if (!at) return at.error();
    **at = value;
    return Status::kOk;
  }
  Status execute(Gva va) override {
    const auto at = word(va, Access::kExec, pt::Privilege::kUser);
    if (!at) return at.error();
    return **at == kTrapCode ? Status::kOk : Status::kBadAddress;
  }
  [[nodiscard]] Gva refused_at() const override { return refused_at_; }
  const char* broken() override {
    return machine().stale_translations() == 0 ? nullptr : "a TLB holds what is not promised any more";
  }

 protected:
  virtual model::Machine& machine() = 0;
  // The guest gets a page fault. kNone: the access can be tried again.
  virtual ViolationReason fault(Gva va, Access access, pt::Privilege privilege) = 0;

 private:
  static pt::Privilege privilege_at(Gva va) {
    return static_cast<i64>(va.value()) < 0 ? pt::Privilege::kKernel : pt::Privilege::kUser;
  }
  Result<u64*> word(Gva va, Access kind, pt::Privilege privilege) {
    for (int tries = 0; tries < 4; ++tries) {
      if (const auto byte = machine().access(0, va, kind, privilege)) return reinterpret_cast<u64*>(*byte);
      if (const ViolationReason refused = fault(va, kind, privilege); refused != ViolationReason::kNone) {
        refused_at_ = va;
        return Fail(status_of(refused));
      }
    }
    return Fail(Status::kAgain);  // the same access faults for ever
  }

  Gva refused_at_;
};

}  // namespace nopte::conformance
