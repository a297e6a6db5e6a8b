// A line of text without allocation, cut where it is full.
#pragma once

#include <cstring>
#include <string_view>

#include "pvops/base/digits.h"
#include "pvops/base/types.h"

namespace nopte::conformance {

class Line {
 public:
  Line& text(std::string_view part) {
    const u64 room = sizeof(text_) - bytes_;
    const u64 taken = part.size() < room ? part.size() : room;
    std::memcpy(text_ + bytes_, part.data(), taken);
    bytes_ += taken;
    return *this;
  }
  Line& number(u64 value) { return text(Digits(value).text()); }
  [[nodiscard]] std::string_view view() const { return {text_, bytes_}; }

 private:
  char text_[400];
  u64 bytes_ = 0;
};

}  // namespace nopte::conformance
