// What a datagram's headers say beside its bytes, and how sendmsg and recvmsg speak of it (ip(7), ipv6(7)).
#pragma once

#include "guest-mm/kernel/net/inet_address.h"
#include "guest-mm/kernel/net/record.h"

namespace nopte::guest::net {

struct Sending;

// What a program chose for one message. A negative number, any address: as the socket's options say.
struct PacketChoice {
  i16 hop_limit = -1;
  i16 traffic_class = -1;
  InetAddress source;
};

// Where a datagram came from, and how. Many records share one.
class Origin final : public Name {
 public:
  Endpoint to;
  u8 hop_limit = 0;
  u8 traffic_class = 0;
};

// Takes one control message of level IP or IPv6 into the choice. 0, or -EINVAL.
i64 load_packet_control(i32 level, i32 type, const char* data, u64 bytes, PacketChoice& choice);

}  // namespace nopte::guest::net
