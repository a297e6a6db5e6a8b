#include "guest-mm/kernel/net/udp_socket.h"

#include <cstring>

#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

namespace {
constexpr u64 kMostBytes = 0xffff;
constexpr u64 kMostV4Bytes = 65507, kMostV6Bytes = 65527;  // less the headers
}  // namespace

i64 UdpSocket::peer_address(SocketAddress& out) const {
  return state_ == State::kConnected ? static_cast<i64>(show_endpoint(family, remote_, out)) : -kENOTCONN;
}

void UdpSocket::leave() {
  if (corked_ != nullptr) {
    free_record(std::exchange(corked_, nullptr));
  }
  leave_port();
  wake(queue);
}

i64 UdpSocket::connect(const SocketAddress& address, u64 bytes, u32) {
  if (bytes < kFamilyBytes) {
    return -kEINVAL;
  }
  if (address.family == kFamilyUnspecified) {
    state_ = State::kUnconnected;
    forget_connection();
    if (!has_port()) {
      local_.port = 0;
    }
    return 0;
  }
  if (!has_port() && !take_port()) {
    return -kEAGAIN;
  }
  const files::ErrnoOr<Endpoint> to = destination(address, bytes);
  if (!to) {
    return -static_cast<i64>(to.error());
  }
  local_.address = source_for(*to).address;
  remote_ = *to;
  state_ = State::kConnected;
  return 0;
}

i64 UdpSocket::shut_down(u32 how) {
  if (how > 2) {
    return -kEINVAL;
  }
  shut_ |= static_cast<u8>(how + 1);
  wake(queue);
  return state_ == State::kConnected ? 0 : -kENOTCONN;
}

UdpSocket* UdpSocket::find_receiver(u16 protocol, const Endpoint& from, const Endpoint& to) {
  constexpr u32 kConnectedMatch = 4;
  UdpSocket* best = nullptr;
  u32 best_match = 0;
  for (InetSocket* one = first_in(to.port % kBuckets); one != nullptr; one = one->next_with_port()) {
    if (one->protocol != protocol) {
      continue;
    }
    u32 match = one->match(to);
    if (match != 0 && one->state() == State::kConnected) {
      match = one->remote() == from ? match + kConnectedMatch : 0;
    }
    if (match > best_match) {
      best = static_cast<UdpSocket*>(one);
      best_match = match;
    }
  }
  return best;
}

Ref<Origin> UdpSocket::origin_for(u16 receiver_family, const Endpoint& from, const Endpoint& to,
                                  const PacketChoice& choice) {
  SocketAddress shown;
  const u64 bytes = show_endpoint(receiver_family, from, shown);
  const bool usual = choice.hop_limit < 0 && choice.traffic_class < 0;
  if (usual && last_origin_ && last_changes_ == numbers_.changes() && last_origin_->to == to &&
      last_origin_->bytes == bytes && std::memcmp(&last_origin_->address, &shown, bytes) == 0) {
    return last_origin_;
  }
  Ref<Origin> made = files::make_counted<Origin>();
  if (!made) {
    return made;
  }
  const bool v4 = to.address.is_v4();
  const i32 hop_limit = v4 ? numbers_.get(kLevelIp, kIpTimeToLive) : numbers_.get(kLevelIp6, kIp6UnicastHops);
  const i32 traffic_class =
      v4 ? numbers_.get(kLevelIp, kIpTypeOfService) : numbers_.get(kLevelIp6, kIp6TrafficClass);
  made->bytes = bytes;
  made->address = shown;
  made->to = to;
  made->hop_limit = static_cast<u8>(choice.hop_limit < 0 ? hop_limit : choice.hop_limit);
  made->traffic_class = static_cast<u8>(choice.traffic_class < 0 ? traffic_class : choice.traffic_class);
  if (usual) {
    last_origin_ = made;
    last_changes_ = numbers_.changes();
  }
  return made;
}

