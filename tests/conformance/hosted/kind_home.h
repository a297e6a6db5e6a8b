// A home over a kind of world of the model (tests/model/kind.h): a mode resolves the faults of an engine over
// its sink.
#pragma once

#include <memory>

#include "native-fallback/engine/engine.h"
#include "tests/conformance/hosted/touching_home.h"
#include "tests/model/kind.h"

namespace nopte::conformance {

template <class Kind>
class KindHome : public TouchingHome {
 public:
  using Engine = pt::Engine<typename Kind::Sink>;

  KindHome() {
    const pt::FrameRange pool = kind_.pool();
    NOPTE_ASSERT(kind_.frames.init(kind_.memory.direct_base(), kind_.memory.range(), {&pool, 1}));
    NOPTE_ASSERT(kind_.init(*engine_));
  }

  [[nodiscard]] u64 exits() const override { return kind_.exits(); }
  const char* broken() override {
    kind_.check();
    return TouchingHome::broken();
  }

 protected:
  static constexpr u64 kFrames = 3000;

  model::Machine& machine() override { return kind_.machine; }

  Kind kind_{kFrames, 1};
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(kind_.sink, kind_.frames);
};

}  // namespace nopte::conformance
