// Lines of the kernel itself on the console; each begins with "nopte: " so that a program's output can be
// told from it.
#pragma once

#include <concepts>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest {

struct Hex {
  u64 value;
};

namespace log_detail {
void put(std::string_view text);
void put(u64 value);
void put(Hex value);
template <std::integral T>
void put(T value) {
  if constexpr (std::signed_integral<T>) {
    if (value < 0) {
      put(std::string_view("-"));
      put(u64{0} - static_cast<u64>(value));
      return;
    }
  }
  put(static_cast<u64>(value));
}
inline void put(const char* text) { put(std::string_view(text)); }
}  // namespace log_detail

// One line made of the parts: strings, integers, Hex.
template <class... Parts>
void log_line(const Parts&... parts) {
  log_detail::put(std::string_view("nopte: "));
  (log_detail::put(parts), ...);
  log_detail::put(std::string_view("\r\n"));
}

}  // namespace nopte::guest
