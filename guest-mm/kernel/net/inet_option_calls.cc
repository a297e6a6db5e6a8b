// getsockopt and setsockopt of AF_INET and AF_INET6 sockets below SOL_SOCKET (tcp.c, ip_sockglue.c,
// ipv6_sockglue.c of Linux 6.12).
#include <algorithm>
#include <cstring>
#include <string_view>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/inet_socket.h"

namespace nopte::guest::net {

namespace {

constexpr u32 kIpOptions = 4, kIpMtu = 14, kIpAddMembership = 35, kIpDropMembership = 36,
              kIpSourceFilter = 41;
constexpr u32 kJoinGroup = 42, kLeaveGroup = 45;
constexpr u32 kTcpInfo = 11, kTcpCongestion = 13, kTcpUpperProtocol = 31;
constexpr u32 kIp6AddressForm = 1, kIp6Mtu = 24;
constexpr u32 kIpMulticastTtl = 33, kIp6MulticastHops = 18;
constexpr i32 kCongestionBits = 3;
constexpr i32 kLoopbackMtu = 65536;
constexpr char kCongestion[16] = "cubic";

// struct tcp_info: its states (net/tcp_states.h), the rest is 0.
struct TcpInfo {
  u8 state;
  u8 rest[103];
};
constexpr u8 kTcpEstablished = 1, kTcpClose = 7, kTcpListen = 10;

// The options of other layers that a socket knows, too.
bool has_level(u16 family, Type type, u16 protocol, i32 level) {
  switch (level) {
    case kLevelIp:
      return true;
    case kLevelIp6:
      return family == kFamilyInet6;
    case kLevelTcp:
      return type == Type::kStream;
    case kLevelUdp:
      return type == Type::kDatagram;
    default:
      return level == protocol;
  }
}

}  // namespace

i64 InetSocket::change_group(u32 option, u64 address, i32 bytes) {
  const bool old_form = option == kIpAddMembership || option == kIpDropMembership;
  const bool join = option == kIpAddMembership || option == kJoinGroup;
  u8 group[4];
  if (old_form) {
    constexpr u64 kShortBytes = 8;  // struct ip_mreq: the group, an interface's address
    u8 request[12];                 // struct ip_mreqn: the interface's number, too
    if (bytes < static_cast<i32>(kShortBytes)) {
      return -kEINVAL;
    }
    const u64 given = bytes < static_cast<i32>(sizeof request) ? kShortBytes : sizeof request;
    if (!arch::copy_from_user(request, Gva(address), given)) {
      return -kEFAULT;
    }
    std::memcpy(group, request, sizeof group);
  } else {
    struct {  // struct group_req
      u32 interface;
      u32 pad;
      SocketAddress group;
    } request{};
    if (bytes < static_cast<i32>(sizeof request)) {
      return -kEINVAL;
    }
    if (const i64 error = files::get_user(request, address); error != 0) {
      return error;
    }
    if (request.group.family != kFamilyInet) {
      return -kEINVAL;
    }
    std::memcpy(group, request.group.text + 2, sizeof group);
  }
  const InetAddress which = InetAddress::v4(group[0], group[1], group[2], group[3]);
  return join ? groups_.join(which) : groups_.leave(which);
}

// By which interface datagrams to groups leave (do_ip_setsockopt, do_ipv6_setsockopt): there is the loopback.
i64 InetSocket::set_group_interface(i32 level, u64 address, i32 bytes) {
  constexpr i32 kLoopback = 1;
  constexpr u32 kWord = sizeof(i32);
  struct {
    u8 group[4];
    u8 address[4];
    i32 interface;
  } request{};  // struct ip_mreqn
  if (type == Type::kStream) {
    return level == kLevelIp ? -kEINVAL : -kENOPROTOOPT;
  }
  if (bytes < static_cast<i32>(kWord)) {
    return -kEINVAL;
  }
  if (level == kLevelIp6) {
    if (const i64 error = files::get_user(request.interface, address); error != 0) {
      return error;
    }
    return request.interface != 0 && request.interface != kLoopback
               ? -kENODEV
               : numbers_.set(level, kIp6MulticastInterface, request.interface);
  }
  const u32 words = std::min<u32>(static_cast<u32>(bytes) / kWord, 3);
  if (!arch::copy_from_user(words == 1 ? request.address : request.group, Gva(address), u64{words} * kWord)) {
    return -kEFAULT;
  }
  i32 kept = 0;
  std::memcpy(&kept, request.address, sizeof kept);
  constexpr u8 kLoopbackNet = 127;
  const bool any = request.interface == 0 && kept == 0;
  const bool known =
      request.interface != 0 ? request.interface == kLoopback : request.address[0] == kLoopbackNet;
  return any || known ? numbers_.set(level, kIpMulticastInterface, kept) : -kEADDRNOTAVAIL;
}

i64 InetSocket::set_option(i32 level, u32 option, u64 address, i32 bytes) {
  if (level == kLevelSocket) {
    return Socket::set_option(level, option, address, bytes);
  }
  if (!has_level(family, type, protocol, level)) {
    return -kENOPROTOOPT;
  }
  if (level == kLevelIp && (option == kIpAddMembership || option == kIpDropMembership ||
                            option == kJoinGroup || option == kLeaveGroup)) {
    return change_group(option, address, bytes);
  }
  if ((level == kLevelIp && option == kIpMulticastInterface) ||
      (level == kLevelIp6 && option == kIp6MulticastInterface)) {
    return set_group_interface(level, address, bytes);
  }
  constexpr i32 kLeastFilterBytes = 16;  // struct ip_msfilter without sources
  if (level == kLevelIp && option == kIpSourceFilter && bytes < kLeastFilterBytes) {
    return -kEINVAL;
  }
  if (level == kLevelTcp && (option == kTcpCongestion || option == kTcpUpperProtocol)) {
    char text[16] = {};
    if (bytes < 1) {
      return -kEINVAL;
    }
    if (!arch::copy_from_user(text, Gva(address), std::min<u64>(static_cast<u64>(bytes), sizeof text - 1))) {
      return -kEFAULT;
    }
    return option == kTcpCongestion && std::string_view(text) == kCongestion ? 0 : -kENOENT;
  }
  i32 value = 0;
  u8 low = 0;
  if (level == kLevelIp && bytes < static_cast<i32>(sizeof value)) {  // one byte will do, or none for 0
    if (const i64 error = bytes > 0 ? files::get_user(low, address) : 0; error != 0) {
      return error;
    }
    value = low;
  } else if (bytes < static_cast<i32>(sizeof value)) {
    return -kEINVAL;
  } else if (const i64 error = files::get_user(value, address); error != 0) {
    return error;
  }
  if (level == kLevelIp6 && option == kIp6AddressForm) {
    if (value != kFamilyInet) {
      return -kEINVAL;
    }
    if (state_ != State::kConnected) {
      return -kENOTCONN;
    }
    if (!remote_.address.is_v4()) {
      return -kEADDRNOTAVAIL;
    }
    family = kFamilyInet;
    return 0;
  }
  const bool known = InetNumbers::knows(level, option);
  if (!known) {
    return -kENOPROTOOPT;
  }
  if (level == kLevelIp6 && option == kIp6Only && has_port()) {
    return -kEINVAL;
  }
  if (type == Type::kStream) {
    if (level == kLevelIp && option == kIpMulticastTtl) {
      return -kEINVAL;
    }
    if (level == kLevelIp6 && option == kIp6MulticastHops) {
      return -kENOPROTOOPT;
    }
    if ((level == kLevelIp && option == kIpTypeOfService) ||
        (level == kLevelIp6 && option == kIp6TrafficClass)) {
      value = value == -1 ? value : value & ~kCongestionBits;  // the connection's own
    }
  }
  const i64 error = numbers_.set(level, option, value);
  if (error == 0 && value == 0 && ((level == kLevelTcp && option == kTcpCork) || level == kLevelUdp)) {
    corking_ended();
  }
  return error;
}

i64 InetSocket::get_option(i32 level, u32 option, u64 address, u64 bytes_address) {
  if (level == kLevelSocket) {
    return Socket::get_option(level, option, address, bytes_address);
  }
  if (!has_level(family, type, protocol, level)) {
    return family == kFamilyInet ? -kEOPNOTSUPP : -kENOPROTOOPT;
  }
  if (level == kLevelTcp && option == kTcpInfo) {
    TcpInfo info{};
    info.state = state_ == State::kListening           ? kTcpListen
                 : state_ == State::kConnected && peer ? kTcpEstablished
                                                       : kTcpClose;
    return store_option(address, bytes_address, &info, sizeof info);
  }
  if (level == kLevelTcp && option == kTcpCongestion) {
    return store_option(address, bytes_address, kCongestion, sizeof kCongestion);
  }
  if ((level == kLevelTcp && option == kTcpUpperProtocol) || (level == kLevelIp && option == kIpOptions)) {
    return store_option(address, bytes_address, "", 0);
  }
  i32 value = 0;
  if ((level == kLevelIp && option == kIpMtu) || (level == kLevelIp6 && option == kIp6Mtu)) {
    if (state_ != State::kConnected) {
      return -kENOTCONN;
    }
    value = kLoopbackMtu;
  } else if (level == kLevelIp6 && option == kIp6AddressForm) {
    value = family;
  } else if (InetNumbers::knows(level, option)) {
    value = numbers_.get(level, option);
  } else {
    return -kENOPROTOOPT;
  }
  i32 room = 0;
  if (const i64 error = files::get_user(room, bytes_address); error != 0) {
    return error;
  }
  // One byte for who has room for no more.
  const bool small = level == kLevelIp && room > 0 && room < 4 && value >= 0 && value <= 255;
  return store_option(address, bytes_address, &value, small ? 1 : sizeof value);
}

}  // namespace nopte::guest::net
