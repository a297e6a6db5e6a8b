#include "guest-mm/kernel/net/inet_address.h"

#include <algorithm>
#include <cstring>

namespace nopte::guest::net {

namespace {

// struct sockaddr_in and sockaddr_in6, behind the family.
constexpr u64 kPortAt = 0, kInetAddressAt = 2, kInet6AddressAt = 6;
constexpr u64 kInetBytes = 16, kInet6Bytes = 28, kLeastInet6Bytes = 24;
constexpr u64 kInetAddressBytes = 4;

}  // namespace

bool InetAddress::is_v4() const {
  return std::equal(bytes.begin(), bytes.begin() + 12, v4(0, 0, 0, 0).bytes.begin());
}

files::ErrnoOr<Endpoint> parse_endpoint(u16 family, const SocketAddress& address, u64 bytes) {
  const bool four = family == kFamilyInet;
  if (bytes < (four ? kInetBytes : kLeastInet6Bytes)) {
    return files::ErrnoFail(kEINVAL);
  }
  if (address.family != family) {
    return files::ErrnoFail(kEAFNOSUPPORT);
  }
  Endpoint endpoint{.address = InetAddress::any(family)};
  endpoint.port = static_cast<u16>(static_cast<u8>(address.text[kPortAt]) << 8 |
                                   static_cast<u8>(address.text[kPortAt + 1]));
  if (four) {
    std::memcpy(&endpoint.address.bytes[12], address.text + kInetAddressAt, kInetAddressBytes);
  } else {
    std::memcpy(endpoint.address.bytes.data(), address.text + kInet6AddressAt, endpoint.address.bytes.size());
  }
  return endpoint;
}

u64 show_endpoint(u16 family, const Endpoint& endpoint, SocketAddress& out) {
  out = SocketAddress{};
  out.family = family;
  out.text[kPortAt] = static_cast<char>(endpoint.port >> 8);
  out.text[kPortAt + 1] = static_cast<char>(endpoint.port);
  if (family == kFamilyInet) {
    std::memcpy(out.text + kInetAddressAt, &endpoint.address.bytes[12], kInetAddressBytes);
    return kInetBytes;
  }
  std::memcpy(out.text + kInet6AddressAt, endpoint.address.bytes.data(), endpoint.address.bytes.size());
  return kInet6Bytes;
}

}  // namespace nopte::guest::net
