#include "guest-mm/kernel/net/route_socket.h"

#include <boost/intrusive/set.hpp>
#include <cstring>

#include "guest-mm/core/made_at_first_use.h"
#include "guest-mm/kernel/net/route_answer.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

namespace {

// struct sockaddr_nl
struct RouteAddress {
  u16 family;
  u16 pad;
  u32 number;
  u32 groups;
};
static_assert(sizeof(RouteAddress) == 12);

bool can_list(u16 type) {
  return type == route::kGetLink || type == route::kGetAddress || type == route::kGetRoute ||
         type == route::kGetNeighbour || type == route::kGetRule;
}

// 0 for what asks for the one link alone.
i64 refusal_of(u16 type, i32 index) {
  if (type <= route::kLastRoute && type % route::kKinds != route::kGets && !capable(Capability::kNetAdmin)) {
    return -kEPERM;
  }
  if (type != route::kGetLink) {
    return -kEOPNOTSUPP;
  }
  return index == route::LinkFacts{}.index ? 0 : -kENODEV;
}

struct ByNumber {
  using type = u32;
  u32 operator()(const RouteSocket& socket) const { return socket.number(); }
};
using Numbers = boost::intrusive::set<RouteSocket, boost::intrusive::key_of_value<ByNumber>>;
constinit MadeAtFirstUse<Numbers> g_numbers;

bool is_taken(u32 number) { return g_numbers().find(number) != g_numbers().end(); }

}  // namespace

RouteSocket::RouteSocket(Type socket_type) : Socket(kFamilyNetlink, socket_type, 0) {}

void RouteSocket::take_number(u32 number) {
  number_ = number;
  g_numbers().insert(*this);
}

void RouteSocket::take_free_number() {
  u32 free = static_cast<u32>(current_process().pid);
  for (u32 other = ~u32{4096}; is_taken(free); --other) {
    free = other;
  }
  take_number(free);
}

void RouteSocket::leave() {
  if (is_linked()) {
    g_numbers().erase(Numbers::s_iterator_to(*this));
  }
  wake(queue);
}

i64 RouteSocket::bind(const SocketAddress& address, u64 bytes) {
  RouteAddress asked;
  std::memcpy(&asked, &address, sizeof asked);
  if (bytes < sizeof asked || asked.family != kFamilyNetlink) {
    return -kEINVAL;
  }
  if (number_ != 0) {
    if (asked.number != number_) {
      return -kEINVAL;
    }
  } else {
    if (asked.number != 0 && is_taken(asked.number)) {
      return -kEADDRINUSE;
    }
    asked.number != 0 ? take_number(asked.number) : take_free_number();
  }
  groups_ = asked.groups;
  return 0;
}

i64 RouteSocket::connect(const SocketAddress& address, u64 bytes, u32) {
  RouteAddress to;
  std::memcpy(&to, &address, sizeof to);
  if (bytes < kFamilyBytes || (to.family != kFamilyUnspecified && to.family != kFamilyNetlink)) {
    return -kEINVAL;
  }
  if (to.family == kFamilyNetlink && bytes < sizeof to) {
    return -kEINVAL;
  }
  if (to.family == kFamilyNetlink && to.number != 0) {
    return -kECONNREFUSED;
  }
  if (number_ == 0) {
    take_free_number();
  }
  return 0;
}

i64 RouteSocket::own_address(SocketAddress& out) const {
  const RouteAddress own{kFamilyNetlink, 0, number_, groups_};
  std::memcpy(static_cast<void*>(&out), &own, sizeof own);
  return sizeof own;
}

i64 RouteSocket::peer_address(SocketAddress& out) const {
  const RouteAddress kernel{kFamilyNetlink, 0, 0, 0};
  std::memcpy(static_cast<void*>(&out), &kernel, sizeof kernel);
  return sizeof kernel;
}

i64 RouteSocket::set_option(i32 level, u32 option, u64 address, i32 bytes) {
  constexpr i32 kLevelNetlink = 270;
  constexpr u32 kLastOption = 12;
  if (level != kLevelNetlink) {
    return level == kLevelSocket ? Socket::set_option(level, option, address, bytes) : -kENOPROTOOPT;
  }
  // Nothing happens that they would change.
  return option >= 1 && option <= kLastOption ? 0 : -kENOPROTOOPT;
}

Record* RouteSocket::make_notice(u64 bytes) {
  if (!kernel_) {
    kernel_ = files::make_counted<Name>();
    if (!kernel_) {
      return nullptr;
    }
    kernel_->bytes = static_cast<u64>(peer_address(kernel_->address));
  }
  Record* const record = make_record(bytes);
  if (record != nullptr) {
    record->sender = kNobody;
    record->from = kernel_;
  }
  return record;
}

