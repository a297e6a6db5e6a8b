// native: MmOps over the engine, whose tables the processor walks.
#include "native-fallback/guest/engine_mm_ops.h"
#include "tests/conformance/hosted/engine_home.h"
#include "tests/conformance/hosted/engine_slot.h"

namespace nopte::conformance {
namespace {

EngineSlot<pt::Engine<EngineHome::Sink>> g_engine;
struct NoHooks {};
NoHooks g_sink;  // wants to know nothing of faults
using Mm = pt::EngineMm<g_engine, g_sink>;
constexpr MmOps kOps = Mm::ops("native");

class NativeHome final : public EngineHome {
 public:
  NativeHome() { g_engine.engine = engine_.get(); }
  void set_windows(const RegionSource& windows) override { engine_->set_kernel_regions(windows); }
  const MmOps& ops() override { return kOps; }
  [[nodiscard]] u64 exits() const override { return 0; }

 private:
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    return Mm::fault(va, access, privilege);
  }
};

}  // namespace

std::unique_ptr<Home> make_native_home() { return std::make_unique<NativeHome>(); }

}  // namespace nopte::conformance
