// Numbers as text and back.
#include "pvops/base/digits.h"

#include <gtest/gtest.h>

#include <charconv>
#include <limits>
#include <random>
#include <string>

namespace nopte {
namespace {

template <class T>
std::string library(T value, int base = 10) {
  char text[72];
  return {text, std::to_chars(text, text + sizeof text, value, base).ptr};
}

TEST(Digits, AreTheLibrarys) {
  std::mt19937_64 random(2007);
  for (int i = 0; i < 2000; ++i) {
    // Every length alike, the longest and zero included.
    const u64 value = i < 2 ? u64{0} - static_cast<u64>(i) : random() >> random() % 64;
    for (const int base : {2, 8, 10, 16}) {
      EXPECT_EQ(Digits(value, static_cast<u32>(base)).text(), library(value, base));
    }
    EXPECT_EQ(Digits(static_cast<i64>(value)).text(), library(static_cast<i64>(value)));
    EXPECT_EQ(Digits(static_cast<i32>(value)).text(), library(static_cast<i32>(value)));
  }
  for (const i64 value : {std::numeric_limits<i64>::min(), std::numeric_limits<i64>::max(), i64{-1}}) {
    EXPECT_EQ(Digits(value).text(), library(value));
  }
}

TEST(ParseDecimal, TakesBackWhatDigitsGives) {
  for (const u64 value : {u64{0}, u64{9}, u64{10}, u64{1} << 63, ~u64{0}}) {
    EXPECT_EQ(parse_decimal<u64>(Digits(value).text()), value);
  }
  EXPECT_EQ(parse_decimal<u32>("4294967295"), 4294967295u);
}

TEST(ParseDecimal, RefusesEverythingElse) {
  for (const char* text :
       {"", "00", "01", "-1", "+1", " 1", "1 ", "1a", "0x1", "4294967296", "4294967300", "42949672950"}) {
    EXPECT_EQ(parse_decimal<u32>(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_decimal<u64>("18446744073709551616"), std::nullopt);
}

}  // namespace
}  // namespace nopte
