#include "guest-mm/kernel/net/tcp_socket.h"

#include <algorithm>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {
constexpr u64 kFirstSendBytes = 16384, kFirstReceiveBytes = 131072;  // net.ipv4.tcp_wmem, tcp_rmem
constexpr u64 kMostCorkedBytes = 65483;                              // a segment of the loopback
constexpr u64 kLongestCorkNs = 200'000'000;
}  // namespace

TcpSocket::TcpSocket(u16 socket_family) : InetSocket(socket_family, Type::kStream, kProtocolTcp) {
  options.send_buffer = kFirstSendBytes;
  options.receive_buffer = kFirstReceiveBytes;
}

u64 TcpSocket::room_to(const Socket& to) const { return options.send_buffer + to.options.receive_buffer; }

i64 TcpSocket::peer_address(SocketAddress& out) const {
  if (state_ != State::kConnected || (over() && accepted_)) {
    return -kENOTCONN;
  }
  return static_cast<i64>(show_endpoint(family, remote_, out));
}

void TcpSocket::be_reset(Errno error) {
  if (closed_) {
    return;
  }
  if (!over()) {
    error_ = static_cast<i32>(error);
    shut_ = kNoReceive | kNoSend;
  }
  corked_.clear();
  peer = nullptr;
  release_port();
  wake(queue);
}

void TcpSocket::hear_end() {
  ended_ = true;
  shut_ |= kNoReceive;
  if (over()) {
    release_port();
  }
  wake(queue);
}

void TcpSocket::leave() {
  stop_waiting();
  refuse_waiting();
  if (TcpSocket* const to = other(); to != nullptr) {
    const bool linger_none = options.linger[0] != 0 && options.linger[1] == 0;
    if (records_.count() != 0 || linger_none || !accepted_) {
      to->be_reset(to->ended_ ? kEPIPE : kECONNRESET);
    } else {
      uncork();
      to->hear_end();
    }
    wake(queue);  // who waits for room in this one's queue
  }
  corked_.clear();
  peer = nullptr;
  leave_port();
}

i64 TcpSocket::shut_down(u32 how) {
  if (how > 2) {
    return -kEINVAL;
  }
  const u32 sides = how + 1;
  if (state_ == State::kListening) {
    if (sides & kNoReceive) {
      state_ = State::kUnconnected;
      close_pending();
      refuse_waiting();
      forget_connection();
      wake(queue);
    }
    return 0;
  }
  if (wanted_) {
    return disconnect();
  }
  connecting_ = connecting_ && state_ != State::kConnected;
  const bool was_over = over();
  shut_ |= static_cast<u8>(sides);
  if (was_over) {
    return -kENOTCONN;
  }
  TcpSocket* const to = other();
  if (sides & kNoSend && !to->closed_) {
    uncork();
    to->hear_end();
  }
  if (over()) {
    release_port();
  }
  wake(queue);
  return 0;
}

i64 TcpSocket::listen(u32 backlog) {
  if (state_ == State::kConnected || connecting_) {
    return -kEINVAL;
  }
  if (!has_port() && !take_port()) {
    return -kEADDRINUSE;
  }
  if (state_ != State::kListening && conflicts(local_)) {
    return -kEADDRINUSE;
  }
  backlog_ = std::min(backlog, kMostPending);
  state_ = State::kListening;
  wake(queue);
  room_for_pending();
  return 0;
}

i64 TcpSocket::broken(const Sending& message) {
  if (error_ != 0 && error_ != kEPIPE) {
    return take_error();
  }
  error_ = 0;
  return Socket::broken(message);
}

