// Options of AF_INET and AF_INET6 sockets at the levels of IP, IPv6, TCP and UDP: a table of numbers that are
// checked, kept and told.
#pragma once

#include <array>

#include "guest-mm/kernel/files/ref.h"
#include "guest-mm/kernel/net/inet_address.h"

namespace nopte::guest::net {

inline constexpr i32 kLevelIp = 0;
inline constexpr i32 kLevelTcp = 6;
inline constexpr i32 kLevelUdp = 17;
inline constexpr i32 kLevelIp6 = 41;

// Those that something here looks at, at their levels.
inline constexpr u32 kTcpCork = 3;
inline constexpr u32 kUdpCork = 1;
inline constexpr u32 kIpReportErrors = 11;
inline constexpr u32 kIp6Only = 26;
inline constexpr u32 kIpTypeOfService = 1, kIpTimeToLive = 2;
inline constexpr u32 kIp6UnicastHops = 16, kIp6TrafficClass = 67;
// What recvmsg tells.
inline constexpr u32 kIpMulticastInterface = 32, kIp6MulticastInterface = 17;
inline constexpr u32 kIpTellsPacketInfo = 8, kIpTellsTimeToLive = 12, kIpTellsTypeOfService = 13,
                     kIpTellsOriginalTo = 20;
inline constexpr u32 kIp6TellsPacketInfo = 49, kIp6TellsHopLimit = 51, kIp6TellsTrafficClass = 66,
                     kIp6TellsOriginalTo = 74;

class InetNumbers {
 public:
  static constexpr u32 kMost = 72;
  InetNumbers();

  // Whether there is such an option.
  [[nodiscard]] static bool knows(i32 level, u32 option);
  // Precondition: it is known.
  [[nodiscard]] i32 get(i32 level, u32 option) const;
  // 0, -EINVAL (out of its range), -EPERM.
  i64 set(i32 level, u32 option, i32 value);

  // Whether recvmsg has to tell anything.
  [[nodiscard]] bool tells() const { return tells_ != 0; }
  // How often set() succeeded: what was made of the numbers then still holds.
  [[nodiscard]] u32 changes() const { return changes_; }

 private:
  u32 tells_ = 0;  // how many options for that are on
  u32 changes_ = 0;
  std::array<i32, kMost> values_;
};

// The multicast groups that a socket is in: nothing is ever sent to one.
class InetGroups {
 public:
  static constexpr u32 kMost = 20;  // net.ipv4.igmp_max_memberships
  i64 join(const InetAddress& group);
  i64 leave(const InetAddress& group);

 private:
  u32 count_ = 0;
  std::array<InetAddress, kMost> groups_;
};

}  // namespace nopte::guest::net
