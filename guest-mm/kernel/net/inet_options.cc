#include "guest-mm/kernel/net/inet_options.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

constexpr i32 kBig = 0x7fff'ffff;
// A flag is any number, and told as 0 or 1.
enum class Kind : u8 { kFlag, kNumber, kFlagOfRoot, kTells };

// uapi/linux/tcp.h, in.h, in6.h, udp.h; ranges and first values of Linux 6.12.
struct Row {
  i32 level;
  u32 option;
  Kind kind;
  i32 first = 0;
  i32 least = 0;
  i32 most = kBig;
  i32 means_first = -2;  // this value sets the first one again
};
constexpr Row kRows[] = {
    {kLevelTcp, 1, Kind::kFlag},                        // TCP_NODELAY
    {kLevelTcp, 2, Kind::kNumber, 536, 88, 32767, 0},   // TCP_MAXSEG
    {kLevelTcp, kTcpCork, Kind::kFlag},                 //
    {kLevelTcp, 4, Kind::kNumber, 7200, 1, 32767},      // TCP_KEEPIDLE
    {kLevelTcp, 5, Kind::kNumber, 75, 1, 32767},        // TCP_KEEPINTVL
    {kLevelTcp, 6, Kind::kNumber, 9, 1, 127},           // TCP_KEEPCNT
    {kLevelTcp, 7, Kind::kNumber, 6, 1, 127},           // TCP_SYNCNT
    {kLevelTcp, 8, Kind::kNumber, 60, -kBig, kBig, 0},  // TCP_LINGER2
    {kLevelTcp, 9, Kind::kNumber, 0, -kBig},            // TCP_DEFER_ACCEPT
    {kLevelTcp, 10, Kind::kNumber, 0},                  // TCP_WINDOW_CLAMP
    {kLevelTcp, 12, Kind::kFlag, 1},                    // TCP_QUICKACK
    {kLevelTcp, 16, Kind::kNumber, 0, 0, 1},            // TCP_THIN_LINEAR_TIMEOUTS
    {kLevelTcp, 17, Kind::kNumber, 0, 0, 1},            // TCP_THIN_DUPACK
    {kLevelTcp, 18, Kind::kNumber},                     // TCP_USER_TIMEOUT
    {kLevelTcp, 23, Kind::kNumber},                     // TCP_FASTOPEN
    {kLevelTcp, 25, Kind::kNumber, -1, -1},             // TCP_NOTSENT_LOWAT
    {kLevelTcp, 30, Kind::kNumber, 0, 0, 1},            // TCP_FASTOPEN_CONNECT
    {kLevelTcp, 36, Kind::kNumber, 0, 0, 1},            // TCP_INQ
    {kLevelUdp, kUdpCork, Kind::kFlag},                 //
    {kLevelUdp, 101, Kind::kFlag},                      // UDP_NO_CHECK6_TX
    {kLevelUdp, 102, Kind::kFlag},                      // UDP_NO_CHECK6_RX
    {kLevelUdp, 103, Kind::kNumber, 0, 0, 65535},       // UDP_SEGMENT
    {kLevelUdp, 104, Kind::kFlag},                      // UDP_GRO
    {kLevelIp, kIpTypeOfService, Kind::kNumber, 0, -kBig},
    {kLevelIp, kIpTimeToLive, Kind::kNumber, 64, 1, 255, -1},
    {kLevelIp, 6, Kind::kFlag},  // IP_RECVOPTS
    {kLevelIp, 7, Kind::kFlag},  // IP_RETOPTS
    {kLevelIp, kIpTellsPacketInfo, Kind::kTells},
    {kLevelIp, 10, Kind::kNumber, 1, 0, 5},    // IP_MTU_DISCOVER
    {kLevelIp, kIpReportErrors, Kind::kFlag},  //
    {kLevelIp, kIpTellsTimeToLive, Kind::kTells},
    {kLevelIp, kIpTellsTypeOfService, Kind::kTells},
    {kLevelIp, 15, Kind::kFlag},        // IP_FREEBIND
    {kLevelIp, 19, Kind::kFlagOfRoot},  // IP_TRANSPARENT
    {kLevelIp, kIpTellsOriginalTo, Kind::kTells},
    {kLevelIp, 21, Kind::kNumber, 0, 0, 255},  // IP_MINTTL
    {kLevelIp, 24, Kind::kFlag},               // IP_BIND_ADDRESS_NO_PORT
    {kLevelIp, kIpMulticastInterface, Kind::kNumber, 0, -kBig},
    {kLevelIp, 33, Kind::kNumber, 1, 0, 255, -1},  // IP_MULTICAST_TTL
    {kLevelIp, 34, Kind::kFlag, 1},                // IP_MULTICAST_LOOP
    {kLevelIp, 49, Kind::kNumber, 1, 0, 1},        // IP_MULTICAST_ALL
    {kLevelIp6, kIp6UnicastHops, Kind::kNumber, 64, 0, 255, -1},
    {kLevelIp6, kIp6MulticastInterface, Kind::kNumber},
    {kLevelIp6, 18, Kind::kNumber, 1, 0, 255, -1},  // IPV6_MULTICAST_HOPS
    {kLevelIp6, 19, Kind::kNumber, 1, 0, 1},        // IPV6_MULTICAST_LOOP
    {kLevelIp6, 23, Kind::kNumber, 1, 0, 5},        // IPV6_MTU_DISCOVER
    {kLevelIp6, 25, Kind::kFlag},                   // IPV6_RECVERR
    {kLevelIp6, kIp6Only, Kind::kFlag},             //
    {kLevelIp6, kIp6TellsPacketInfo, Kind::kTells},
    {kLevelIp6, kIp6TellsHopLimit, Kind::kTells},
    {kLevelIp6, 62, Kind::kFlag},  // IPV6_DONTFRAG
    {kLevelIp6, kIp6TellsTrafficClass, Kind::kTells},
    {kLevelIp6, kIp6TrafficClass, Kind::kNumber, 0, 0, 255, -1},
    {kLevelIp6, kIp6TellsOriginalTo, Kind::kTells},
    {kLevelIp6, 75, Kind::kFlagOfRoot},  // IPV6_TRANSPARENT
    {kLevelIp6, 78, Kind::kFlag},        // IPV6_FREEBIND
};
static_assert(std::size(kRows) <= InetNumbers::kMost);

