// The kinds of world: which sink, and how it sees frames.
#pragma once

#include "native-fallback/sinks/store_sink.h"
#include "tests/model/machine.h"
#include "tests/model/toy_lguest.h"
#include "tests/model/toy_xen.h"

namespace nopte::model {

// Plain stores into tables that the processor walks.
template <u64 kFirstFrame>
struct StoreKind {
  using Sink = pt::StoreSink<Machine>;

  StoreKind(u64 frames_count, unsigned cpus)
      : memory(kFirstFrame, frames_count),
        walker(memory, [](Frame frame) { return frame; }),
        machine(memory, walker, cpus),
        sink(frames, machine) {}

  Memory memory;
  HardwareWalker walker;
  Machine machine;
  pt::FrameTable frames;
  Sink sink;
};

// As natively: the frames are the machine's first ones, and the kernel maps them all.
struct StoreInGuest : StoreKind<16> {
  static constexpr const char* kName = "store in guest";
  static constexpr bool kDirectMap = true;
  using StoreKind::StoreKind;
};

// As in the hypervisor: a pool far up in the host's memory that its guest has no map of.
struct StoreInHypervisor : StoreKind<0x12'3400> {
  static constexpr const char* kName = "store in hypervisor";
  static constexpr bool kDirectMap = false;
  using StoreKind::StoreKind;
};

struct XenLike {
  static constexpr const char* kName = "Xen-like";
  static constexpr bool kDirectMap = false;
  using Sink = ToyXenSink;

  XenLike(u64 frames_count, unsigned cpus)
      : memory(16, frames_count),
        xen(memory),
        walker(memory, machine_frame),
        machine(memory, walker, cpus),
        sink(frames, machine, xen) {}

  Memory memory;
  ToyXen xen;
  HardwareWalker walker;
  Machine machine;
  pt::FrameTable frames;
  Sink sink;
};

struct LguestLike {
  static constexpr const char* kName = "lguest-like";
  static constexpr bool kDirectMap = false;
  using Sink = ToyLguestSink;

  LguestLike(u64 frames_count, unsigned cpus)
      : memory(16, frames_count), host(memory), machine(memory, host, cpus), sink(frames, machine, host) {}

  Memory memory;
  ToyLguest host;
  Machine machine;
  pt::FrameTable frames;
  Sink sink;
};

static_assert(pt::PageTableSink<StoreInGuest::Sink>);
static_assert(pt::PageTableSink<XenLike::Sink>);
static_assert(pt::PageTableSink<LguestLike::Sink>);

}  // namespace nopte::model
