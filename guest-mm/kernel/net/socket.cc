// A socket's life, and what its file answers.
#include "guest-mm/kernel/net/socket.h"

#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/interface.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {

class SocketFile final : public files::File {
 public:
  SocketFile(const Ref<Socket>& socket, u32 flags)
      : File(socket, flags | files::kOpenReadWrite), socket_(*socket) {
    socket_.file = this;
  }
  ~SocketFile() override {
    socket_.close();
    close_unreachable();
  }

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
  i64 ioctl(u32 request, u64 argument) override {
    constexpr u32 kSetOwner = 0x8901, kSetGroup = 0x8902;  // FIOSETOWN, SIOCSPGRP: the same
    constexpr u32 kGetOwner = 0x8903, kGetGroup = 0x8904;
    i32 id = 0;
    switch (request) {
      case kSetOwner:
      case kSetGroup: {
        const i64 error = files::get_user(id, argument);
        return error != 0 ? error : files::set_owner_by_number(*this, static_cast<u64>(i64{id}));
      }
      case kGetOwner:
      case kGetGroup:
        id = static_cast<i32>(files::owner_number(*this));
        return files::put_user(argument, id);
      default:
        return socket_.ioctl(request, argument);
    }
  }

 private:
  Socket& socket_;  // held by the base
};

u32 flags_of(const files::File& file) { return file.non_blocking() ? kMessageDontWait : 0; }

u64 deadline_after(u64 timeout_us) {
  return timeout_us == 0 ? kNoDeadline : platform_ops().now_ns() + timeout_us * 1000;
}

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
  if (parts.left() == 0) {
    return 0;  // as no other read: nothing is looked at (net/socket.c, sock_read_iter)
  }
  Receiving message{.data = parts, .flags = flags_of(file)};
  return socket.receive(message);
}

i64 write_parts(files::File& file, Socket& socket, IoCursor& parts) {
  Sending message{.data = parts, .flags = flags_of(file)};
  return socket.send(message);
}

Socket::Socket(u16 socket_family, Type socket_type, u16 socket_protocol)
    : Inode(files::kModeSocket | 0777), family(socket_family), type(socket_type), protocol(socket_protocol) {
  const Identity& who = identity();
  uid = who.user.file;
  gid = who.group.file;
}
Socket::~Socket() = default;

void Socket::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  file = nullptr;
  shut_ = kNoReceive | kNoSend;
  leave();
  close_pending();
  records_.clear();
}

void Socket::close_pending() {
  while (first_pending_) {
    const Ref<Socket> one = first_pending_;
    first_pending_ = std::move(one->next_pending_);
    if (one->peer) {
      one->peer->error_ = kECONNRESET;
    }
    one->close();
  }
  pending_ = 0;
}

void Socket::drop_records() {
  records_.clear();
  // What is dropped may close this socket, and with it those.
  for (Ref<Socket> pending = first_pending_; pending; pending = pending->next_pending_) {
    pending->drop_records();
  }
}

files::ErrnoOr<Ref<Socket>> Socket::accept(u32 flags) {
  if (type == Type::kDatagram) {
    return files::ErrnoFail(kEOPNOTSUPP);
  }
  if (state_ != State::kListening) {
    return files::ErrnoFail(kEINVAL);
  }
  const u64 deadline = receive_deadline();
  while (!first_pending_) {
    if (deaf() || state_ != State::kListening) {
      return files::ErrnoFail(kEINVAL);
    }
    if (const i64 error = wait(queue, flags, deadline); error != 0) {
      return files::ErrnoFail(static_cast<Errno>(-error));
    }
  }
  Ref<Socket> one = first_pending_;
  first_pending_ = std::move(one->next_pending_);
  one->accepted_ = true;
  if (pending_-- > backlog_) {
    room_for_pending();
  }
  return one;
}

void Socket::room_for_pending() { wake(queue); }

void Socket::put_back(Ref<Socket> accepted) {
  if (closed_ || state_ != State::kListening) {
    accepted->close();
    return;
  }
  accepted->accepted_ = false;
  accepted->next_pending_ = std::move(first_pending_);
  first_pending_ = std::move(accepted);
  ++pending_;
  wake(queue);
}

void Socket::append_pending(Ref<Socket> end) {
  end->accepted_ = false;
  Ref<Socket>* last = &first_pending_;
  while (*last) {
    last = &(*last)->next_pending_;
  }
  *last = std::move(end);
  ++pending_;
  wake(queue);
}

i64 Socket::take_error() { return -static_cast<i64>(std::exchange(error_, 0)); }

u64 Socket::send_deadline() const { return deadline_after(options.send_timeout_us); }
u64 Socket::receive_deadline() const { return deadline_after(options.receive_timeout_us); }

i64 Socket::ioctl(u32 request, u64 argument) {
  constexpr u32 kBytesWaiting = 0x541b;  // FIONREAD, SIOCINQ
  constexpr u32 kBytesSent = 0x5411;     // SIOCOUTQ
  if (request == kBytesWaiting) {
    if (state_ == State::kListening) {
      return -kEINVAL;
    }
    const Record* const first = records_.first();
    const u64 bytes = type != Type::kDatagram ? records_.waiting_bytes()
                      : first != nullptr      ? first->bytes
                                              : 0;
    return files::put_user(argument, static_cast<i32>(bytes));
  }
  if (request == kBytesSent) {
    return files::put_user(argument, static_cast<i32>(peer ? peer->records_.charged() : 0));
  }
  return interface_ioctl(request, argument);
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
