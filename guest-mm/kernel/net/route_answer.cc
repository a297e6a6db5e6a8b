#include "guest-mm/kernel/net/route_answer.h"

#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest::net::route {
namespace {

// struct ifaddrmsg
struct AddressFacts {
  u8 family;
  u8 prefix_bits;
  u8 flags = 0x80;  // permanent
  u8 scope = 254;   // this host
  u32 index = 1;
};

}  // namespace

void add_link(Answer& answer, u16 flags) {
  answer.begin(kLink, flags, LinkFacts{});
  answer.attribute(3, "lo");  // IFLA_IFNAME and so on: uapi/linux/if_link.h
  answer.attribute(13, u32{1000});
  answer.attribute(16, u8{0});
  answer.attribute(17, u8{0});
  answer.attribute(4, u32{65536});
  answer.attribute(27, u32{0});
  answer.attribute(30, u32{0});
  answer.attribute(31, u32{1});
  answer.attribute(32, u32{1});
  answer.attribute(33, u8{1});
  answer.zeros(1, 6);
  answer.zeros(2, 6);
  answer.zeros(23, 200);
  answer.zeros(7, 96);
  answer.attribute(6, "noqueue");
  answer.end();
}

void add_addresses(Answer& answer, u8 family) {
  constexpr u32 kFlags = 0x80, kForEver[4] = {~0u, ~0u, 0, 0};
  if (family == kFamilyUnspecified || family == kFamilyInet) {
    const u8 local[4] = {127, 0, 0, 1};
    answer.begin(kAddress, kSeveral, AddressFacts{.family = kFamilyInet, .prefix_bits = 8});
    answer.attribute(1, local);  // IFA_ADDRESS and so on: uapi/linux/if_addr.h
    answer.attribute(2, local);
    answer.attribute(3, "lo");
    answer.attribute(8, kFlags);
    answer.attribute(6, kForEver);
    answer.end();
  }
  if (family == kFamilyUnspecified || family == kFamilyInet6) {
    u8 local[16] = {};
    local[15] = 1;
    answer.begin(kAddress, kSeveral, AddressFacts{.family = kFamilyInet6, .prefix_bits = 128});
    answer.attribute(1, local);
    answer.attribute(6, kForEver);
    answer.attribute(8, kFlags);
    answer.attribute(11, u8{1});
    answer.end();
  }
}

}  // namespace nopte::guest::net::route
