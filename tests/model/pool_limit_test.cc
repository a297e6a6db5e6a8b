// A pool with frames that a format cannot use everywhere is refused at start.
#include <gtest/gtest.h>

#include "tests/model/store_engines.h"

namespace nopte::model {
namespace {

// Whether an engine starts over 64 frames from kFirstFrame on.
template <class Format, u64 kFirstFrame>
Status start() {
  StoreKind<Format, kFirstFrame> kind(64, 1);
  const pt::FrameRange all = kind.memory.range();
  EXPECT_TRUE(kind.frames.init(kind.memory.direct_base(), all, std::span(&all, 1)));
  pt::Engine<typename StoreKind<Format, kFirstFrame>::Sink> engine(kind.sink, kind.frames);
  const auto started = engine.init();
  if (!started) return started.error();
  engine.shut_down();
  return Status::kOk;
}

TEST(PoolLimit, IsWhatTheFormatReaches) {
  constexpr u64 kLimit = u64{1} << 20;
  EXPECT_EQ((start<pt::TwoLevel, kLimit - 64>()), Status::kOk);
  EXPECT_EQ((start<pt::TwoLevel, kLimit - 63>()), Status::kInvalid);
  EXPECT_EQ((start<pt::TwoLevel, kLimit + 64>()), Status::kInvalid);
  EXPECT_EQ((start<pt::Pae, kLimit - 64>()), Status::kOk);
  EXPECT_EQ((start<pt::Pae, kLimit>()), Status::kInvalid);
  EXPECT_EQ((start<pt::FourLevel, kLimit>()), Status::kOk);
  EXPECT_EQ((start<pt::FiveLevel, kLimit>()), Status::kOk);
}

}  // namespace
}  // namespace nopte::model
