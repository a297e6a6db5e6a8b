// Control messages of datagrams (ip_cmsg_send, ip_cmsg_recv_offset, ip6_datagram_send_ctl,
// ip6_datagram_recv_ctl of Linux 6.12).
#include "guest-mm/kernel/net/packet.h"

#include <cstring>

#include "guest-mm/kernel/net/inet_options.h"
#include "guest-mm/kernel/net/socket_support.h"
#include "guest-mm/kernel/net/udp_socket.h"

namespace nopte::guest::net {

namespace {

// Beside those that are options, too (inet_options.h).
constexpr i32 kIpPacketInfo = 8, kIpOriginalTo = 20;
constexpr i32 kIp6PacketInfo = 50, kIp6HopLimit = 52, kIp6DontFragment = 62, kIp6OriginalTo = 74;
constexpr u32 kLoopbackInterface = 1;

// struct in_pktinfo
struct PacketInfo {
  u32 interface;
  u8 source[4];
  u8 to[4];
};
static_assert(sizeof(PacketInfo) == 12);

// struct in6_pktinfo
struct PacketInfo6 {
  InetAddress address;
  u32 interface;
};
static_assert(sizeof(PacketInfo6) == 20);

// A number in the bytes of an int; -EINVAL: other bytes, or out of the range.
i64 load_number(const char* data, u64 bytes, i32 least, i32 most, i16& out) {
  i32 value = 0;
  if (bytes != sizeof value) {
    return -kEINVAL;
  }
  std::memcpy(&value, data, sizeof value);
  if (value < least || value > most) {
    return -kEINVAL;
  }
  out = static_cast<i16>(value);
  return 0;
}

i64 choose_source(u32 interface, const InetAddress& address, PacketChoice& choice) {
  if (interface > kLoopbackInterface) {
    return -kENODEV;
  }
  if (!address.is_any() && !address.is_local()) {
    return -kEINVAL;
  }
  choice.source = address;
  return 0;
}

i64 load_ip(i32 type, const char* data, u64 bytes, PacketChoice& choice) {
  switch (type) {
    case kIpTimeToLive:
      return load_number(data, bytes, 1, 255, choice.hop_limit);
    case kIpTypeOfService:
      if (bytes == 1) {
        choice.traffic_class = static_cast<u8>(*data);
        return 0;
      }
      return load_number(data, bytes, 0, 255, choice.traffic_class);
    case kIpPacketInfo: {
      PacketInfo info;
      if (bytes != sizeof info) {
        return -kEINVAL;
      }
      std::memcpy(&info, data, sizeof info);
      const u8* const from = info.source;
      return choose_source(info.interface, InetAddress::v4(from[0], from[1], from[2], from[3]), choice);
    }
    default:
      return -kEINVAL;
  }
}

i64 load_ip6(i32 type, const char* data, u64 bytes, PacketChoice& choice) {
  switch (type) {
    case kIp6HopLimit:
      return load_number(data, bytes, -1, 255, choice.hop_limit);
    case kIp6TrafficClass:
      return load_number(data, bytes, -1, 255, choice.traffic_class);
    case kIp6DontFragment: {
      i16 nothing_is_fragmented = 0;
      return load_number(data, bytes, 0, 1, nothing_is_fragmented);
    }
    case kIp6PacketInfo: {
      PacketInfo6 info;
      if (bytes < sizeof info) {
        return -kEINVAL;
      }
      std::memcpy(&info, data, sizeof info);
      return choose_source(info.interface, info.address, choice);
    }
    default:
      return -kEINVAL;
  }
}

}  // namespace

i64 load_packet_control(i32 level, i32 type, const char* data, u64 bytes, PacketChoice& choice) {
  return level == kLevelIp ? load_ip(type, data, bytes, choice) : load_ip6(type, data, bytes, choice);
}

void UdpSocket::tell(MessageHeader& header, Receiving& message) {
  Socket::tell(header, message);
  const auto* const origin = static_cast<const Origin*>(message.from.get());
  if (origin == nullptr || !numbers_.tells()) {
    return;
  }
  const auto put = [&](i32 level, i32 what, const auto& value, u64 bytes = 0) {
    store_message(header, level, what, &value, bytes != 0 ? bytes : sizeof value, message.flags_out);
  };
  const auto asked = [&](i32 level, u32 option) { return numbers_.get(level, option) != 0; };
  const InetAddress& to = origin->to.address;
  const i32 hop_limit = origin->hop_limit;
  const i32 traffic_class = origin->traffic_class;
  SocketAddress shown;
  if (family == kFamilyInet6 && asked(kLevelIp6, kIp6TellsPacketInfo)) {
    put(kLevelIp6, kIp6PacketInfo, PacketInfo6{.address = to, .interface = kLoopbackInterface});
  }
  if (!to.is_v4()) {
    if (asked(kLevelIp6, kIp6TellsHopLimit)) {
      put(kLevelIp6, kIp6HopLimit, hop_limit);
    }
    if (asked(kLevelIp6, kIp6TellsTrafficClass)) {
      put(kLevelIp6, kIp6TrafficClass, traffic_class);
    }
    if (asked(kLevelIp6, kIp6TellsOriginalTo)) {
      const u64 bytes = show_endpoint(kFamilyInet6, origin->to, shown);
      put(kLevelIp6, kIp6OriginalTo, shown, bytes);
    }
    return;
  }
  if (asked(kLevelIp, kIpTellsPacketInfo)) {
    PacketInfo info{.interface = kLoopbackInterface, .source = {}, .to = {}};
    std::memcpy(info.source, &to.bytes[12], sizeof info.source);
    std::memcpy(info.to, &to.bytes[12], sizeof info.to);
    put(kLevelIp, kIpPacketInfo, info);
  }
  if (asked(kLevelIp, kIpTellsTimeToLive)) {
    put(kLevelIp, kIpTimeToLive, hop_limit);
  }
  if (asked(kLevelIp, kIpTellsTypeOfService)) {
    put(kLevelIp, kIpTypeOfService, origin->traffic_class);
  }
  if (asked(kLevelIp, kIpTellsOriginalTo)) {
    const u64 bytes = show_endpoint(kFamilyInet, origin->to, shown);
    put(kLevelIp, kIpOriginalTo, shown, bytes);
  }
}

}  // namespace nopte::guest::net
