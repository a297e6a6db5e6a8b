// A home over a kind of world of the model (tests/model/kind.h): its processor touches memory, and a mode
// resolves the faults of an engine over its sink.
#pragma once

#include <memory>

#include "native-fallback/engine/engine.h"
#include "tests/conformance/hosted/home.h"
#include "tests/model/kind.h"

namespace nopte::conformance {

template <class Kind>
class KindHome : public Home {
 public:
  using Engine = pt::Engine<typename Kind::Sink>;

  KindHome() {
    const pt::FrameRange pool = kind_.pool();
    NOPTE_ASSERT(kind_.frames.init(kind_.memory.direct_base(), kind_.memory.range(), {&pool, 1}));
    NOPTE_ASSERT(kind_.init(*engine_));
  }

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

  [[nodiscard]] u64 exits() const override { return kind_.exits(); }
  const char* broken() override {
    kind_.check();
    return kind_.machine.stale_translations() == 0 ? nullptr : "a TLB holds what is not promised any more";
  }

 protected:
  static constexpr u64 kFrames = 3000;

  // kNone: the access can be tried again.
  virtual ViolationReason fault(Gva va, Access access, pt::Privilege privilege) = 0;

  Kind kind_{kFrames, 1};
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(kind_.sink, kind_.frames);

 private:
  static pt::Privilege privilege_at(Gva va) {
    return static_cast<i64>(va.value()) < 0 ? pt::Privilege::kKernel : pt::Privilege::kUser;
  }
  Result<u64*> word(Gva va, Access kind, pt::Privilege privilege) {
    for (int tries = 0; tries < 4; ++tries) {
      if (const auto byte = kind_.machine.access(0, va, kind, privilege)) {
        return reinterpret_cast<u64*>(*byte);
      }
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
