// I/O ports: every access exits, and an allow-list says what happens; everything else is #GP(0).
#pragma once

#include "pvops/base/types.h"

namespace nopte::hv {

// What EXITINFO1 of an IOIO exit says. Source: APM vol. 2, 15.10.2.
struct PortAccess {
  u16 port;
  u8 bytes;
  bool input;
  bool string;
};

constexpr PortAccess decode_port_access(u64 exit_info1) {
  return {static_cast<u16>(exit_info1 >> 16), static_cast<u8>(exit_info1 >> 4 & 7), (exit_info1 & 1) != 0,
          (exit_info1 & 4) != 0};
}

// Reads of an allowed port give all ones, writes are dropped: nothing is behind any of them.
constexpr bool port_allowed(const PortAccess& access) {
  constexpr u16 kPostCode = 0x80;  // used as a delay
  return access.port == kPostCode && access.bytes == 1 && !access.string;
}

}  // namespace nopte::hv
