// Addresses and ports (net/ipv4/af_inet.c, inet_connection_sock.c, udp.c, net/ipv6/af_inet6.c of Linux 6.12).
#include "guest-mm/kernel/net/inet_socket.h"

#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

// net.ipv4.ip_local_port_range
constexpr u16 kFirstFreePort = 32768, kLastFreePort = 60999;
constexpr u16 kFirstUnprivilegedPort = 1024;

// Whether two sockets at these addresses could be meant by the same packet.
bool overlap(const InetAddress& a, bool a_only_v6, const InetAddress& b, bool b_only_v6) {
  if (a.is_v4() == b.is_v4()) {
    return a == b || a.is_any() || b.is_any();
  }
  return a.is_v4() ? b.is_any() && !b_only_v6 : a.is_any() && !a_only_v6;
}

}  // namespace

InetSocket* InetSocket::g_ports[kBuckets];

InetSocket::InetSocket(u16 socket_family, Type socket_type, u16 socket_protocol)
    : Socket(socket_family, socket_type, socket_protocol) {
  local_.address = remote_.address = InetAddress::any(family);
}

void InetSocket::enter_port() {
  InetSocket*& first = g_ports[local_.port % kBuckets];
  next_ = first;
  link_ = &first;
  if (first != nullptr) {
    first->link_ = &next_;
  }
  first = this;
}

void InetSocket::leave_port() {
  if (link_ == nullptr) {
    return;
  }
  *link_ = next_;
  if (next_ != nullptr) {
    next_->link_ = link_;
  }
  link_ = nullptr;
}

// Sockets share a port when both say so: SO_REUSEADDR with nobody who listens, or SO_REUSEPORT of one user.
bool InetSocket::in_conflict(const InetSocket& other, const Endpoint& wanted) const {
  if (&other == this || other.protocol != protocol || other.local_.port != wanted.port ||
      !overlap(wanted.address, numbers_.get(kLevelIp6, kIp6Only) != 0, other.local_.address,
               other.numbers_.get(kLevelIp6, kIp6Only) != 0)) {
    return false;
  }
  const bool both_reuse = options.bit(kReuseAddress) && other.options.bit(kReuseAddress);
  const bool both_share = options.bit(kReusePort) && other.options.bit(kReusePort) && uid == other.uid;
  const bool listeners = other.state_ == State::kListening;
  return !both_share && (!both_reuse || listeners);
}

bool InetSocket::conflicts(const Endpoint& wanted) const {
  for (const InetSocket* other = g_ports[wanted.port % kBuckets]; other != nullptr; other = other->next_) {
    if (in_conflict(*other, wanted)) {
      return true;
    }
  }
  return false;
}

bool InetSocket::take_port() {
  static u16 next = kFirstFreePort;
  for (u32 tries = 0; tries <= kLastFreePort - kFirstFreePort; ++tries) {
    const Endpoint wanted{.address = local_.address, .port = next};
    next = next == kLastFreePort ? kFirstFreePort : static_cast<u16>(next + 1);
    if (!conflicts(wanted)) {
      local_.port = wanted.port;
      enter_port();
      return true;
    }
  }
  return false;
}

i64 InetSocket::bind(const SocketAddress& address, u64 bytes) {
  constexpr u64 kInetBytes = 16;
  SocketAddress given = address;
  // An old mistake that Linux allows: no family, and any address.
  if (family == kFamilyInet && bytes >= kInetBytes && address.family == kFamilyUnspecified) {
    given.family = kFamilyInet;
    const files::ErrnoOr<Endpoint> any = parse_endpoint(family, given, bytes);
    given.family = any->address.is_any() ? kFamilyInet : kFamilyUnspecified;
  }
  const files::ErrnoOr<Endpoint> wanted = parse_endpoint(family, given, bytes);
  if (!wanted) {
    return -static_cast<i64>(wanted.error());
  }
  const InetAddress& at = wanted->address;
  if (family == kFamilyInet6 && at.is_v4() && numbers_.get(kLevelIp6, kIp6Only) != 0) {
    return -kEINVAL;
  }
  if (!at.is_any() && !at.is_local() && !at.is_multicast() && !at.is_broadcast()) {
    return -kEADDRNOTAVAIL;
  }
  if (wanted->port != 0 && wanted->port < kFirstUnprivilegedPort && !capable(Capability::kNetBindService)) {
    return -kEACCES;
  }
  if (has_port() || !may_bind()) {
    return -kEINVAL;
  }
  if (wanted->port != 0) {
    if (conflicts(*wanted)) {
      return -kEADDRINUSE;
    }
    local_ = *wanted;
    enter_port();
  } else {
    local_.address = at;
    if (!take_port()) {
      local_.address = InetAddress::any(family);
      return -kEADDRINUSE;
    }
  }
  address_chosen_ = !at.is_any();
  port_chosen_ = wanted->port != 0;
  return 0;
}

void InetSocket::forget_connection(KeepPort keep) {
  remote_ = Endpoint{.address = InetAddress::any(family)};
  if (!address_chosen_) {
    local_.address = InetAddress::any(family);
  }
  if (keep == KeepPort::kNo) {
    release_port();
  }
}

u32 InetSocket::match(const Endpoint& to) const {
  if (local_.port != to.port) {
    return 0;
  }
  if (local_.address == to.address) {
    return 3;
  }
  if (!local_.address.is_any()) {
    return 0;
  }
  if (local_.address.is_v4()) {
    return to.address.is_v4() ? 2 : 0;
  }
  return to.address.is_v4() && numbers_.get(kLevelIp6, kIp6Only) != 0 ? 0 : 1;
}

files::ErrnoOr<Endpoint> InetSocket::destination(const SocketAddress& address, u64 bytes) const {
  files::ErrnoOr<Endpoint> to = parse_endpoint(family, address, bytes);
  if (!to) {
    return to;
  }
  const bool mapped_v4 = family == kFamilyInet6 && to->address.is_v4();
  if (mapped_v4 && numbers_.get(kLevelIp6, kIp6Only) != 0) {
    return files::ErrnoFail(kENETUNREACH);
  }
  if (to->address.is_any()) {
    to->address = to->address.loopback();
  }
  if (to->address.is_broadcast() && !options.bit(kBroadcast)) {
    return files::ErrnoFail(kEACCES);
  }
  if (!to->address.is_local()) {
    return files::ErrnoFail(kENETUNREACH);
  }
  return to;
}

Endpoint InetSocket::source_for(const Endpoint& to) const {
  Endpoint source = local_;
  if (source.address.is_any()) {
    source.address = to.address.loopback();
  }
  return source;
}

i64 InetSocket::own_address(SocketAddress& out) const {
  return static_cast<i64>(show_endpoint(family, local_, out));
}

}  // namespace nopte::guest::net
