// A guest of mode vma that passes anything: sequences of memory calls, what it writes into the queues of its
// spaces, and touches. After each, what is
// installed is promised, frames are referred to as often as they count, and no TLB knows what holds no more;
// at the end everything comes back. No call does more between two checks than the contract allows.
#include <array>
#include <bitset>
#include <memory>

#include "hv-mm/vma/vma_memory.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/fuzz/input.h"
#include "tests/model/machine.h"
#include "tests/model/walkers.h"
#include "tests/support/work_meter.h"

namespace nopte {
namespace {

using Sink = pt::StoreSink<model::Machine>;
// One block of 512 lies among them (frames 512 to 1023).
constexpr u64 kFirstFrame = 400, kFrames = 800;
constexpr u32 kMostIds = 256;  // an input is too short for more

// Mapping it anew for each input would be most of the time; what is in it does not matter.
model::Memory& memory() {
  static model::Memory memory{kFirstFrame, kFrames};
  return memory;
}

struct Guest {
  struct Stop {
    u64 asked = 0;
    u64 every = 0;
    test::WorkMeter meter;
    bool operator()() {
      meter.look();
      return every != 0 && ++asked % every == 0;
    }
  };
  Guest() {
    const pt::FrameRange all = memory().range();
    NOPTE_ASSERT(frames.init(memory().direct_base(), all, {&all, 1}));
    NOPTE_ASSERT(engine.init());
    vma.init();
    NOPTE_ASSERT(call(abi::Call::space_activate, {0}) == Status::kOk);
  }
  Status call(abi::Call number, const abi::Registers& registers) {
    stop.meter.begin();
    const hv::CallResult result = vma.call(static_cast<u64>(number), registers);
    stop.meter.look();
    // What a clone copies and a move moves is bounded by the pages that there are.
    const bool to_its_end = number == abi::Call::space_clone || number == abi::Call::region_move;
    NOPTE_ASSERT(to_its_end ? stop.meter.most() <= 2 * kFrames : stop.meter.kept());
    NOPTE_ASSERT(result.status <= Status::kLimit);
    if (number == abi::Call::space_destroy && registers[0] < kMostIds) {
      half_destroyed.set(registers[0], result.status == Status::kAgain);
    }
    const bool destroys = result.status == Status::kOk || result.status == Status::kAgain;
    if (number == abi::Call::space_switch && registers[1] < kMostIds && destroys) {
      half_destroyed.set(registers[1], result.status == Status::kAgain);
    }
    const bool new_space = number == abi::Call::space_create || number == abi::Call::space_clone;
    if (new_space && result.status == Status::kOk && result.value >= spaces) spaces = result.value + 1;
    return result.status;
  }
  // As the processor does it: what a fault has resolved works.
  void touch(Gva va, Access access) {
    if (va >= kUserRange.end || machine.access(0, va, access, pt::Privilege::kUser)) return;
    if (!vma.fault(va, access, pt::Privilege::kUser)) return;
    const auto region = (*vma.declared(vma.active()))->find(va);
    NOPTE_ASSERT(region && allows(region->perm, access));
    NOPTE_ASSERT(machine.access(0, va, access, pt::Privilege::kUser));
  }
  // Interesting values by a byte, raw ones by 255 and eight more.
  static u64 value(fuzz::Input& input) {
    constexpr Gva kA{0x2000'0000'0000};
    const u64 choice = input.byte();
    if (choice < 64) return choice;
    if (choice < 128) return (kA + pages_to_bytes(choice - 64)).value();
    if (choice < 160) return (kWindowRange.begin + pages_to_bytes(choice - 128)).value();
    if (choice < 224) return u64{1} << (choice - 160);
    if (choice >= 240 && choice < 255)
      return u64{Perm::kRead | Perm::kWrite} | (choice - 240) << 6;  // flags with a usage
    if (choice < 255) return (kUserRange.end - pages_to_bytes(choice - 224)).value();
    return input.raw(8);
  }
  // The queue of one of the first spaces; null: there is no memory for it.
  abi::RegionQueue* queue(u64 space) {
    const hv::CallResult block = vma.call(static_cast<u64>(abi::Call::region_queues), {0});
    if (block.status != Status::kOk) return nullptr;
    const Gva at = Gva(block.value) + space % abi::kQueuesPerBlock * abi::kQueueBytes;
    return reinterpret_cast<abi::RegionQueue*>(*engine.kernel_pointer(at));
  }
  void put(fuzz::Input& input) {
    abi::QueuedCall put;
    const u8 how = input.byte();
    constexpr abi::Call kOften[] = {abi::Call::region_map, abi::Call::region_map, abi::Call::region_unmap,
                                    abi::Call::region_protect};
    put.state = how < 192 ? static_cast<u64>(kOften[how / 4 % 4]) : value(input);
    if (how >= 250) put.state = how % 2 == 0 ? abi::kQueuedCancelled : abi::kQueuedFilling;
    for (u64& argument : put.arguments) argument = value(input);
    if (abi::RegionQueue* const to = queue(how % 4)) to->calls[to->tail++ % abi::kQueueSlots] = put;
  }
  void scribble(fuzz::Input& input) {
    const u8 where = input.byte();
    const u64 word = value(input);
    abi::RegionQueue* const to = queue(where % 4);
    if (to == nullptr) return;
    u32* const words[] = {&to->tail, &to->cost, &to->head, &to->limit};
    if (where < 64) {
      *words[where / 4 % 4] = static_cast<u32>(word);
    } else if (where < 128) {
      u64& said = to->words[where / 4 % abi::kQueueWords];
      said = word < 8 ? said ^ word : word;
    } else {
      to->calls[where / 4 % abi::kQueueSlots].state = word;
    }
  }
  // References by the pages' frames, of every leaf table once; of large pages by the first frame.
  struct References {
    std::array<u32, kFrames> small{};
    std::array<u32, kFrames> large{};
  };
  void count(pt::Frame table, unsigned level, std::bitset<kFrames>& seen, References& references) {
    if (seen.test(table.number() - kFirstFrame)) return;
    seen.set(table.number() - kFirstFrame);
    const unsigned end = level == pt::kLevels ? pt::kEntriesPerTable / 2 : pt::kEntriesPerTable;
    for (unsigned i = 0; i < end; ++i) {
      const pt::Entry entry = pt::load_entry(frames.pointer(table), i);
      if (entry.empty()) continue;
      if (level == 1) {
        ++references.small[entry.frame().number() - kFirstFrame];
      } else if (entry.large()) {
        ++references.large[entry.large_frame().number() - kFirstFrame];
      } else {
        count(entry.frame(), level - 1, seen, references);
      }
    }
  }
  void check() {
    References references;
    std::bitset<kFrames> seen;
    for (u32 id = 0; id < spaces; ++id) {
      const auto tree = vma.declared(SpaceId{id});
      if (!tree) continue;
      NOPTE_ASSERT((*tree)->consistent());
      engine.for_each_installed(SpaceId{id}, [&](Gva va, const auto& installed) {
        if (id == 0) ++references.small[installed.entry.frame().number() - kFirstFrame];
        const auto region = (*tree)->find(va);
        NOPTE_ASSERT(region && !vma.untouched(SpaceId{id}, va));
        NOPTE_ASSERT(!installed.entry.present() ||
                     pt::FourLevel::granted(region->perm).contains(installed.rights));
        NOPTE_ASSERT(installed.user == (id != 0));
      });
      if (id != 0) count(*engine.root(SpaceId{id}), pt::kLevels, seen, references);
    }
    frames.for_each_touched([&](pt::Frame frame, const pt::FrameMeta& meta) {
      const bool object = meta.kind == pt::FrameKind::kObject;
      const bool block = meta.kind == pt::FrameKind::kBlock;
      if (!object && !block && meta.kind != pt::FrameKind::kAnon) return;
      const u64 first = frame.number() & ~(pt::kBlockFrames - 1);
      const u32 large = first < kFirstFrame ? 0 : references.large[first - kFirstFrame];
      const u32 known =
          block ? large : references.small[frame.number() - kFirstFrame] + object + (large != 0 ? 1 : 0);
      NOPTE_ASSERT(meta.refs != 0 && (half_destroyed.any() ? meta.refs >= known : meta.refs == known));
    });
    NOPTE_ASSERT(machine.stale_translations() == 0);
  }
  // The guest's end: what is left is the kernel's space.
  void end() {
    stop.every = 0;
    NOPTE_ASSERT(call(abi::Call::space_activate, {0}) == Status::kOk);
    NOPTE_ASSERT(call(abi::Call::region_unmap, {0, kWindowRange.begin.value(), kWindowRange.pages()}) ==
                 Status::kOk);
    for (u64 id = 1; id < kMostIds; ++id) call(abi::Call::space_destroy, {id});
    for (u64 id = 1; id < kMostIds; ++id) call(abi::Call::object_destroy, {id});
    frames.for_each_touched([&](pt::Frame frame, const pt::FrameMeta& meta) {
      NOPTE_ASSERT(meta.kind != pt::FrameKind::kAnon && meta.kind != pt::FrameKind::kObject &&
                   meta.kind != pt::FrameKind::kBlock);
      NOPTE_ASSERT(meta.kind != pt::FrameKind::kTable || meta.level != pt::kLevels ||
                   frame == *engine.root(SpaceId::kKernel));
    });
  }

  model::LongModeWalker walker{memory(), [](pt::Frame frame) { return frame; }};
  model::Machine machine{memory(), walker, 1};
  pt::FrameTable frames;
  Sink sink{frames, machine};
  pt::Engine<Sink> engine{sink, frames};
  Stop stop;
  hv::VmaMemory<Sink> vma{engine, frames, stop};
  u64 spaces = 1;                        // one more than the largest id that there was
  std::bitset<kMostIds> half_destroyed;  // spaces that a call has stopped in: what they refer to is not seen
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
      const Status status = guest->call(static_cast<abi::Call>(what / 2 % 32), registers);
      // What a refused call has spoilt all the same, the next check sees.
      if (status == Status::kOk || status == Status::kAgain) guest->check();
    } else if (what >= 248) {
      if (!input.more()) break;
      guest->stop.every = 0;
      what < 254 ? guest->put(input) : guest->scribble(input);
    } else {
      if (!input.more()) break;
      const u64 va = Guest::value(input);
      guest->touch(Gva(va), static_cast<Access>(what % 3));
      guest->check();
    }
  }
  guest->check();
  guest->end();
  return 0;
}
