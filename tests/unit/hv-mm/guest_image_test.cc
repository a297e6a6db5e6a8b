// The guest ELF loader: a good image, then every header field broken one at a time.
#include "hv-mm/boot/guest_image.h"

#include <gtest/gtest.h>

#include "tests/support/guest_elf.h"

namespace nopte::hv {
namespace {

using Image = testing::GuestElf;
constexpr u64 kBase = Image::kBase;
constexpr u64 kType = Image::kType, kFlags = Image::kFlags, kOffset = Image::kOffset, kVa = Image::kVa,
              kPhysical = Image::kPhysical, kFileBytes = Image::kFileBytes,
              kMemoryBytes = Image::kMemoryBytes, kAlign = Image::kAlign;

TEST(GuestImage, ReadsSegmentsAndNote) {
  Image file;
  const auto image = GuestImage::parse(file.bytes());
  ASSERT_TRUE(image) << image.error();
  ASSERT_EQ(image->segments().size(), 2u);
  const GuestSegment& text = image->segments()[0];
  EXPECT_EQ(text.va, Gva(kBase));
  EXPECT_EQ(text.guest_physical, 0x10'0000u);
  EXPECT_EQ(text.file.data(), file.bytes().data() + 0x1000);
  EXPECT_EQ(text.perm, kPermRX);
  EXPECT_FALSE(text.translation);
  EXPECT_TRUE(image->segments()[1].translation);
  EXPECT_EQ(image->entry().entry_va, kBase + 0x20);
  EXPECT_EQ(image->entry().boot_root, 0x10'1000u);
  EXPECT_EQ(image->physical_end(), 0x10'4000u);
}

TEST(GuestImage, EveryPrefixIsRefused) {
  Image file;
  for (u64 bytes = 0; bytes < 0x3028; bytes += 7) {
    EXPECT_FALSE(GuestImage::parse(std::span(file.bytes()).first(bytes))) << bytes;
  }
}

// A change to the good image, and a word of the message that it must give.
struct Breakage {
  const char* expected;
  void (*apply)(Image&);
};

TEST(GuestImage, EveryFieldIsChecked) {
  const Breakage breakages[] = {
      {"magic", [](Image& i) { i.bytes()[0] = 0; }},
      {"64-bit", [](Image& i) { i.bytes()[4] = 1; }},
      {"64-bit", [](Image& i) { i.bytes()[5] = 2; }},
      {"version", [](Image& i) { i.bytes()[6] = 0; }},
      {"version", [](Image& i) { i.put32(20, 2); }},
      {"ET_EXEC", [](Image& i) { i.put16(16, 3); }},
      {"x86-64", [](Image& i) { i.put16(18, 3); }},
      {"header size", [](Image& i) { i.put16(52, 52); }},
      {"program header size", [](Image& i) { i.put16(54, 32); }},
      {"number of program headers", [](Image& i) { i.put16(56, 0); }},
      {"number of program headers", [](Image& i) { i.put16(56, 0xffff); }},
      {"reach past", [](Image& i) { i.put16(56, 0xfffe); }},
      {"reach past", [](Image& i) { i.put64(32, ~u64{0}); }},
      {"reach past", [](Image& i) { i.put64(32, ~u64{0} - 55); }},
      {"truncated", [](Image& i) { i.segment64(0, kOffset, ~u64{0}); }},
      {"truncated", [](Image& i) { i.segment64(0, kFileBytes, ~u64{0}); }},
      {"more bytes in the file", [](Image& i) { i.segment64(0, kMemoryBytes, 0x7ff); }},
      {"power of two", [](Image& i) { i.segment64(0, kAlign, 3); }},
      {"page offset", [](Image& i) { i.segment64(0, kVa, kBase + 1); }},
      {"image range", [](Image& i) { i.segment64(0, kVa, 0x10'0000); }},
      {"image range", [](Image& i) { i.segment64(0, kVa, 0xffff'ffff'c000'0000); }},
      {"image range", [](Image& i) { i.segment64(0, kMemoryBytes, ~u64{0}); }},
      {"above 1 GiB", [](Image& i) { i.segment64(0, kPhysical, u64{1} << 30); }},
      {"above 1 GiB", [](Image& i) { i.segment64(0, kPhysical, ~u64{4095}); }},
      {"not readable", [](Image& i) { i.segment32(0, kFlags, 1); }},
      {"overlap", [](Image& i) { i.segment64(1, kVa, kBase); }},
      {"overlap", [](Image& i) { i.segment64(1, kPhysical, 0x10'0000); }},
      {"interpreter", [](Image& i) { i.segment32(1, kType, 3); }},
      {"no loadable", [](Image& i) { i.segment32(0, kType, 0), i.segment32(1, kType, 0); }},
      {"no nopte entry", [](Image& i) { i.segment32(2, kType, 0); }},
      {"no nopte entry", [](Image& i) { i.put32(0x3008, 2); }},
      {"no nopte entry", [](Image& i) { i.bytes()[0x300c] = 'X'; }},
      {"malformed note", [](Image& i) { i.put32(0x3000, 0xffff'ffff); }},
      {"malformed note", [](Image& i) { i.put32(0x3004, 0xffff'ffff); }},
      {"malformed note", [](Image& i) { i.put32(0x3004, 15); }},
      {"note of the guest", [](Image& i) { i.segment64(2, kFileBytes, ~u64{0}); }},
      {"note of the guest", [](Image& i) { i.segment64(2, kOffset, ~u64{0}); }},
      {"entry is not in", [](Image& i) { i.put64(0x3014, kBase + 0x1000); }},
      {"entry is not in", [](Image& i) { i.put64(0x3014, 0); }},
  };
  for (const Breakage& breakage : breakages) {
    Image file;
    breakage.apply(file);
    EXPECT_NE(file.error().find(breakage.expected), std::string::npos)
        << "expected '" << breakage.expected << "', got '" << file.error() << "'";
  }
}

TEST(GuestImage, TooManySegments) {
  Image file;
  file.bytes().resize(0x10000);
  file.put16(56, 20);
  file.put64(32, 0x8000);
  for (u64 i = 0; i < 20; ++i) {
    const u64 at = 0x8000 + i * 56;
    file.put32(at + kType, 1), file.put32(at + kFlags, 4), file.put64(at + kVa, kBase + i * 0x1000);
    file.put64(at + kPhysical, 0x10'0000 + i * 0x1000), file.put64(at + kMemoryBytes, 0x1000);
  }
  EXPECT_NE(file.error().find("too many segments"), std::string::npos);
}

TEST(GuestImage, NoSingleByteChangeGetsOutOfBounds) {
  Image good;
  for (u64 at = 0; at < 0x100; ++at) {
    for (const u8 value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      Image file;
      file.bytes()[at] = value;
      if (const auto image = GuestImage::parse(file.bytes())) {
        for (const GuestSegment& segment : image->segments()) {
          EXPECT_GE(segment.file.data(), file.bytes().data());
          EXPECT_LE(segment.file.data() + segment.file.size(), file.bytes().data() + file.bytes().size());
          EXPECT_LE(segment.guest_physical + segment.memory_bytes, u64{1} << 30);
        }
      }
    }
  }
}

}  // namespace
}  // namespace nopte::hv
