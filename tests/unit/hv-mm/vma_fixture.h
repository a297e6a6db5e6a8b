// A guest of mode vma over the machine model: its calls in register form, every one held to its bound.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "hv-mm/vma/vma_memory.h"
#include "tests/model/store_engines.h"
#include "tests/support/work_meter.h"

namespace nopte::hv {

using abi::Call;
using abi::Registers;

inline constexpr u64 kFrames = 6000;
inline constexpr Gva kA{0x2000'0000'0000};

using PlainSink = pt::StoreSink<model::Machine>;

class VmaMemoryTest : public testing::Test {
 protected:
  // Stops at every check while it is requested, or else at every n-th.
  struct Stop {
    bool requested = false;
    u64 every = 0;
    u64 checks = 0;
    test::WorkMeter meter;
    bool operator()() {
      meter.look();
      ++checks;
      return requested || (every != 0 && checks % every == 0);
    }
  };

  explicit VmaMemoryTest(u64 frame_count = kFrames);

  // Every call does a bounded amount of work between two looks at whether it should stop; only a clone and a
  // move are bounded by what they copy and move.
  CallResult call(Call number, Registers registers = {});
  u64 make_space();
  Status map(u64 space, Gva begin, u64 pages, u64 flags = 3, u64 object = 0, u64 object_page = 0);
  bool touch(Gva va, Access access = Access::kWrite);

  // What is installed in the space is promised, rights and all, and the list is whole.
  void expect_promised(u64 space);

  const u64 frame_count_;
  model::Memory memory_model_{16, frame_count_};
  model::LongModeWalker walker_{memory_model_, [](pt::Frame frame) { return frame; }};
  model::Machine machine_{memory_model_, walker_, 1};
  pt::FrameTable frames_;
  PlainSink sink_{frames_, machine_};
  pt::Engine<PlainSink> engine_{sink_, frames_};
  Stop stop_;
  VmaMemory<PlainSink> memory_{engine_, frames_, stop_};
};

enum class Stub : u8 { kGoesOn, kIssuesAgain };

class VmaAgainTest : public VmaMemoryTest {
 protected:
  explicit VmaAgainTest(u64 frame_count = kFrames) : VmaMemoryTest(frame_count) {}

  // As the guest's stub does it. `between` happens between two issues.
  CallResult until_done(
      Stub stub, Call number, Registers registers, const std::function<void()>& between = [] {});
  u64 active_space();
  u64 installed(u64 space);

  u64 issues_ = 0;
};

extern template class VmaMemory<PlainSink>;

}  // namespace nopte::hv
