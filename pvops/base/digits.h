// Numbers as text and back. A freestanding library need not have <charconv>, and libstdc++ 14 has it hosted
// only.
#pragma once

#include <concepts>
#include <optional>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte {

// The digits of one number, without leading zeros: Digits(value).text(), which lives as long as the object.
class Digits {
 public:
  // `base` is 2 to 16; letters are small.
  explicit constexpr Digits(u64 value, u32 base = 10) {
    do {
      text_[--begin_] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
  }
  explicit constexpr Digits(std::signed_integral auto value)
      : Digits(value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value)) {
    if (value < 0) {
      text_[--begin_] = '-';
    }
  }
  [[nodiscard]] constexpr std::string_view text() const {
    if (begin_ >= sizeof(text_)) __builtin_unreachable();  // g++ 14 warns of what would follow
    return {text_ + begin_, sizeof(text_) - begin_};
  }

 private:
  // Base 2, and a sign, which base 10 alone can have.
  char text_[64]{};
  u32 begin_ = sizeof(text_);
};

// A whole number in decimal digits and nothing else: no sign, no blanks, no leading zero; nothing when T does
// not hold it.
template <std::unsigned_integral T>
constexpr std::optional<T> parse_decimal(std::string_view text) {
  T value = 0;
  if (text.empty() || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  for (const char c : text) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(value, T{10}, &value) ||
        __builtin_add_overflow(value, static_cast<T>(c - '0'), &value)) {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace nopte
