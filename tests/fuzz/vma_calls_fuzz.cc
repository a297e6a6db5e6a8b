// A guest of mode vma that passes anything: sequences of memory calls and touches. After each, what was
// touched is promised; at the end nothing that is installed breaks a promise, and everything comes back.
#include <memory>

#include "hv-mm/vma/vma_memory.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/fuzz/input.h"
#include "tests/model/machine.h"
#include "tests/model/walkers.h"

namespace nopte {
namespace {

using Sink = pt::StoreSink<model::Machine>;
constexpr u64 kFrames = 600;

// Mapping it anew for each input would be most of the time; what is in it does not matter.
model::Memory& memory() {
  static model::Memory memory{16, kFrames};
  return memory;
}

struct Guest {
  struct Stop {
    u64 asked = 0;
    u64 every = 0;
    bool operator()() { return every != 0 && ++asked % every == 0; }
  };
  Guest() {
    const pt::FrameRange all = memory().range();
    NOPTE_ASSERT(frames.init(memory().direct_base(), all, {&all, 1}));
    NOPTE_ASSERT(engine.init());
    vma.init();
  }
  // Interesting values by a byte, raw ones by 255 and eight more.
  static u64 value(fuzz::Input& input) {
    constexpr Gva kA{0x2000'0000'0000};
    const u64 choice = input.byte();
    if (choice < 64) return choice;
    if (choice < 128) return (kA + pages_to_bytes(choice - 64)).value();
    if (choice < 160) return (kWindowRange.begin + pages_to_bytes(choice - 128)).value();
    if (choice < 224) return u64{1} << (choice - 160);
    if (choice < 255) return (kUserRange.end - pages_to_bytes(choice - 224)).value();
    return input.raw(8);
  }
  void check_installed() {
    for (u32 id = 0; id < 256; ++id) {
      const auto tree = vma.declared(SpaceId{id});
      if (!tree) continue;
      NOPTE_ASSERT((*tree)->consistent());
      engine.for_each_installed(SpaceId{id}, [&](Gva va, const auto& installed) {
        const auto region = (*tree)->find(va);
        NOPTE_ASSERT(region);
        NOPTE_ASSERT(!installed.entry.present() || !installed.rights.write() || region->perm.write());
        NOPTE_ASSERT(!installed.entry.present() || !installed.rights.exec() || region->perm.exec());
      });
    }
  }

  model::LongModeWalker walker{memory(), [](pt::Frame frame) { return frame; }};
  model::Machine machine{memory(), walker, 1};
  pt::FrameTable frames;
  Sink sink{frames, machine};
  pt::Engine<Sink> engine{sink, frames};
  Stop stop;
  hv::VmaMemory<Sink> vma{engine, frames, stop};
};

}  // namespace
}  // namespace nopte

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nopte;
  if (size > 2048) return 0;
  const auto guest = std::make_unique<Guest>();
  fuzz::Input input(data, size);
  while (input.more()) {
    const u8 what = input.byte();
    if (what < 224) {
      abi::Registers registers{};
      for (u64& value : registers) value = Guest::value(input);
      guest->stop.every = what & 1 ? 2 : 0;
      const hv::CallResult result = guest->vma.call(what / 2 % 32, registers);
      NOPTE_ASSERT(result.status <= Status::kLimit);
    } else {
      if (!input.more()) break;
      const u64 va = Guest::value(input);
      const auto access = static_cast<Access>(what % 3);
      if (guest->vma.fault(Gva(va), access, pt::Privilege::kUser)) {
        const auto region = (*guest->vma.declared(guest->vma.active()))->find(Gva(va));
        NOPTE_ASSERT(region && allows(region->perm, access));
      }
    }
  }
  guest->check_installed();
  return 0;
}