void UdpSocket::transmit(Record* record, const Endpoint& to, const PacketChoice& choice) {
  Endpoint from = source_for(to);
  if (!choice.source.is_any() && choice.source.is_v4() == to.address.is_v4()) {
    from.address = choice.source;
  }
  UdpSocket* const receiver = find_receiver(protocol, from, to);
  if (receiver == nullptr) {
    free_record(record);
    // The message that nobody is there finds who is connected to there.
    if (state_ == State::kConnected ? remote_ == to : numbers_.get(kLevelIp, kIpReportErrors) != 0) {
      error_ = kECONNREFUSED;
      wake(queue);
    }
    return;
  }
  record->sender = kNobody;
  record->from = origin_for(receiver->family, from, to, choice);
  if (!record->from || receiver->records_.charged() > receiver->options.receive_buffer) {
    free_record(record);  // lost, as datagrams are
    return;
  }
  receiver->stamp(*record);
  receiver->records_.append(record);
  wake(receiver->queue);
}

void UdpSocket::corking_ended() {
  if (corked_ != nullptr) {
    transmit(std::exchange(corked_, nullptr), corked_to_, corked_choice_);
  }
}

files::ErrnoOr<Endpoint> UdpSocket::destination_of(const Sending& message) const {
  if (message.to == nullptr || message.to_bytes == 0) {
    if (state_ != State::kConnected) {
      return files::ErrnoFail(kEDESTADDRREQ);
    }
    return remote_;
  }
  SocketAddress address = *message.to;
  if (address.family == kFamilyUnspecified && family == kFamilyInet) {
    address.family = kFamilyInet;
  }
  const files::ErrnoOr<Endpoint> parsed = parse_endpoint(family, address, message.to_bytes);
  if (parsed && parsed->port == 0) {
    return files::ErrnoFail(kEINVAL);
  }
  return destination(address, message.to_bytes);
}

i64 UdpSocket::send(Sending& message) {
  if (!has_port() && !take_port()) {
    return -kEAGAIN;
  }
  const u64 bytes = message.data.left();
  if (bytes > kMostBytes) {
    return -kEMSGSIZE;
  }
  if (message.flags & kMessageOutOfBand) {
    return -kEOPNOTSUPP;
  }
  const files::ErrnoOr<Endpoint> to =
      corked_ != nullptr ? files::ErrnoOr<Endpoint>(corked_to_) : destination_of(message);
  if (!to) {
    return -static_cast<i64>(to.error());
  }
  const u64 before = corked_ != nullptr ? corked_->bytes : 0;
  if (before + bytes > (to->address.is_v4() ? kMostV4Bytes : kMostV6Bytes)) {
    return -kEMSGSIZE;
  }
  if (error_ != 0) {
    return take_error();
  }
  if (shut_ & kNoSend) {
    return -kEPIPE;
  }
  Record* const record = make_record(before + bytes);
  if (record == nullptr) {
    return -kENOBUFS;
  }
  if (!message.data.get(record->data() + before, bytes)) {
    free_record(record);
    return -kEFAULT;
  }
  const PacketChoice choice = corked_ != nullptr ? corked_choice_ : message.packet;
  if (corked_ != nullptr) {
    std::memcpy(record->data(), corked_->data(), before);
    free_record(std::exchange(corked_, nullptr));
  }
  if (message.flags & kMessageMore || numbers_.get(kLevelUdp, kUdpCork) != 0) {
    corked_ = record;
    corked_to_ = *to;
    corked_choice_ = choice;
  } else {
    transmit(record, *to, choice);
  }
  return static_cast<i64>(bytes);
}

i64 UdpSocket::receive(Receiving& message) {
  return message.flags & kMessageErrorQueue ? -kEAGAIN : receive_record(message);
}

u32 UdpSocket::poll() {
  using namespace files;  // NOLINT(google-build-using-namespace)
  constexpr u32 kPollWriteBand = 0x200;
  u32 events = kPollOut | kPollWriteNormal | kPollWriteBand;
  events |= error_ != 0 ? kPollError : 0;
  events |= shut_ == (kNoReceive | kNoSend) ? kPollHangUp : 0;
  events |= shut_ & kNoReceive ? kPollReadHangUp | kPollIn | kPollReadNormal : 0;
  events |= records_.count() != 0 ? kPollIn | kPollReadNormal : 0;
  return events;
}

}  // namespace nopte::guest::net
