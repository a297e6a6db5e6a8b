#include "hv-mm/told/vmi_calls.h"
#include "native-fallback/sinks/vmi_sink.h"
#include "tests/conformance/hosted/told_home.h"

namespace nopte::conformance {
namespace {

struct Vmi {
  static void call(u64 number, u64 a0, u64 a1, u64 a2) { ToldHome<Vmi>::hypercall(number, a0, a1, a2); }
  static constexpr const char* kName = "vmi";
  static constexpr Gva kLinear = pt::FourLevel::kDirectRange.begin;
  using Calls = hv::VmiCalls;
  using Processor = pt::VmiProcessor<ToldProcessor, call>;
  using Teller = pt::VmiTeller<Processor, kLinear.value(), call>;
  using Sink = pt::ToldSink<Processor, Teller>;
  struct Guest {
    Guest(u8* shared_page, pt::FrameTable& frames)
        : teller(*reinterpret_cast<abi::vmi::Queue*>(shared_page), processor),
          sink(frames, processor, teller) {}
    Processor processor;
    Teller teller;
    Sink sink;
  };
  static void start(Guest&, Calls& calls, u64 shared_page) {
    NOPTE_ASSERT(calls.call(abi::vmi::kSetQueue, {shared_page}).status == Status::kOk);
    NOPTE_ASSERT(
        calls.call(abi::vmi::kSetLinearMapping, {0, kLinear.value(), ToldMachine::kFrames, 0}).status ==
        Status::kOk);
  }
};

}  // namespace

std::unique_ptr<Home> make_vmi_home() { return std::make_unique<ToldHome<Vmi>>(); }

}  // namespace nopte::conformance