void RouteSocket::give(Record* notice) {
  if (closed_) {
    free_record(notice);
    return;
  }
  stamp(*notice);
  records_.append(notice);
  wake(queue);
}

bool RouteSocket::queue_answer(const char* answer, u32 bytes) {
  Record* const record = overfull() ? nullptr : make_notice(bytes);
  if (record == nullptr) {
    return false;
  }
  std::memcpy(record->data(), answer, bytes);
  give(record);
  return true;
}

bool RouteSocket::list(u16 asked_type, u8 wanted_family, const void* header) {
  route::Header asked;
  std::memcpy(&asked, header, sizeof asked);
  route::Answer answer(asked, number_);
  if (asked_type == route::kGetLink) {
    route::add_link(answer, route::kSeveral);
  } else if (asked_type == route::kGetAddress) {
    route::add_addresses(answer, wanted_family);
  }
  if (answer.bytes() != 0 && !queue_answer(answer.text(), answer.bytes())) {
    return false;
  }
  route::Answer end(asked, number_);
  end.begin(route::kDone, route::kSeveral, i32{0});
  end.end();
  return queue_answer(end.text(), end.bytes());
}

bool RouteSocket::handle(const char* message, u32 bytes) {
  route::Header asked;
  std::memcpy(&asked, message, sizeof asked);
  const bool heard = asked.flags & route::kRequest && asked.type >= route::kFirstType && bytes > sizeof asked;
  if (heard && (asked.flags & route::kDump) != 0 && can_list(asked.type)) {
    return list(asked.type, static_cast<u8>(message[sizeof asked]), message);
  }
  route::LinkFacts about;
  if (bytes >= sizeof asked + sizeof about) {
    std::memcpy(&about, message + sizeof asked, sizeof about);
  }
  const i64 error = heard ? refusal_of(asked.type, about.index) : 0;
  if (heard && error == 0) {
    route::Answer answer(asked, number_);
    route::add_link(answer, 0);
    if (!queue_answer(answer.text(), answer.bytes())) {
      return false;
    }
  }
  if (error == 0 && !(asked.flags & route::kAcknowledge)) {
    return true;
  }
  struct {
    i32 error;
    route::Header asked;
  } const told{static_cast<i32>(error), asked};
  route::Answer end(asked, number_);
  end.begin(route::kError, route::kCapped, told);
  end.end();
  return queue_answer(end.text(), end.bytes());
}

i64 RouteSocket::send(Sending& message) {
  constexpr u64 kMostBytes = 32768;
  if (message.flags & kMessageOutOfBand) {
    return -kEOPNOTSUPP;
  }
  if (message.to != nullptr && message.to_bytes != 0) {
    RouteAddress to;
    std::memcpy(&to, message.to, sizeof to);
    if (message.to_bytes < sizeof to || to.family != kFamilyNetlink) {
      return -kEINVAL;
    }
    if (to.number != 0) {
      return -kECONNREFUSED;
    }
  }
  if (number_ == 0) {
    take_free_number();
  }
  const u64 bytes = message.data.left();
  if (bytes > kMostBytes) {
    return -kEMSGSIZE;
  }
  if (bytes == 0) {
    return -kENODATA;
  }
  const HeapBuffer text(bytes);
  if (!text) {
    return -kENOBUFS;
  }
  if (!message.data.get(text.data(), bytes)) {
    return -kEFAULT;
  }
  u64 at = 0;
  while (bytes - at >= sizeof(route::Header)) {
    route::Header header;
    std::memcpy(&header, text.data() + at, sizeof header);
    if (header.bytes < sizeof header || header.bytes > bytes - at) {
      break;
    }
    if (!handle(text.data() + at, header.bytes)) {
      error_ = kENOBUFS;
      break;
    }
    at = std::min<u64>(at + route::padded(header.bytes), bytes);
  }
  return static_cast<i64>(bytes);
}

i64 RouteSocket::receive(Receiving& message) {
  const bool was_overfull = overfull();
  const i64 got = message.flags & kMessageOutOfBand ? -kEOPNOTSUPP : receive_record(message);
  if (was_overfull && !overfull()) {
    wake(queue);  // for who waits in mq_notify
  }
  return got;
}

u32 RouteSocket::poll() {
  using namespace files;  // NOLINT(google-build-using-namespace)
  return kPollOut | kPollWriteNormal | (error_ != 0 ? kPollError : 0) |
         (records_.count() != 0 ? kPollIn | kPollReadNormal : 0);
}

}  // namespace nopte::guest::net
