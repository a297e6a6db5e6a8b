// The bytes of one fuzzing input, as what they say. Zeros come after the last byte.
#pragma once

#include <cstddef>

#include "pvops/base/types.h"

namespace nopte::fuzz {

class Input {
 public:
  Input(const u8* bytes, std::size_t count) : at_(bytes), left_(count) {}

  [[nodiscard]] bool more() const { return left_ != 0; }
  u8 byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  u64 raw(unsigned bytes) {
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  const u8* at_;
  std::size_t left_;
};

}  // namespace nopte::fuzz
