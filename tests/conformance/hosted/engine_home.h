// Homes whose engine stores into tables that the model's processor walks: natively the guest's, in mode vma
// the hypervisor's.
#pragma once

#include "native-fallback/engine/engine.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/conformance/hosted/model_home.h"
#include "tests/model/walkers.h"

namespace nopte::conformance {

class EngineHome : public ModelHome {
 public:
  using Sink = pt::StoreSink<model::Machine>;

  EngineHome() {
    const pt::FrameRange all = memory_.range();
    NOPTE_ASSERT(frames_.init(memory_.direct_base(), all, {&all, 1}));
    NOPTE_ASSERT(engine_->init());
  }
  const char* broken() override {
    return machine_.stale_translations() == 0 ? nullptr : "a TLB holds what is not promised any more";
  }

 protected:
  std::optional<u8*> access(Gva va, Access access, pt::Privilege privilege) override {
    return machine_.access(0, va, access, privilege);
  }

  model::Memory memory_{16, kFrames};
  model::LongModeWalker walker_{memory_, [](pt::Frame frame) { return frame; }};
  model::Machine machine_{memory_, walker_, 1};
  pt::FrameTable frames_;
  Sink sink_{frames_, machine_};
  std::unique_ptr<pt::Engine<Sink>> engine_ = std::make_unique<pt::Engine<Sink>>(sink_, frames_);
};

}  // namespace nopte::conformance
