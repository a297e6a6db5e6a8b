// Kinds of world whose tables the processor walks as they are stored, by format.
#pragma once

#include "native-fallback/format/i386_2level.h"
#include "native-fallback/format/i386_pae.h"
#include "native-fallback/format/x86_64_5level.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"

namespace nopte::model {

// Which processor walks a format.
template <class Format>
struct WalkerOf : LongModeWalker {
  WalkerOf(const Memory& memory, Decode decode) : LongModeWalker(memory, decode, Format::kLevels) {}
};
template <>
struct WalkerOf<pt::Pae> : PaeWalker {
  using PaeWalker::PaeWalker;
};
template <>
struct WalkerOf<pt::TwoLevel> : TwoLevelWalker {
  using TwoLevelWalker::TwoLevelWalker;
};

// Plain stores into tables that the processor walks.
template <class Format, u64 kFirstFrame>
struct StoreKind : KindBase {
  using Sink = pt::StoreSink<Machine, Format>;

  StoreKind(u64 frames_count, unsigned cpus)
      : KindBase(kFirstFrame, frames_count),
        walker(memory, [](Frame frame) { return frame; }),
        machine(memory, walker, cpus),
        sink(frames, machine) {
    machine.watch(frames);
  }

  WalkerOf<Format> walker;
  Machine machine;
  Sink sink;
};

// As natively: the frames are the machine's first ones, and the kernel maps them all.
template <class Format>
struct StoreNatively : StoreKind<Format, 16> {
  static constexpr bool kDirectMap = true;
  using StoreKind<Format, 16>::StoreKind;
};
struct StoreInGuest : StoreNatively<pt::FourLevel> {
  static constexpr const char* kName = "store in guest";
  using StoreNatively::StoreNatively;
};
struct FiveLevelStore : StoreNatively<pt::FiveLevel> {
  static constexpr const char* kName = "five-level";
  using StoreNatively::StoreNatively;
};
struct PaeStore : StoreNatively<pt::Pae> {
  static constexpr const char* kName = "PAE";
  using StoreNatively::StoreNatively;
};
struct TwoLevelStore : StoreNatively<pt::TwoLevel> {
  static constexpr const char* kName = "two-level";
  using StoreNatively::StoreNatively;
};

// As in the hypervisor: a pool far up in the host's memory that its guest has no map of.
struct StoreInHypervisor : StoreKind<pt::FourLevel, 0x12'3400> {
  static constexpr const char* kName = "store in hypervisor";
  static constexpr bool kDirectMap = false;
  using StoreKind::StoreKind;
};

static_assert(pt::PageTableSink<StoreInGuest::Sink>);
static_assert(pt::PageTableSink<FiveLevelStore::Sink>);
static_assert(pt::PageTableSink<PaeStore::Sink>);
static_assert(pt::PageTableSink<TwoLevelStore::Sink>);

}  // namespace nopte::model
