#include "guest-mm/kernel/net/unix_socket.h"

#include <cstring>

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

namespace {

i64 copy_name(const Name* name, SocketAddress& out) {
  out.family = kFamilyUnix;
  if (name == nullptr) {
    return kFamilyBytes;
  }
  out = name->address;
  return static_cast<i64>(name->bytes);
}

}  // namespace

i64 UnixSocket::own_address(SocketAddress& out) const { return copy_name(name.get(), out); }

i64 UnixSocket::peer_address(SocketAddress& out) const {
  return peer ? copy_name(peer->name.get(), out) : -kENOTCONN;
}

void UnixSocket::join(UnixSocket& a, UnixSocket& b) {
  a.set_peer(Ref<Socket>(&b));
  b.set_peer(Ref<Socket>(&a));
  a.state_ = b.state_ = State::kConnected;
  a.peer_credentials_ = b.peer_credentials_ = own_credentials();
}

void UnixSocket::set_peer(Ref<Socket> other) {
  if (datagrams() && peer) {
    UnixSocket** at = &unix_peer()->first_client_;
    while (*at != this) {
      at = &(*at)->next_client_;
    }
    *at = next_client_;
  }
  peer = std::move(other);
  if (datagrams() && peer) {
    next_client_ = unix_peer()->first_client_;
    unix_peer()->first_client_ = this;
  }
}

// What came from the old one is not for who talks to another.
void UnixSocket::change_peer(Ref<Socket> other) {
  const Ref<Socket> old = peer;
  set_peer(std::move(other));
  if (!old || old == peer || records_.count() == 0) {
    return;
  }
  records_.clear();
  wake_senders();
  auto& before = static_cast<UnixSocket&>(*old);
  if (!before.closed_ && before.peer.get() == this) {
    before.error_ = kECONNRESET;
    wake(before.queue);
  }
}

void UnixSocket::leave() {
  leave_names();
  if (UnixSocket* const other = unix_peer(); !datagrams() && other != nullptr && !other->closed_) {
    other->shut_ = kNoReceive | kNoSend;
    const Record* first = records_.first();
    if (first != nullptr && first->urgent == Record::Urgent::kGiven) {
      first = first->next;
    }
    if (first != nullptr) {
      other->error_ = kECONNRESET;
    }
    wake(other->queue);
  }
  wake_senders();
  set_peer(nullptr);
}

// Who waits to send to it, and who polls for that.
void UnixSocket::wake_senders() {
  wake(queue);
  if (datagrams()) {
    for (UnixSocket* client = first_client_; client != nullptr; client = client->next_client_) {
      wake(client->queue);
    }
  } else if (peer) {
    wake(peer->queue);
  }
}

i64 UnixSocket::shut_down(u32 how) {
  if (how > 2) {
    return -kEINVAL;
  }
  shut_ |= static_cast<u8>(how + 1);
  if (UnixSocket* const other = unix_peer(); !datagrams() && other != nullptr) {
    other->shut_ |=
        static_cast<u8>(((how + 1) & kNoReceive ? kNoSend : 0) | ((how + 1) & kNoSend ? kNoReceive : 0));
    wake(other->queue);
  }
  wake(queue);
  return 0;
}

// Linux's unix_writable(): a quarter of the buffer at most is in use.
bool UnixSocket::writable() const {
  return state_ != State::kListening && (!peer || unix_peer()->records_.charged() * 4 <= options.send_buffer);
}

bool UnixSocket::full_for(const UnixSocket& sender) const {
  constexpr u64 kMostDatagrams = 10;  // net.unix.max_dgram_qlen
  const bool mutual = peer.get() == &sender || this == &sender;
  return (!mutual && records_.count() > kMostDatagrams) ||
         (records_.count() != 0 && records_.charged() >= sender.options.send_buffer);
}

