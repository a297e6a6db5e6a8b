// The kind of world whose guest runs in mode nested: it stores plainly into tables of its own, in whose
// entries are guest-physical frames, and the processor takes each of them through the hypervisor's nested
// tables.
#pragma once

#include "hv-mm/nested/nested_tables.h"
#include "native-fallback/sinks/either_sink.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"

namespace nopte::model {

// The hypervisor's part: tables that are made once. The guest's memory lies elsewhere in the host's.
class NestedHost {
 public:
  explicit NestedHost(const Memory& guest) : frames_(guest.frames_with_spare()) {
    const PhysicalSpan own{own_.range().begin.address().value(), pages_to_bytes(own_.range().frames())};
    hv::BootMemory memory(own, own_.direct_base());
    const auto root = hv::make_nested_tables(memory, {kGuestAt, pages_to_bytes(frames_)});
    NOPTE_ASSERT(root);
    root_ = {PhysAddr(*root), {}};
  }

  // The guest-physical frame as a frame of the guest's memory.
  [[nodiscard]] Frame find(Frame frame) {
    Ways ways;
    const auto walk = walker_.look(root_, Gva(frame.address().value()), ways);
    NOPTE_ASSERT(walk && walk->user && walk->perm == kPermRWX && walk->dirty);  // or it is a nested fault
    const Frame found(walk->frame.number() - (kGuestAt >> kPageShift));
    NOPTE_ASSERT(found.number() < frames_);
    return found;
  }

 private:
  static constexpr u64 kGuestAt = u64{5} << 30;
  static constexpr u64 kOwnAt = u64{3} << 20, kOwnFrames = 8;

  u64 frames_;
  Memory own_{kOwnAt >> kPageShift, kOwnFrames};
  LongModeWalker walker_{own_, [](Frame frame) { return frame; }};
  Walker::Root root_{};
};

struct Nested : KindBase {
  static constexpr const char* kName = "nested";
  static constexpr bool kDirectMap = true;
  using Sink = pt::EitherSink<Machine>;  // as in the image that has interfaces too

  Nested(u64 frames_count, unsigned cpus)
      : KindBase(0, frames_count, spare_of(frames_count)),
        host(memory),
        walker(memory, [this](Frame frame) { return host.find(frame); }),
        machine(memory, walker, cpus),
        sink(frames, machine) {
    machine.watch(frames);
  }

  NestedHost host;
  LongModeWalker walker;
  Machine machine;
  Sink sink;

 private:
  // Up to a multiple of 2 MiB.
  static constexpr u64 spare_of(u64 frames_count) {
    return (pt::kEntriesPerTable - frames_count % pt::kEntriesPerTable) % pt::kEntriesPerTable;
  }
};

}  // namespace nopte::model
