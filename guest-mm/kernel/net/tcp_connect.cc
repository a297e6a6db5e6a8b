// connect() of TCP, and those that wait for a place among a listener's connections (net/ipv4/tcp_input.c of
// Linux 6.12: who finds the queue full is not answered, and asks again; here its turn comes with the next
// accept).
#include "guest-mm/kernel/net/tcp_socket.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

TcpSocket* TcpSocket::find_listener(const Endpoint& to) {
  TcpSocket* best = nullptr;
  u32 best_match = 0;
  for (InetSocket* one = first_in(to.port % kBuckets); one != nullptr; one = one->next_with_port()) {
    if (one->protocol != kProtocolTcp || one->state() != State::kListening) {
      continue;
    }
    if (const u32 match = one->match(to); match > best_match) {
      best = static_cast<TcpSocket*>(one);
      best_match = match;
    }
  }
  return best;
}

bool TcpSocket::connected_from(const Endpoint& from, const Endpoint& to) const {
  for (const InetSocket* one = first_in(from.port % kBuckets); one != nullptr; one = one->next_with_port()) {
    if (one->protocol != kProtocolTcp || one->local() != from || one->remote() != to) {
      continue;
    }
    if (one->state() == State::kConnected || static_cast<const TcpSocket*>(one)->wanted_) {
      return true;
    }
  }
  return false;
}

i64 TcpSocket::disconnect() {
  const bool was_connected = other() != nullptr || wanted_;
  stop_waiting();
  refuse_waiting();
  if (other() != nullptr && !other()->closed_) {
    other()->be_reset(other()->ended_ ? kEPIPE : kECONNRESET);
  }
  close_pending();
  records_.clear();
  corked_.clear();
  peer = nullptr;
  // What was only bound keeps its port.
  const State before = std::exchange(state_, State::kUnconnected);
  connecting_ = ended_ = false;
  shut_ = 0;
  error_ = was_connected ? static_cast<i32>(kECONNRESET) : error_;
  forget_connection(before == State::kUnconnected ? KeepPort::kYes : KeepPort::kNo);
  wake(queue);
  return 0;
}

// What became of a connection that nobody was told of yet.
i64 TcpSocket::end_connecting() {
  connecting_ = false;
  if (state_ == State::kConnected && peer) {
    return 0;
  }
  const i64 error = error_ != 0 ? take_error() : -kECONNABORTED;
  disconnect();
  return error;
}

// Its end is told by a call that asks, or by the next connect().
void TcpSocket::be_refused(Endpoint from) {
  forget_connection();
  local_.address = from.address;  // until the end is told
  error_ = kECONNREFUSED;
  shut_ = kNoReceive | kNoSend;
  wake(queue);
}

i64 TcpSocket::refused(const Endpoint& from, u32 flags) {
  if (!(flags & kMessageDontWait)) {
    forget_connection();
    return -kECONNREFUSED;
  }
  connecting_ = true;
  be_refused(from);
  return -kEINPROGRESS;
}

i64 TcpSocket::connect(const SocketAddress& address, u64 bytes, u32 flags) {
  if (bytes < kFamilyBytes) {
    return -kEINVAL;
  }
  if (address.family == kFamilyUnspecified) {
    return disconnect();
  }
  if (connecting_) {
    return finish_connecting(flags, kEALREADY);
  }
  if (state_ != State::kUnconnected) {
    return -kEISCONN;
  }
  const files::ErrnoOr<Endpoint> to = destination(address, bytes);
  if (!to) {
    return -static_cast<i64>(to.error() == kEACCES ? kENETUNREACH : to.error());
  }
  if (!has_port() && !take_port()) {
    return -kEADDRNOTAVAIL;
  }
  const Endpoint from = source_for(*to);
  if (connected_from(from, *to)) {
    return -kEADDRNOTAVAIL;
  }
  TcpSocket* const listener = find_listener(*to);
  if (listener == nullptr) {
    return refused(from, flags);
  }
  Ref<TcpSocket> end = files::make_counted<TcpSocket>(listener->family);
  if (!end) {
    return -kENOMEM;
  }
  local_.address = from.address;
  remote_ = *to;
  connecting_ = true;
  if (listener->is_full()) {
    wait_for(*listener, std::move(end));
    return finish_connecting(flags, kEINPROGRESS);
  }
  be_connected(*listener, std::move(end));
  if (flags & kMessageDontWait) {
    return -kEINPROGRESS;
  }
  connecting_ = false;
  return 0;
}

void TcpSocket::be_connected(TcpSocket& listener, Ref<TcpSocket> end) {
  end->local_ = remote_;
  end->remote_ = local_;
  end->numbers_ = listener.numbers_;
  end->options = listener.options;
  end->uid = listener.uid;
  end->enter_port();
  peer = end;
  end->peer = Ref<Socket>(this);
  state_ = end->state_ = State::kConnected;
  error_ = 0;
  listener.append_pending(std::move(end));
}

i64 TcpSocket::await_connection(u32 flags, u64 deadline_ns) {
  while (wanted_) {
    if (const i64 error = wait(queue, flags, deadline_ns); error != 0) {
      return error;
    }
  }
  return 0;
}

i64 TcpSocket::finish_connecting(u32 flags, Errno unfinished) {
  const i64 error = await_connection(flags, send_deadline());
  return error == 0 ? end_connecting() : error == -kEAGAIN ? -static_cast<i64>(unfinished) : error;
}

void TcpSocket::wait_for(TcpSocket& listener, Ref<TcpSocket> end) {
  wanted_ = Ref<TcpSocket>(&listener);
  end_ = std::move(end);
  listener.waiting_.push_back(*this);
}

void TcpSocket::stop_waiting() {
  if (!wanted_) {
    return;
  }
  wanted_->waiting_.erase(wanted_->waiting_.iterator_to(*this));
  wanted_ = nullptr;
  end_ = nullptr;
}

void TcpSocket::room_for_pending() {
  while (!waiting_.empty() && !is_full()) {
    TcpSocket& next = waiting_.front();
    const Ref<TcpSocket> self(this);  // it may hold the last one
    Ref<TcpSocket> end = next.end_;
    next.stop_waiting();
    next.be_connected(*this, std::move(end));
    wake(next.queue);
  }
}

void TcpSocket::refuse_waiting() {
  while (!waiting_.empty()) {
    TcpSocket& next = waiting_.front();
    const Ref<TcpSocket> self(this);
    next.stop_waiting();
    next.be_refused(next.local_);
  }
}

}  // namespace nopte::guest::net