u32 UnixSocket::poll() {
  using namespace files;  // NOLINT(google-build-using-namespace)
  constexpr u32 kPollWriteBand = 0x200;
  u32 events = error_ != 0 ? kPollError : 0;
  events |= shut_ == (kNoReceive | kNoSend) ? kPollHangUp : 0;
  events |= shut_ & kNoReceive ? kPollReadHangUp | kPollIn | kPollReadNormal : 0;
  events |= records_.count() != 0 || pending_ != 0 ? kPollIn | kPollReadNormal : 0;
  events |= !datagrams() && state_ == State::kUnconnected ? kPollHangUp : 0;
  events |= may_be_marked_ && urgent_record() != nullptr ? kPollPriority : 0;
  const bool can_write = writable() && (!datagrams() || !peer || !unix_peer()->full_for(*this));
  return events | (can_write ? kPollOut | kPollWriteNormal | kPollWriteBand : 0);
}

// Wakes those who may send now and could not before.
void UnixSocket::taken_from(u64 charged_before) {
  if (type == Type::kStream) {
    Socket::taken_from(charged_before);
  } else {
    wake_senders();
  }
}

i64 UnixSocket::receive(Receiving& message) {
  const bool out_of_band = message.flags & kMessageOutOfBand;
  if (type == Type::kStream) {
    return state_ != State::kConnected ? -kEINVAL
           : out_of_band               ? receive_out_of_band(message)
                                       : receive_stream(message);
  }
  if (type == Type::kSequential && state_ != State::kConnected) {
    return -kENOTCONN;
  }
  return out_of_band ? -kEOPNOTSUPP : receive_record(message);
}

i64 UnixSocket::send(Sending& message) {
  const bool out_of_band = message.flags & kMessageOutOfBand;
  if (type != Type::kStream) {
    if (!datagrams() && state_ != State::kConnected) {
      return error_ != 0 ? take_error() : -kENOTCONN;
    }
    return out_of_band ? -kEOPNOTSUPP : send_record(message);
  }
  if (out_of_band && message.data.left() == 0) {
    return -kEOPNOTSUPP;
  }
  if (message.to != nullptr && message.to_bytes != 0) {
    return state_ == State::kConnected ? -kEISCONN : -kEOPNOTSUPP;
  }
  if (!peer && state_ != State::kConnected) {
    return -kENOTCONN;
  }
  if (shut_ & kNoSend) {
    return broken(message);
  }
  return send_stream(message);
}

i64 UnixSocket::send_record(Sending& message) {
  const bool named = datagrams() && message.to != nullptr && message.to_bytes != 0;
  Ref<UnixSocket> to(unix_peer());
  if (named) {
    files::ErrnoOr<Ref<UnixSocket>> found = find(type, *message.to, message.to_bytes);
    if (!found) {
      return -static_cast<i64>(found.error());
    }
    to = std::move(*found);
  } else if (!to && datagrams()) {
    return -kENOTCONN;
  }
  if (const i64 error = bind_for_credentials(); error != 0) {
    return error;
  }
  const u64 bytes = message.data.left();
  if (bytes + 32 > options.send_buffer) {
    return -kEMSGSIZE;
  }
  if (error_ != 0) {
    return take_error();
  }
  if (!to || shut_ & kNoSend) {
    return -kEPIPE;
  }
  Record* const record = make_record(bytes);
  if (record == nullptr) {
    return -kENOBUFS;
  }
  i64 error = message.data.get(record->data(), bytes) ? 0 : -kEFAULT;
  const u64 deadline = send_deadline();
  while (error == 0) {
    if (to->closed_) {
      if (datagrams() && peer == to) {
        change_peer(nullptr);
        state_ = State::kUnconnected;
      }
      error = datagrams() ? -kECONNREFUSED : -kEPIPE;
    } else if (to->peer && to->peer.get() != this) {
      error = -kEPERM;
    } else if (to->shut_ & kNoReceive) {
      error = -kEPIPE;
    } else if (!to->full_for(*this)) {
      to->append_from(*this, record, message);
      return static_cast<i64>(bytes);
    } else {
      error = wait(to->queue, message.flags, deadline);
    }
  }
  free_record(record);
  return error;
}

}  // namespace nopte::guest::net