i64 TcpSocket::send(Sending& message) {
  if (const i64 error = await_connection(message.flags, send_deadline()); error != 0) {
    return error;
  }
  if (state_ != State::kConnected || !peer || error_ != 0 || shut_ & kNoSend) {
    return broken(message);
  }
  // Who is gone, or neither sends nor receives any more, takes bytes for a mistake, and says so; Linux looks
  // for that after 16 pieces of 32 KiB.
  constexpr u64 kUnheardBytes = 16 * u64{32768};
  const bool wanted = !other()->closed_ && other()->shut_ != (kNoReceive | kNoSend);
  if (const u64 bytes = message.data.left(); !wanted && bytes != 0) {
    const Ref<Socket> kept = peer;
    be_reset(ended_ ? kEPIPE : kECONNRESET);
    static_cast<TcpSocket&>(*kept).be_reset(kECONNRESET);
    return static_cast<i64>(std::min(bytes, kUnheardBytes));
  }
  return send_stream(message);
}

void TcpSocket::deliver(Socket& to, Record* record, Sending& message) {
  const bool urgent = message.flags & kMessageOutOfBand && message.data.left() == 0;
  const bool more = !urgent && (message.flags & kMessageMore || numbers_.get(kLevelTcp, kTcpCork) != 0);
  if (!more || corked_.charged() > kMostCorkedBytes) {
    uncork();
    if (urgent) {
      static_cast<TcpSocket&>(to).mark(*record);
    }
    static_cast<TcpSocket&>(to).append_from(*this, record, message);
    return;
  }
  if (corked_.count() == 0) {
    corked_ns_ = platform_ops().now_ns();
  }
  corked_.append(record);
  wake(to.queue);  // who sleeps pulls it
}

bool TcpSocket::uncork() {
  if (corked_.count() == 0) {
    return false;
  }
  while (corked_.count() != 0) {
    Record* const record = corked_.pop();
    if (peer) {
      other()->records_.append(record);
    } else {
      free_record(record);
    }
  }
  if (peer) {
    wake(peer->queue);
  }
  return true;
}

// Linux holds back for 200 ms at most. Here who is about to sleep gets it, so that no clock is needed.
bool TcpSocket::pull() { return peer && other()->uncork(); }

i64 TcpSocket::receive(Receiving& message) {
  if (message.flags & kMessageErrorQueue) {
    return -kEAGAIN;
  }
  if (state_ == State::kListening) {
    return -kENOTCONN;
  }
  if (message.flags & kMessageOutOfBand) {
    return receive_out_of_band(message);
  }
  if (const i64 error = await_connection(message.flags, receive_deadline()); error != 0) {
    return error;
  }
  if (state_ == State::kUnconnected) {
    return error_ != 0 ? take_error() : shut_ & kNoReceive ? 0 : -kENOTCONN;
  }
  if (ended_ && records_.count() == 0) {  // whatever came after it
    return 0;
  }
  if (peer && other()->corked_.count() != 0 &&
      platform_ops().now_ns() - other()->corked_ns_ >= kLongestCorkNs) {
    pull();
  }
  return receive_stream(message);
}

u32 TcpSocket::poll() {
  using namespace files;  // NOLINT(google-build-using-namespace)
  if (state_ == State::kListening) {
    return pending_ != 0 ? kPollIn | kPollReadNormal : 0;
  }
  if (wanted_) {
    return 0;
  }
  pull();
  u32 events = error_ != 0 ? kPollError : 0;
  events |= !peer || shut_ == (kNoReceive | kNoSend) ? kPollHangUp : 0;
  events |= shut_ & kNoReceive ? kPollReadHangUp | kPollIn | kPollReadNormal : 0;
  const Record* const marked = marked_record();
  const bool skips =
      marked != nullptr && marked == records_.first() && marked->at_mark() && !options.bit(kOutOfBandInline);
  events |= marked != nullptr && marked->urgent == Record::Urgent::kWaits ? kPollPriority : 0;
  events |= records_.waiting_bytes() >= options.least_bytes + (skips ? 1 : 0) ? kPollIn | kPollReadNormal : 0;
  const bool writable = shut_ & kNoSend || !peer || other()->records_.charged() * 4 <= room_to(*peer);
  return events | (writable ? kPollOut | kPollWriteNormal : 0);
}

}  // namespace nopte::guest::net
