// Which sockets there are: families, types, protocols (net/socket.c, net/ipv4/af_inet.c of Linux 6.12).
#include "guest-mm/kernel/net/unix_socket.h"

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
    default:
      return files::ErrnoFail(kEAFNOSUPPORT);
  }
}

}  // namespace nopte::guest::net
