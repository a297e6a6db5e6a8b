// The guest home's pure parts: which frames the pool may give out, and the lines of the counters channel.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "native-fallback/guest/json_line.h"
#include "native-fallback/guest/physical_layout.h"

namespace nopte::pt {
namespace {

std::vector<FrameRange> ranges(const PhysicalLayout& layout) {
  return {layout.usable().begin(), layout.usable().end()};
}
FrameRange frames(u64 begin, u64 end) { return {Frame(begin), Frame(end)}; }

TEST(PhysicalLayout, KeepsWholeFramesOfRam) {
  PhysicalLayout layout;
  layout.add_ram(PhysAddr(0x1), PhysAddr(0x3fff));
  layout.add_ram(PhysAddr(0x10000), PhysAddr(0x12000));
  EXPECT_EQ(ranges(layout), (std::vector{frames(1, 3), frames(0x10, 0x12)}));
  EXPECT_EQ(layout.covered(), frames(0, 0x12));
  EXPECT_EQ(layout.ram_frames(), 4u);
}

TEST(PhysicalLayout, ReservesAcrossRangesAndInside) {
  PhysicalLayout layout;
  layout.add_ram(PhysAddr(0), PhysAddr(0x10000));
  layout.add_ram(PhysAddr(0x20000), PhysAddr(0x30000));
  layout.reserve(frames(4, 6));
  layout.reserve(frames(0xe, 0x22));
  layout.reserve(frames(9, 9));
  EXPECT_EQ(ranges(layout), (std::vector{frames(0, 4), frames(6, 0xe), frames(0x22, 0x30)}));
  EXPECT_EQ(layout.covered(), frames(0, 0x30)) << "what is reserved stays covered";
  EXPECT_EQ(std::vector(layout.ram().begin(), layout.ram().end()),
            (std::vector{frames(0, 0x10), frames(0x20, 0x30)}));
}

TEST(PhysicalLayout, TooManyRangesLeaveMemoryUnused) {
  PhysicalLayout layout;
  for (u64 i = 0; i < PhysicalLayout::kMaxRanges + 3; ++i) {
    layout.add_ram(PhysAddr(i * 0x10000), PhysAddr(i * 0x10000 + 0x8000));
  }
  EXPECT_EQ(layout.usable().size(), PhysicalLayout::kMaxRanges);
  layout.reserve(frames(2, 3));
  EXPECT_EQ(layout.usable().size(), PhysicalLayout::kMaxRanges);
}

TEST(JsonLine, NestsAndEscapes) {
  JsonLine line;
  line.text("event", "a\"b\\c\nd");
  line.number("n", ~u64{0});
  line.open("counters");
  line.number("x", 0);
  line.number("y", 1);
  line.close();
  line.number("z", 2);
  EXPECT_EQ(
      line.finish(),
      "{\"event\":\"a\\\"b\\\\c?d\",\"n\":18446744073709551615,\"counters\":{\"x\":0,\"y\":1},\"z\":2}\n");
}

TEST(JsonLine, IsBounded) {
  JsonLine line;
  line.text("event", std::string(5000, 'x'));
  EXPECT_LE(line.finish().size(), 1500u);
}

}  // namespace
}  // namespace nopte::pt
