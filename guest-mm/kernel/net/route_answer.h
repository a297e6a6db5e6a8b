// rtnetlink's messages (netlink(7), rtnetlink(7)), and what they say of the loopback.
#pragma once

#include <cstring>

#include "pvops/base/types.h"

namespace nopte::guest::net::route {

// struct nlmsghdr
struct Header {
  u32 bytes;
  u16 type;
  u16 flags;
  u32 sequence;
  u32 number;
};
static_assert(sizeof(Header) == 16);
inline constexpr u16 kRequest = 1, kSeveral = 2, kAcknowledge = 4, kDump = 0x300, kCapped = 0x100;
inline constexpr u16 kError = 2, kDone = 3, kFirstType = 16;
// rtnetlink's requests come in fours: new, delete, get, set.
inline constexpr u16 kLink = 16, kGetLink = 18, kAddress = 20, kGetAddress = 22, kGetRoute = 26,
                     kGetNeighbour = 30, kGetRule = 34, kLastRoute = 123, kKinds = 4, kGets = 2;

// struct ifinfomsg
struct LinkFacts {
  u8 family = 0;
  u8 pad = 0;
  u16 type = 772;  // ARPHRD_LOOPBACK
  i32 index = 1;
  u32 flags = 0x1'0049;  // up, loopback, running, lower up
  u32 changes = 0;
};
constexpr u32 padded(u32 bytes) { return (bytes + 3) & ~3u; }

// Messages one after the other; calls do not sleep meanwhile.
class Answer {
 public:
  Answer(const Header& asked, u32 number) : asked_(asked), number_(number) {}

  template <class T>
  void begin(u16 type, u16 flags, const T& facts) {
    at_ = used_;
    const Header header{0, type, flags, asked_.sequence, number_};
    add(&header, sizeof header);
    add(&facts, sizeof facts);
  }
  void attribute(u16 type, const void* data, u16 bytes) {
    const u16 head[2] = {static_cast<u16>(sizeof head + bytes), type};
    add(head, sizeof head);
    add(data, bytes);
  }
  template <class T>
  void attribute(u16 type, const T& value) {
    attribute(type, &value, sizeof value);
  }
  void zeros(u16 type, u16 bytes) {
    const char nothing[256] = {};
    attribute(type, nothing, bytes);
  }
  void end() {
    const u32 bytes = used_ - at_;
    std::memcpy(text_ + at_, &bytes, sizeof bytes);
  }

  [[nodiscard]] const char* text() const { return text_; }
  [[nodiscard]] u32 bytes() const { return used_; }

 private:
  void add(const void* data, u32 bytes) {
    std::memcpy(text_ + used_, data, bytes);
    std::memset(text_ + used_ + bytes, 0, padded(bytes) - bytes);
    used_ += padded(bytes);
  }

  const Header& asked_;
  u32 number_;
  u32 at_ = 0;
  u32 used_ = 0;
  char text_[768];
};

// One message each: the loopback, and its addresses of this family, of any when it is unspecified.
void add_link(Answer& answer, u16 flags);
void add_addresses(Answer& answer, u8 family);

}  // namespace nopte::guest::net::route
