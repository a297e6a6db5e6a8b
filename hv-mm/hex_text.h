// A number in sixteen hexadecimal digits, for reports.
#pragma once

#include <string_view>

#include "pvops/base/types.h"

namespace nopte::hv {

struct HexText {
  char digits[18];
  explicit HexText(u64 value) {
    digits[0] = '0';
    digits[1] = 'x';
    for (unsigned i = 0; i < 16; ++i) {
      digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    }
  }
  [[nodiscard]] std::string_view view() const { return {digits, sizeof(digits)}; }
};

}  // namespace nopte::hv
