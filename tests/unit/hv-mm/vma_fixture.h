// A guest of mode vma over the machine model: its calls in register form, every one held to its bound.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "hv-mm/vma/vma_memory.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/model/machine.h"
#include "tests/model/walkers.h"
#include "tests/support/work_meter.h"

namespace nopte::hv {

using abi::Call;
using abi::Registers;

inline constexpr u64 kFrames = 6000;
inline constexpr Gva kA{0x2000'0000'0000};

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

  explicit VmaMemoryTest(u64 frame_count = kFrames) : frame_count_(frame_count) {
    const pt::FrameRange all = memory_model_.range();
    EXPECT_TRUE(frames_.init(memory_model_.direct_base(), all, {&all, 1}));
    EXPECT_TRUE(engine_.init());
    memory_.init();
  }

  // Every call does a bounded amount of work between two looks at whether it should stop; only a clone and a
  // move are bounded by what they copy and move.
  CallResult call(Call number, Registers registers = {}) {
    stop_.meter.begin();
    const CallResult result = memory_.call(static_cast<u64>(number), registers);
    stop_.meter.look();
    if (number != Call::space_clone && number != Call::region_move) {
      EXPECT_LE(stop_.meter.most(), work::kMostAtOnce) << static_cast<u64>(number);
      EXPECT_TRUE(stop_.meter.kept()) << static_cast<u64>(number);
    }
    return result;
  }
  u64 make_space() {
    const CallResult made = call(Call::space_create);
    EXPECT_EQ(made.status, Status::kOk);
    return made.value;
  }
  Status map(u64 space, Gva begin, u64 pages, u64 flags = 3, u64 object = 0, u64 object_page = 0) {
    return call(Call::region_map, {space, begin.value(), pages, flags, object, object_page}).status;
  }
  bool touch(Gva va, Access access = Access::kWrite) {
    return memory_.fault(va, access, pt::Privilege::kUser).has_value();
  }

  // What is installed in the space is promised, rights and all, and the list is whole.
  void expect_promised(u64 space) {
    const SpaceId id{static_cast<u32>(space)};
    const RegionTree& tree = **memory_.declared(id);
    EXPECT_TRUE(tree.consistent());
    engine_.for_each_installed(id, [&](Gva va, const auto& installed) {
      const auto region = tree.find(va);
      ASSERT_TRUE(region.has_value()) << std::hex << va.value();
      EXPECT_EQ(installed.rights.bits() & ~region->perm.bits(), 0) << std::hex << va.value();
    });
  }

  const u64 frame_count_;
  model::Memory memory_model_{16, frame_count_};
  model::LongModeWalker walker_{memory_model_, [](pt::Frame frame) { return frame; }};
  model::Machine machine_{memory_model_, walker_, 1};
  pt::FrameTable frames_;
  pt::StoreSink<model::Machine> sink_{frames_, machine_};
  pt::Engine<pt::StoreSink<model::Machine>> engine_{sink_, frames_};
  Stop stop_;
  VmaMemory<pt::StoreSink<model::Machine>> memory_{engine_, frames_, stop_};
};

enum class Stub : u8 { kGoesOn, kIssuesAgain };

class VmaAgainTest : public VmaMemoryTest {
 protected:
  explicit VmaAgainTest(u64 frame_count = kFrames) : VmaMemoryTest(frame_count) {}

  // As the guest's stub does it. `between` happens between two issues.
  CallResult until_done(
      Stub stub, Call number, Registers registers, const std::function<void()>& between = [] {}) {
    issues_ = 0;
    for (;;) {
      const CallResult result = call(number, registers);
      if (++issues_; result.status != Status::kAgain) return result;
      if (issues_ > 5000) {
        ADD_FAILURE() << "no progress: " << static_cast<u64>(number);
        return result;
      }
      between();
      if (stub == Stub::kIssuesAgain) continue;
      registers[1] += pages_to_bytes(result.value);
      registers[2] -= result.value;
    }
  }
  u64 active_space() {
    const u64 space = make_space();
    EXPECT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
    return space;
  }
  u64 installed(u64 space) {
    u64 count = 0;
    engine_.for_each_installed(SpaceId(static_cast<u32>(space)), [&](Gva, const auto&) { ++count; });
    return count;
  }

  u64 issues_ = 0;
};

}  // namespace nopte::hv
