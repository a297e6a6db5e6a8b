#include "hv-mm/told/kvm_pv_calls.h"
#include "native-fallback/sinks/kvmpv_sink.h"
#include "tests/conformance/hosted/told_home.h"

namespace nopte::conformance {
namespace {

struct KvmPv {
  static void call(u64 number, u64 a0, u64 a1, u64 a2) { ToldHome<KvmPv>::hypercall(number, a0, a1, a2); }
  static constexpr const char* kName = "kvmpv";
  using Calls = hv::KvmPvCalls;
  using Teller = pt::KvmPvTeller<call>;
  using Sink = pt::ToldSink<ToldProcessor, Teller>;
  struct Guest {
    Guest(u8* shared_page, pt::FrameTable& frames)
        : teller(*reinterpret_cast<pt::KvmPvBuffer*>(shared_page)), sink(frames, processor, teller) {}
    ToldProcessor processor;
    Teller teller;
    Sink sink;
  };
  static void start(Guest&, Calls& calls, u64 shared_page) {
    NOPTE_ASSERT(calls.set_buffer(shared_page | abi::kvmpv::kBufferEnable));
  }
};

}  // namespace

std::unique_ptr<Home> make_kvmpv_home() { return std::make_unique<ToldHome<KvmPv>>(); }

}  // namespace nopte::conformance
