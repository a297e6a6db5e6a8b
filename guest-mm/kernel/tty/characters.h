// Kinds of bytes, as Linux's kernel sees them: ISO 8859-1 (lib/ctype.c).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::tty {

inline constexpr u8 kCaseBit = 0x20;

constexpr bool is_control(u8 byte) { return byte < 0x20 || byte == 0x7f; }
constexpr bool is_upper(u8 byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
}
constexpr bool is_lower(u8 byte) { return (byte >= 'a' && byte <= 'z') || (byte >= 0xdf && byte != 0xf7); }
constexpr u8 to_lower(u8 byte) { return is_upper(byte) ? byte + kCaseBit : byte; }
constexpr u8 to_upper(u8 byte) { return is_lower(byte) ? byte - kCaseBit : byte; }
constexpr bool is_of_word(u8 byte) {
  return is_upper(byte) || is_lower(byte) || (byte >= '0' && byte <= '9') || byte == '_';
}

}  // namespace nopte::guest::tty
