#include "hv-mm/told/lguest_calls.h"
#include "native-fallback/sinks/lguest_sink.h"
#include "tests/conformance/hosted/told_home.h"

namespace nopte::conformance {
namespace {

struct Lguest {
  static void call(u64 number, u64 a0, u64 a1, u64 a2) { ToldHome<Lguest>::hypercall(number, a0, a1, a2); }
  static constexpr const char* kName = "lguest";
  using Calls = hv::LguestCalls;
  using Processor = pt::LguestProcessor<ToldProcessor, call>;
  using Teller = pt::LguestTeller<Processor, call>;
  using Sink = pt::ToldSink<Processor, Teller>;
  struct Guest {
    Guest(u8* shared_page, pt::FrameTable& frames)
        : teller(*reinterpret_cast<abi::lguest::Ring*>(shared_page), processor),
          sink(frames, processor, teller) {}
    Processor processor;
    Teller teller;
    Sink sink;
  };
  static void start(Guest& guest, Calls&, u64 shared_page) { guest.teller.start(pt::PhysAddr(shared_page)); }
};

}  // namespace

std::unique_ptr<Home> make_lguest_home() { return std::make_unique<ToldHome<Lguest>>(); }

}  // namespace nopte::conformance