const Row* row_of(i32 level, u32 option) {
  const auto* const row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& one) {
    return one.level == level && one.option == option;
  });
  return row == std::end(kRows) ? nullptr : row;
}

}  // namespace

InetNumbers::InetNumbers() {
  for (u32 i = 0; i < std::size(kRows); ++i) {
    values_[i] = kRows[i].first;
  }
}

bool InetNumbers::knows(i32 level, u32 option) { return row_of(level, option) != nullptr; }

i32 InetNumbers::get(i32 level, u32 option) const {
  return values_[static_cast<u32>(row_of(level, option) - kRows)];
}

i64 InetNumbers::set(i32 level, u32 option, i32 value) {
  const Row& row = *row_of(level, option);
  if (row.kind == Kind::kFlagOfRoot && value != 0 && !capable(Capability::kNetAdmin) &&
      !capable(Capability::kNetRaw)) {
    return -kEPERM;
  }
  if (row.kind == Kind::kNumber) {
    value = value == row.means_first ? row.first : value;
    if (value < row.least || value > row.most) {
      return -kEINVAL;
    }
  }
  i32& kept = values_[static_cast<u32>(&row - kRows)];
  const i32 before = std::exchange(kept, row.kind == Kind::kNumber ? value : value != 0 ? 1 : 0);
  if (row.kind == Kind::kTells) {
    tells_ += static_cast<u32>(kept - before);
  }
  ++changes_;
  return 0;
}

i64 InetGroups::join(const InetAddress& group) {
  if (!group.is_multicast()) {
    return -kEINVAL;
  }
  if (std::find(groups_.begin(), groups_.begin() + count_, group) != groups_.begin() + count_) {
    return -kEADDRINUSE;
  }
  if (count_ == kMost) {
    return -kENOBUFS;
  }
  groups_[count_++] = group;
  return 0;
}

i64 InetGroups::leave(const InetAddress& group) {
  auto* const found = std::find(groups_.begin(), groups_.begin() + count_, group);
  if (found == groups_.begin() + count_) {
    return group.is_multicast() ? -kEADDRNOTAVAIL : -kEINVAL;
  }
  *found = groups_[--count_];
  return 0;
}

}  // namespace nopte::guest::net
