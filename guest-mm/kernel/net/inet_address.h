// Addresses of AF_INET and AF_INET6: one form for both, IPv4 as IPv6 shows it (::ffff:a.b.c.d, RFC 4291).
// There is one network, the loopback: 127.0.0.0/8 and ::1.
#pragma once

#include <array>

#include "guest-mm/kernel/files/ref.h"
#include "guest-mm/kernel/net/linux_sockets.h"

namespace nopte::guest::net {

struct InetAddress {
  std::array<u8, 16> bytes{};
  bool operator==(const InetAddress&) const = default;

  static InetAddress v4(u8 a, u8 b, u8 c, u8 d) {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
  }
  static InetAddress any(u16 family) { return family == kFamilyInet ? v4(0, 0, 0, 0) : InetAddress{}; }
  // What "any" means as a destination, and the source of what goes to one of this kind.
  [[nodiscard]] InetAddress loopback() const {
    InetAddress six;
    six.bytes[15] = 1;
    return is_v4() ? v4(127, 0, 0, 1) : six;
  }
  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] bool is_any() const { return *this == InetAddress{} || *this == v4(0, 0, 0, 0); }
  // Of this machine.
  [[nodiscard]] bool is_local() const { return is_v4() ? bytes[12] == 127 : *this == loopback(); }
  [[nodiscard]] bool is_broadcast() const { return *this == v4(255, 255, 255, 255); }
  [[nodiscard]] bool is_multicast() const { return is_v4() ? bytes[12] >> 4 == 0xe : bytes[0] == 0xff; }
};

struct Endpoint {
  InetAddress address;
  u16 port = 0;
  bool operator==(const Endpoint&) const = default;
};

// What a program gave for a socket of the family. Errors: kEINVAL (too short), kEAFNOSUPPORT.
files::ErrnoOr<Endpoint> parse_endpoint(u16 family, const SocketAddress& address, u64 bytes);
// The other way: the length.
u64 show_endpoint(u16 family, const Endpoint& endpoint, SocketAddress& out);

}  // namespace nopte::guest::net
