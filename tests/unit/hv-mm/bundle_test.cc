// The bundle parser against truncated, overlapping and huge values: every byte of it is input.
#include "hv-mm/bundle.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace nopte::hv {
namespace {

struct Part {
  std::string name;
  u64 offset;
  u64 bytes;
};

std::vector<u8> make(const std::vector<Part>& parts, u64 total, u32 version = 1, u32 count = ~0u) {
  std::vector<u8> file(total, 0xee);
  std::vector<u8> head(16 + parts.size() * 32);
  count = count == ~0u ? static_cast<u32>(parts.size()) : count;
  std::memcpy(head.data(), "NOPTEBUN", 8);
  std::memcpy(head.data() + 8, &version, 4);
  std::memcpy(head.data() + 12, &count, 4);
  for (u64 i = 0; i < parts.size(); ++i) {
    u8* entry = head.data() + 16 + i * 32;
    std::memcpy(entry, parts[i].name.data(), std::min<u64>(parts[i].name.size(), 16));
    std::memcpy(entry + 16, &parts[i].offset, 8);
    std::memcpy(entry + 24, &parts[i].bytes, 8);
  }
  std::memcpy(file.data(), head.data(), std::min(file.size(), head.size()));
  return file;
}

Bundle::Error error_of(const std::vector<u8>& file) {
  const auto bundle = Bundle::parse(file);
  EXPECT_FALSE(bundle.has_value());
  return bundle ? Bundle::Error{0xff} : bundle.error();
}

TEST(Bundle, FindsItsParts) {
  const auto file = make({{"guest", 4096, 100}, {"initramfs", 8192, 5000}}, 16384);
  const auto bundle = Bundle::parse(file);
  ASSERT_TRUE(bundle);
  EXPECT_EQ(bundle->find("guest")->data(), file.data() + 4096);
  EXPECT_EQ(bundle->find("guest")->size(), 100u);
  EXPECT_EQ(bundle->find("initramfs")->size(), 5000u);
  EXPECT_FALSE(bundle->find("gues"));
  EXPECT_FALSE(bundle->find(""));
}

TEST(Bundle, EmptyPartsAndNamesOfSixteenBytesAreFine) {
  const auto file = make({{"0123456789abcdef", 4096, 0}, {"b", 4096, 0}}, 4096);
  const auto bundle = Bundle::parse(file);
  ASSERT_TRUE(bundle);
  EXPECT_TRUE(bundle->find("0123456789abcdef")->empty());
}

TEST(Bundle, EveryPrefixIsRefused) {
  const auto file = make({{"guest", 4096, 100}, {"initramfs", 8192, 1}}, 8193);
  ASSERT_TRUE(Bundle::parse(file));
  for (u64 bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_FALSE(Bundle::parse(std::span(file).first(bytes))) << bytes;
  }
}

TEST(Bundle, NamesItsFaults) {
  auto bad_magic = make({{"a", 4096, 1}}, 8192);
  bad_magic[0] = 'n';
  EXPECT_EQ(error_of(bad_magic), Bundle::Error::kMagic);
  EXPECT_EQ(error_of(make({{"a", 4096, 1}}, 8192, 2)), Bundle::Error::kVersion);
  EXPECT_EQ(error_of(make({}, 8192)), Bundle::Error::kCount);
  EXPECT_EQ(error_of(make({{"a", 4096, 1}}, 8192, 1, 17)), Bundle::Error::kCount);
  EXPECT_EQ(error_of(make({{"a", 4096, 1}}, 8192, 1, 0xffff'fffe)), Bundle::Error::kCount);
  EXPECT_EQ(error_of(make({{"", 4096, 1}}, 8192)), Bundle::Error::kName);
  EXPECT_EQ(error_of(make({{std::string("a\0b", 3), 4096, 1}}, 8192)), Bundle::Error::kName);
  EXPECT_EQ(error_of(make({{"a", 4096, 1}, {"a", 8192, 1}}, 12288)), Bundle::Error::kDuplicate);
  EXPECT_EQ(error_of(make({{"a", 4097, 1}}, 8192)), Bundle::Error::kOffset);
  EXPECT_EQ(error_of(make({{"a", 0, 1}}, 8192)), Bundle::Error::kOffset);
  EXPECT_EQ(error_of(make({{"a", 4096, 4097}}, 8192)), Bundle::Error::kTruncated);
  EXPECT_EQ(error_of(make({{"a", 4096, ~u64{0}}}, 8192)), Bundle::Error::kTruncated);
  EXPECT_EQ(error_of(make({{"a", ~u64{4095}, 4096}}, 8192)), Bundle::Error::kTruncated);
  EXPECT_EQ(error_of(make({{"a", ~u64{4095}, 4097}}, 8192)), Bundle::Error::kTruncated);
  EXPECT_EQ(error_of(make({{"a", 4096, 5000}, {"b", 8192, 1}}, 16384)), Bundle::Error::kOverlap);
  EXPECT_EQ(error_of(make({{"b", 8192, 1}, {"a", 4096, 5000}}, 16384)), Bundle::Error::kOverlap);
}

TEST(Bundle, EveryErrorHasItsOwnMessage) {
  for (int a = 0; a <= static_cast<int>(Bundle::Error::kOverlap); ++a) {
    for (int b = 0; b < a; ++b) {
      EXPECT_STRNE(Bundle::message(Bundle::Error(a)), Bundle::message(Bundle::Error(b)));
    }
  }
}

}  // namespace
}  // namespace nopte::hv
