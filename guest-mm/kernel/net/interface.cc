#include "guest-mm/kernel/net/interface.h"

#include <string_view>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/linux_sockets.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

// uapi/linux/sockios.h, uapi/linux/if.h
enum Request : u32 {
  kGetName = 0x8910,
  kGetAll = 0x8912,
  kGetFlags = 0x8913,
  kSetFlags = 0x8914,
  kGetAddress = 0x8915,
  kGetBroadcast = 0x8919,
  kGetMask = 0x891b,
  kGetMetric = 0x891d,
  kGetMtu = 0x8921,
  kGetHardwareAddress = 0x8927,
  kGetIndex = 0x8933,
  kGetQueueLength = 0x8942,
};
constexpr u32 kUp = 0x1, kLoopback = 0x8, kRunning = 0x40;
constexpr i32 kIndex = 1, kMtu = 65536, kQueueLength = 1000;
constexpr u16 kHardwareLoopback = 772;  // ARPHRD_LOOPBACK

// struct ifreq
struct InterfaceRequest {
  char name[16];
  union {
    i32 number;
    u16 flags;
    struct {
      u16 family;
      u8 port[2];
      u8 address[4];
    } address;
    char pad[24];
  };
};
static_assert(sizeof(InterfaceRequest) == 40);

}  // namespace
}  // namespace nopte::guest::net

template <>  // by its pad
inline constexpr bool nopte::guest::arch::kEveryByteIsTold<nopte::guest::net::InterfaceRequest> = true;

namespace nopte::guest::net {
namespace {

// struct ifconf
struct InterfaceList {
  i32 bytes;
  u32 pad;
  u64 place;
};

InterfaceRequest loopback() { return {.name = "lo", .pad = {}}; }

void set_address(InterfaceRequest& request, u8 a, u8 b, u8 c, u8 d) {
  request.address = {.family = kFamilyInet, .port = {}, .address = {a, b, c, d}};
}

i64 list(u64 argument) {
  InterfaceList all{};
  if (const i64 error = files::get_user(all, argument); error != 0) {
    return error;
  }
  const bool fits = all.bytes >= static_cast<i32>(sizeof(InterfaceRequest));
  if (all.place != 0 && fits) {
    InterfaceRequest request = loopback();
    set_address(request, 127, 0, 0, 1);
    if (const i64 error = files::put_user(all.place, request); error != 0) {
      return error;
    }
  }
  const bool any = all.place == 0 || fits;
  return files::put_user(argument, any ? static_cast<i32>(sizeof(InterfaceRequest)) : 0);
}

bool known(u32 request) {
  switch (request) {
    case kGetName:
    case kGetFlags:
    case kSetFlags:
    case kGetAddress:
    case kGetBroadcast:
    case kGetMask:
    case kGetMetric:
    case kGetMtu:
    case kGetHardwareAddress:
    case kGetIndex:
    case kGetQueueLength:
      return true;
    default:
      return false;
  }
}

}  // namespace

i64 interface_ioctl(u32 request, u64 argument) {
  if (request == kGetAll) {
    return list(argument);
  }
  if (!known(request)) {
    return -kENOTTY;
  }
  InterfaceRequest asked{};
  if (const i64 error = files::get_user(asked, argument); error != 0) {
    return error;
  }
  asked.name[sizeof asked.name - 1] = 0;
  const bool here = request == kGetName ? asked.number == kIndex : std::string_view(asked.name) == "lo";
  if (request == kSetFlags && !capable(Capability::kNetAdmin)) {
    return -kEPERM;
  }
  if (!here) {
    return -kENODEV;
  }
  InterfaceRequest answer = loopback();
  switch (request) {
    case kSetFlags:  // it is up, and stays so
      return asked.flags & kUp ? 0 : -kEOPNOTSUPP;
    case kGetName:
    case kGetIndex:
      answer.number = kIndex;
      break;
    case kGetFlags:
      answer.flags = kUp | kLoopback | kRunning;
      break;
    case kGetAddress:
      set_address(answer, 127, 0, 0, 1);
      break;
    case kGetBroadcast:
      set_address(answer, 0, 0, 0, 0);
      break;
    case kGetMask:
      set_address(answer, 255, 0, 0, 0);
      break;
    case kGetMtu:
      answer.number = kMtu;
      break;
    case kGetQueueLength:
      answer.number = kQueueLength;
      break;
    case kGetHardwareAddress:
      answer.address.family = kHardwareLoopback;
      break;
    default:
      break;
  }
  return files::put_user(argument, answer);
}

}  // namespace nopte::guest::net
