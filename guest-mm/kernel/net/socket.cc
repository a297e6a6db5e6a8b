// A socket's life, and what its file answers.
#include "guest-mm/kernel/net/socket.h"

#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {

class SocketFile final : public files::File {
 public:
  SocketFile(const Ref<Socket>& socket, u32 flags)
      : File(socket, flags | files::kOpenReadWrite), socket_(*socket) {}
  ~SocketFile() override { socket_.close(); }

  i64 read(files::IoBuffer to, u64 bytes, u64) override {
    IoCursor parts(to, bytes);
    return read_parts(*this, socket_, parts);
  }
  i64 write(files::IoBuffer from, u64 bytes, u64, u64*) override {
    IoCursor parts(from, bytes);
    return write_parts(*this, socket_, parts);
  }
  u32 poll() override { return socket_.poll(); }
  [[nodiscard]] bool signals_events() const override { return true; }
  WaitQueue* poll_queue() override { return &socket_.queue; }
  i64 ioctl(u32 request, u64 argument) override { return socket_.ioctl(request, argument); }

 private:
  Socket& socket_;  // held by the base
};

u32 flags_of(const files::File& file) { return file.non_blocking() ? kMessageDontWait : 0; }

}  // namespace

Credentials own_credentials() {
  return {current_process().pid, identity().user.effective, identity().group.effective};
}
Credentials sender_credentials() {
  return {current_process().pid, identity().user.real, identity().group.real};
}

Ref<files::File> make_socket_file(const Ref<Socket>& socket, u32 flags) {
  Ref<files::File> file = files::make_counted<SocketFile>(socket, flags);
  if (!file) {
    socket->close();
  }
  return file;
}

i64 read_parts(files::File& file, Socket& socket, IoCursor& parts) {
  Receiving message{.data = parts, .flags = flags_of(file)};
  return socket.receive(message);
}

i64 write_parts(files::File& file, Socket& socket, IoCursor& parts) {
  Sending message{.data = parts, .flags = flags_of(file)};
  return socket.send(message);
}

Socket::Socket(Type socket_type) : Inode(files::kModeSocket | 0777), type(socket_type) {}
Socket::~Socket() = default;

void Socket::join(Socket& a, Socket& b) {
  a.set_peer(Ref<Socket>(&b));
  b.set_peer(Ref<Socket>(&a));
  a.state_ = b.state_ = State::kConnected;
  a.peer_credentials_ = b.peer_credentials_ = own_credentials();
}

void Socket::set_peer(Ref<Socket> other) {
  if (datagrams() && peer) {
    Socket** at = &peer->first_client_;
    while (*at != this) {
      at = &(*at)->next_client_;
    }
    *at = next_client_;
  }
  peer = std::move(other);
  if (datagrams() && peer) {
    next_client_ = peer->first_client_;
    peer->first_client_ = this;
  }
}

void Socket::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  shut_ = kNoReceive | kNoSend;
  leave_names();
  if (!datagrams() && peer && !peer->closed_) {
    peer->shut_ = kNoReceive | kNoSend;
    if (records_.count() != 0) {
      peer->error_ = kECONNRESET;
    }
    wake(peer->queue);
  }
  wake_senders();
  set_peer(nullptr);
  while (first_pending_) {
    const Ref<Socket> one = first_pending_;
    first_pending_ = one->next_pending_;
    one->next_pending_ = nullptr;
    if (one->peer) {
      one->peer->error_ = kECONNRESET;
    }
    one->close();
  }
  pending_ = 0;
  records_.clear();
}

// Who waits to send to it, and who polls for that.
void Socket::wake_senders() {
  wake(queue);
  if (datagrams()) {
    for (Socket* client = first_client_; client != nullptr; client = client->next_client_) {
      wake(client->queue);
    }
  } else if (peer) {
    wake(peer->queue);
  }
}

i64 Socket::shut_down(u32 how) {
  if (how > 2) {
    return -kEINVAL;
  }
  shut_ |= static_cast<u8>(how + 1);
  if (!datagrams() && peer) {
    peer->shut_ |=
        static_cast<u8>(((how + 1) & kNoReceive ? kNoSend : 0) | ((how + 1) & kNoSend ? kNoReceive : 0));
    wake(peer->queue);
  }
  wake(queue);
  return 0;
}

i64 Socket::take_error() { return -static_cast<i64>(std::exchange(error_, 0)); }

// Linux's unix_writable(): a quarter of the buffer at most is in use.
bool Socket::writable() const {
  return state_ != State::kListening && (!peer || peer->records_.charged() * 4 <= send_buffer_);
}

bool Socket::full_for(const Socket& sender) const {
  constexpr u64 kMostDatagrams = 10;  // net.unix.max_dgram_qlen
  const bool mutual = peer.get() == &sender || this == &sender;
  return (!mutual && records_.count() > kMostDatagrams) ||
         (records_.count() != 0 && records_.charged() >= sender.send_buffer_);
}

u32 Socket::poll() {
  using namespace files;  // NOLINT(google-build-using-namespace)
  constexpr u32 kPollWriteBand = 0x200;
  u32 events = error_ != 0 ? kPollError : 0;
  events |= shut_ == (kNoReceive | kNoSend) ? kPollHangUp : 0;
  events |= shut_ & kNoReceive ? kPollReadHangUp | kPollIn | kPollReadNormal : 0;
  events |= records_.count() != 0 || pending_ != 0 ? kPollIn | kPollReadNormal : 0;
  events |= !datagrams() && state_ == State::kUnconnected ? kPollHangUp : 0;
  const bool can_write = writable() && (!datagrams() || !peer || !peer->full_for(*this));
  return events | (can_write ? kPollOut | kPollWriteNormal | kPollWriteBand : 0);
}

i64 Socket::ioctl(u32 request, u64 argument) {
  constexpr u32 kBytesWaiting = 0x541b;  // FIONREAD, SIOCINQ
  constexpr u32 kBytesSent = 0x5411;     // SIOCOUTQ
  if (request == kBytesWaiting) {
    if (state_ == State::kListening) {
      return -kEINVAL;
    }
    const Record* const first = records_.first();
    const u64 bytes = !datagrams() ? records_.waiting_bytes() : first != nullptr ? first->bytes : 0;
    return files::put_user(argument, static_cast<i32>(bytes));
  }
  if (request == kBytesSent) {
    return files::put_user(argument, static_cast<i32>(peer ? peer->records_.charged() : 0));
  }
  return -kENOTTY;
}

i64 Socket::wait(WaitQueue& where, u32 flags, u64 deadline_ns) {
  if (flags & kMessageDontWait) {
    return -kEAGAIN;
  }
  switch (block_on(where, deadline_ns)) {
    case WakeReason::kSignal:
      return deadline_ns == kNoDeadline ? -kERESTARTSYS : -kEINTR;
    case WakeReason::kTimeout:
      return -kEAGAIN;
    default:
      return 0;
  }
}

}  // namespace nopte::guest::net
