// Which sockets there are: families, types, protocols (net/socket.c, net/ipv4/af_inet.c of Linux 6.12).
#include "guest-mm/kernel/net/route_socket.h"
#include "guest-mm/kernel/net/tcp_socket.h"
#include "guest-mm/kernel/net/udp_socket.h"
#include "guest-mm/kernel/net/unix_socket.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

using Made = files::ErrnoOr<Ref<Socket>>;

template <class T, class... Args>
Made made(Args... args) {
  Ref<Socket> socket = files::make_counted<T>(args...);
  return socket ? Made(std::move(socket)) : Made(files::ErrnoFail(kENFILE));
}

Made make_unix(u32 type, i32 protocol) {
  if (protocol != 0 && protocol != kFamilyUnix) {
    return files::ErrnoFail(kEPROTONOSUPPORT);
  }
  switch (static_cast<Type>(type)) {
    case Type::kStream:
    case Type::kDatagram:
    case Type::kSequential:
      return made<UnixSocket>(static_cast<Type>(type));
    case Type::kRaw:
      return made<UnixSocket>(Type::kDatagram);
    default:
      return files::ErrnoFail(kESOCKTNOSUPPORT);
  }
}

Made make_inet(u16 family, u32 type, i32 protocol) {
  constexpr i32 kProtocols = 263;  // IPPROTO_MAX
  if (protocol < 0 || protocol >= kProtocols) {
    return files::ErrnoFail(kEINVAL);
  }
  switch (static_cast<Type>(type)) {
    case Type::kStream:
      if (protocol == 0 || protocol == kProtocolTcp) {
        return made<TcpSocket>(family);
      }
      return files::ErrnoFail(kEPROTONOSUPPORT);
    case Type::kDatagram:
      if (protocol == 0 || protocol == kProtocolUdp || protocol == kProtocolUdpLite) {
        return made<UdpSocket>(family, static_cast<u16>(protocol == 0 ? kProtocolUdp : protocol));
      }
      return files::ErrnoFail(kEPROTONOSUPPORT);
    case Type::kRaw:
      return files::ErrnoFail(protocol != 0 && !capable(Capability::kNetRaw) ? kEPERM : kEPROTONOSUPPORT);
    default:
      return files::ErrnoFail(kESOCKTNOSUPPORT);
  }
}

Made make_route(u32 type, i32 protocol) {
  if (type != static_cast<u32>(Type::kRaw) && type != static_cast<u32>(Type::kDatagram)) {
    return files::ErrnoFail(kESOCKTNOSUPPORT);
  }
  return protocol == 0 ? made<RouteSocket>(static_cast<Type>(type)) : files::ErrnoFail(kEPROTONOSUPPORT);
}

}  // namespace

Made make_socket(i32 family, u32 type, i32 protocol) {
  if (family < 0 || family >= kFamilies) {
    return files::ErrnoFail(kEAFNOSUPPORT);
  }
  if (type >= kTypes) {
    return files::ErrnoFail(kEINVAL);
  }
  switch (family) {
    case kFamilyUnix:
      return make_unix(type, protocol);
    case kFamilyInet:
    case kFamilyInet6:
      return make_inet(static_cast<u16>(family), type, protocol);
    case kFamilyNetlink:
      return make_route(type, protocol);
    default:
      return files::ErrnoFail(kEAFNOSUPPORT);
  }
}

}  // namespace nopte::guest::net
