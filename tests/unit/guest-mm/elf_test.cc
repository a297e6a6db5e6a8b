// Checked ELF headers: what exec refuses, field by field.
#include "guest-mm/kernel/program/elf.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "guest-mm/core/address_space.h"

namespace nopte::guest::elf {
namespace {

struct Image {
  FileHeader header{.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                    .type = 2,
                    .machine = 62,
                    .version = 1,
                    .entry = 0x40'1010,
                    .program_headers = 64,
                    .section_headers = 0,
                    .flags = 0,
                    .header_bytes = 64,
                    .program_header_bytes = 56,
                    .program_header_count = 3,
                    .section_header_bytes = 0,
                    .section_header_count = 0,
                    .section_names = 0};
  // Headers, text, data with bss.
  std::array<ProgramHeader, 3> segments{
      ProgramHeader{kTypeLoad, 4, 0, 0x40'0000, 0, 0x200, 0x200, 0x1000},
      ProgramHeader{kTypeLoad, 5, 0x1000, 0x40'1000, 0, 0x2345, 0x2345, 0x1000},
      ProgramHeader{kTypeLoad, 6, 0x3ff0, 0x40'4ff0, 0, 0x100, 0x3000, 0x1000},
  };

  [[nodiscard]] Layout layout() const { return check_program_headers(header, segments); }
};

TEST(Elf, AGoodStaticProgram) {
  const Image image;
  const Layout layout = image.layout();
  EXPECT_EQ(layout.check, Check::kGood);
  EXPECT_EQ(layout.bias, 0u);
  EXPECT_EQ(layout.span, (VaRange{Gva{0x40'0000}, Gva{0x40'8000}}));
  EXPECT_EQ(layout.headers_at, 0x40'0040u);
  EXPECT_EQ(segment_perm(image.segments[0]), kPermR);
  EXPECT_EQ(segment_perm(image.segments[1]), kPermRX);
  EXPECT_EQ(segment_perm(image.segments[2]), kPermRW);
}

TEST(Elf, PositionIndependentGetsABias) {
  Image image;
  image.header.type = 3;
  image.header.entry -= 0x40'0000;
  for (ProgramHeader& segment : image.segments) {
    segment.address -= 0x40'0000;
  }
  const Layout layout = image.layout();
  EXPECT_EQ(layout.check, Check::kGood);
  EXPECT_NE(layout.bias, 0u);
  EXPECT_EQ(layout.bias & kPageMask, 0u);
  EXPECT_EQ(layout.headers_at, layout.bias + 64);
}

// A program and its interpreter do not meet, and either's alignment holds.
TEST(Elf, ABiasIsAMultipleOfTheLargestAlignment) {
  for (const Role role : {Role::kProgram, Role::kInterpreter}) {
    Image image;
    image.header.type = 3;
    image.segments[2].align = 0x20'0000;
    const Layout layout = check_program_headers(image.header, image.segments, role);
    ASSERT_EQ(layout.check, Check::kGood);
    EXPECT_EQ(layout.bias % 0x20'0000, 0u);
    EXPECT_EQ((layout.span.end + layout.bias) <= kMmapTop, true);
    EXPECT_EQ(layout.bias > 0x7fff'0000'0000, role == Role::kInterpreter);
    image.segments[2].align = u64{1} << 62;
    EXPECT_EQ(check_program_headers(image.header, image.segments, role).check, Check::kFatal);
  }
}

TEST(Elf, TheFirstInterpreterHeaderCounts) {
  Image image;
  EXPECT_EQ(interpreter_of(image.segments), std::nullopt);
  image.segments[1] = {kTypeInterpreter, 4, 0x238, 0, 0, 28, 28, 1};
  image.segments[2] = {kTypeInterpreter, 4, 0x300, 0, 0, 5, 5, 1};
  const auto found = interpreter_of(image.segments);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->offset, 0x238u);
  EXPECT_EQ(found->bytes, 28u);
}

TEST(Elf, HeadersThatAreNotLoadedHaveNoAddress) {
  Image image;
  image.header.program_headers = 0x5000;
  const Layout layout = image.layout();
  EXPECT_EQ(layout.check, Check::kGood);
  EXPECT_EQ(layout.headers_at, 0u);
}

using Change = std::function<void(Image&)>;
using Changes = std::vector<std::pair<std::string, Change>>;

TEST(Elf, WhatIsNoProgramIsRefused) {
  const Changes changes = {
      {"magic 0", [](Image& i) { i.header.ident[0] = 0; }},
      {"magic 3", [](Image& i) { i.header.ident[3] = 'f'; }},
      {"relocatable", [](Image& i) { i.header.type = 1; }},
      {"core file", [](Image& i) { i.header.type = 4; }},
      {"machine", [](Image& i) { i.header.machine = 3; }},
      {"entry bytes", [](Image& i) { i.header.program_header_bytes = 32; }},
      {"no entries", [](Image& i) { i.header.program_header_count = 0; }},
      {"many entries", [](Image& i) { i.header.program_header_count = kMostProgramHeaders + 1; }},
      {"most entries", [](Image& i) { i.header.program_header_count = 0xffff; }},
  };
  for (const auto& [what, change] : changes) {
    Image image;
    change(image);
    EXPECT_EQ(check_header(image.header), Check::kMalformed) << what;
  }
  Image image;
  image.header.type = 1;
  EXPECT_EQ(check_header(image.header, Role::kInterpreter), Check::kGood);
}

TEST(Elf, WhatCannotLieInMemoryIsFatal) {
  const Changes changes = {
      {"relocatable", [](Image& i) { i.header.type = 1; }},
      {"entry in the kernel", [](Image& i) { i.header.entry = 0xffff'ffff'8000'0000; }},
      {"file more than memory", [](Image& i) { i.segments[1].memory_bytes = 0x2344; }},
      {"not congruent", [](Image& i) { i.segments[1].offset += 8; }},
      {"offset wraps", [](Image& i) { i.segments[1].offset = ~u64{0} - 0xfff; }},
      {"offset is no file's", [](Image& i) { i.segments[1].offset = u64{1} << 63; }},
      {"address wraps",
       [](Image& i) {
         i.segments[2].address = ~u64{0} - 0xfff;
         i.segments[2].offset = 0;
       }},
      {"memory wraps", [](Image& i) { i.segments[2].memory_bytes = ~u64{0}; }},
      {"memory beyond user space", [](Image& i) { i.segments[2].memory_bytes = 0x7fff'ffff'f000; }},
      {"in the kernel", [](Image& i) { i.segments[2].address = 0xffff'ffff'8000'0ff0; }},
      {"page zero", [](Image& i) { i.segments[0].address = 0; }},
      {"movable, too far apart",
       [](Image& i) {
         i.header.type = 3;
         i.segments[2].address = 0x7fff'fffe'0ff0;
       }},
      {"movable, of no memory",
       [](Image& i) {
         i.header.type = 3;
         i.segments[1].type = i.segments[2].type = 0;
         i.segments[0].file_bytes = i.segments[0].memory_bytes = 0;
       }},
  };
  for (const auto& [what, change] : changes) {
    Image image;
    change(image);
    EXPECT_EQ(image.layout().check, Check::kFatal) << what;
  }
}

TEST(Elf, WhatLinuxDoesNotReadDoesNotMatter) {
  const Changes changes = {
      {"32 bits", [](Image& i) { i.header.ident[4] = 1; }},
      {"version", [](Image& i) { i.header.version = 2; }},
      {"header bytes", [](Image& i) { i.header.header_bytes = 52; }},
      {"entry outside", [](Image& i) { i.header.entry = 0x40'9000; }},
      {"nothing to load", [](Image& i) { i.segments[0].type = i.segments[1].type = i.segments[2].type = 0; }},
      {"empty segment", [](Image& i) { i.segments[0].memory_bytes = i.segments[0].file_bytes = 0; }},
      {"alignment", [](Image& i) { i.segments[1].align = 0x1001; }},
      {"a page in common", [](Image& i) { i.segments[2].address = 0x40'3ff0; }},
      {"descending", [](Image& i) { std::swap(i.segments[0], i.segments[1]); }},
  };
  for (const auto& [what, change] : changes) {
    Image image;
    change(image);
    EXPECT_EQ(check_header(image.header), Check::kGood) << what;
    EXPECT_EQ(image.layout().check, Check::kGood) << what;
  }
}

TEST(Elf, ATailIsZeroedWhereItIsSeen) {
  Image image;
  EXPECT_TRUE(tail_of(image.segments, 1).empty());
  EXPECT_EQ(tail_of(image.segments, 2), (VaRange{Gva{0x40'50f0}, Gva{0x40'6000}}));
  image.segments[2].flags = 4;
  EXPECT_TRUE(tail_of(image.segments, 2).empty());
  image.segments[1] = {kTypeLoad, 6, 0x1000, 0x40'1000, 0, 0x2345, 0x2400, 0x1000};
  EXPECT_EQ(tail_of(image.segments, 1), (VaRange{Gva{0x40'3345}, Gva{0x40'4000}}));
  image.segments[2].address = 0x40'3ff0;
  EXPECT_TRUE(tail_of(image.segments, 1).empty());
}

}  // namespace
}  // namespace nopte::guest::elf
