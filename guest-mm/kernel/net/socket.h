// Sockets of AF_UNIX. A Socket is the inode (S_IFSOCK, without a name in any directory) and the endpoint; its
// one open file closes it. Meanwhile and afterwards others may hold the closed socket, as their peer.
//
// What is sent lies in the receiver's queue of records. Senders wait in the receiver's wait queue, everyone
// else in the socket's own.
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/net/io_cursor.h"
#include "guest-mm/kernel/net/record.h"
#include "guest-mm/kernel/wait_queue.h"

namespace nopte::guest::net {

// Of the running process. One user and group, 0.
Credentials own_credentials();
// What goes with a message unless it names others: the real ids.
Credentials sender_credentials();

struct Sending {
  IoCursor& data;
  u32 flags;                          // kMessage..., kMessageDontWait for a file that does not block
  const SocketAddress* to = nullptr;  // null: the peer
  u64 to_bytes = 0;
  Credentials sender = sender_credentials();
  UniquePtr<PassedFiles> files = {};
};

struct Receiving {
  IoCursor& data;
  u32 flags;
  u32 flags_out = 0;  // kMessageTruncated
  Ref<Name> from = {};
  Credentials sender = {};
  UniquePtr<PassedFiles> files = {};
};

class Socket final : public files::Inode {
 public:
  enum class State : u8 { kUnconnected, kListening, kConnected };
  static constexpr u8 kNoReceive = 1;
  static constexpr u8 kNoSend = 2;
  static constexpr u64 kUsualBufferBytes = 212992;

  explicit Socket(Type socket_type);
  ~Socket() override;

  files::ErrnoOr<Ref<files::File>> open(u32) override { return files::ErrnoFail(kENXIO); }
  Socket* as_socket() override { return this; }
  [[nodiscard]] u64 device_of_file_system() const override { return files::device_number(0, 8); }

  // The calls of those names. Bytes, 0, or a negative errno.
  i64 bind(const SocketAddress& address, u64 bytes);
  i64 listen(u32 backlog);
  i64 connect(const SocketAddress& address, u64 bytes, u32 flags);
  files::ErrnoOr<Ref<Socket>> accept(u32 flags);
  i64 shut_down(u32 how);
  i64 send(Sending& message);
  i64 receive(Receiving& message);
  i64 ioctl(u32 request, u64 argument);
  i64 set_option(u32 option, u64 address, i32 bytes);
  i64 get_option(u32 option, u64 address, u64 bytes_address);
  u32 poll();
  // The open file is gone.
  void close();

  // Makes two sockets, both unconnected, each other's peers.
  static void join(Socket& a, Socket& b);

  WaitQueue queue;
  Ref<Name> name;  // null: none
  Ref<Socket> peer;
  const Type type;
  bool pass_credentials = false;

 private:
  [[nodiscard]] bool datagrams() const { return type == Type::kDatagram; }
  [[nodiscard]] bool writable() const;
  // Whether a datagram from `sender` has to wait.
  [[nodiscard]] bool full_for(const Socket& sender) const;
  i64 bind_without_address();
  files::ErrnoOr<Ref<Socket>> find(const SocketAddress& address, u64 bytes);
  void enter_names();
  void leave_names();
  void set_peer(Ref<Socket> other);
  i64 connect_datagrams(const SocketAddress& address, u64 bytes);
  i64 send_stream(Sending& message);
  i64 send_record(Sending& message);
  i64 receive_stream(Receiving& message);
  i64 receive_record(Receiving& message);
  // 0: look again; or what the call answers.
  i64 wait(WaitQueue& where, u32 flags, u64 deadline_ns);
  [[nodiscard]] i64 take_error();
  void taken_from(u64 charged_before);
  void append_from(Socket& sender, Record* record, Sending& message);
  void wake_senders();

  State state_ = State::kUnconnected;
  u8 shut_ = 0;
  bool closed_ = false;
  i32 error_ = 0;  // SO_ERROR
  RecordQueue records_;
  Credentials own_{0, ~u32{0}, ~u32{0}};  // when it began to listen
  Credentials peer_credentials_{0, ~u32{0}, ~u32{0}};

  // Connections that nobody accepted, of one that listens.
  Ref<Socket> first_pending_;
  Ref<Socket> next_pending_;
  u32 pending_ = 0;
  u32 backlog_ = 0;

  // All that have a name.
  Ref<files::Inode> name_inode_;
  Socket* next_named_ = nullptr;
  Socket* first_client_ = nullptr;  // datagram sockets whose peer this is
  Socket* next_client_ = nullptr;

  u64 send_buffer_ = kUsualBufferBytes;
  u64 receive_buffer_ = kUsualBufferBytes;
  u64 send_timeout_us_ = 0;  // 0: none
  u64 receive_timeout_us_ = 0;
  u32 bits_ = 0;  // options that are kept and told, nothing more
  u32 linger_[2] = {};
  u32 priority_ = 0;
  u32 least_bytes_ = 1;

  static Socket* g_named;
};

// A new file on it. Null: no memory, and the socket is closed.
Ref<files::File> make_socket_file(const Ref<Socket>& socket, u32 flags);
// readv and writev.
i64 read_parts(files::File& file, Socket& socket, IoCursor& parts);
i64 write_parts(files::File& file, Socket& socket, IoCursor& parts);

}  // namespace nopte::guest::net
