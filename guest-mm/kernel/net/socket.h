// What sockets of every family have in common. A Socket is the inode (S_IFSOCK, without a name in any
// directory) and the endpoint; its one open file closes it. Meanwhile and afterwards others may hold the
// closed socket, as their peer.
//
// What is sent lies in the receiver's queue of records. Senders wait in the receiver's wait queue, everyone
// else in the socket's own. A stream is two sockets that are each other's peers, whatever their family: there
// is no network between them.
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/net/io_cursor.h"
#include "guest-mm/kernel/net/packet.h"
#include "guest-mm/kernel/net/record.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::net {

// Of the running process.
Credentials own_credentials();
// What goes with a message unless it names others: the real ids.
Credentials sender_credentials();

struct Sending {
  IoCursor& data;
  u32 flags;                          // kMessage..., kMessageDontWait for a file that does not block
  const SocketAddress* to = nullptr;  // null: the peer
  u64 to_bytes = 0;
  bool names_sender = false;  // `sender` is the program's own choice
  Credentials sender = kNobody;
  UniquePtr<PassedFiles> files = {};
  PacketChoice packet = {};
};

struct Receiving {
  IoCursor& data;
  u32 flags;
  u32 flags_out = 0;  // kMessageTruncated
  Ref<Name> from = {};
  Credentials sender = {};
  u64 came_ns = 0;  // of a datagram, where SO_TIMESTAMP asks for it
  UniquePtr<PassedFiles> files = {};
};

// What setsockopt changes at SOL_SOCKET; connections that are accepted have their listener's.
struct SocketOptions {
  static constexpr u64 kUsualBufferBytes = 212992;
  u64 send_buffer = kUsualBufferBytes;
  u64 receive_buffer = kUsualBufferBytes;
  u64 send_timeout_us = 0;  // 0: none
  u64 receive_timeout_us = 0;
  u64 bits = 0;  // options of one bit, by their numbers
  i32 linger[2] = {};
  u32 priority = 0;
  u32 mark = 0;
  u32 least_bytes = 1;
  i32 peek_offset = -1;  // of AF_UNIX: where one who only looks begins; below 0: at what is next
  bool pass_credentials = false;

  [[nodiscard]] bool bit(u32 option) const { return bits >> option & 1; }
};

class Socket : public files::Inode {
 public:
  enum class State : u8 { kUnconnected, kListening, kConnected };
  static constexpr u8 kNoReceive = 1;
  static constexpr u8 kNoSend = 2;

  files::ErrnoOr<Ref<files::File>> open(u32) override { return files::ErrnoFail(kENXIO); }
  Socket* as_socket() override { return this; }
  [[nodiscard]] u64 device_of_file_system() const override { return files::kSocketDevice; }

  // The calls of those names. Bytes, 0, or a negative errno.
  virtual i64 bind(const SocketAddress& address, u64 bytes) = 0;
  virtual i64 listen(u32 backlog) = 0;
  virtual i64 connect(const SocketAddress& address, u64 bytes, u32 flags) = 0;
  files::ErrnoOr<Ref<Socket>> accept(u32 flags);
  // Puts back what accept() gave: nobody could take it.
  void put_back(Ref<Socket> accepted);
  virtual i64 shut_down(u32 how) = 0;
  virtual i64 send(Sending& message) = 0;
  virtual i64 receive(Receiving& message) = 0;
  // What recvmsg says in control messages of how it came.
  virtual void tell(MessageHeader& header, Receiving& message);
  virtual i64 ioctl(u32 request, u64 argument);
  virtual i64 set_option(i32 level, u32 option, u64 address, i32 bytes);
  virtual i64 get_option(i32 level, u32 option, u64 address, u64 bytes_address);
  virtual u32 poll() = 0;
  // Its own address and its peer's: the length, or -ENOTCONN.
  virtual i64 own_address(SocketAddress& out) const = 0;
  virtual i64 peer_address(SocketAddress& out) const = 0;
  // The open file is gone.
  void close();

  // Of its queue, and of the connections that nobody accepted.
  template <class Visit>
  void for_each_record(Visit visit) const {
    for (const Record* record = records_.first(); record != nullptr; record = record->next) {
      visit(*record);
    }
    for (const Socket* pending = first_pending_.get(); pending != nullptr;
         pending = pending->next_pending_.get()) {
      pending->for_each_record(visit);
    }
  }
  void drop_records();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] u64 queued_bytes() const { return records_.waiting_bytes(); }

  WaitQueue queue;
  Ref<Name> name;  // of AF_UNIX; null: none
  Ref<Socket> peer;
  files::File* file = nullptr;  // null before there is one, and once it is gone
  SocketFlight flight;
  SocketOptions options;
  u16 family;  // changes where IPV6_ADDRFORM makes a connection one of AF_INET
  const Type type;
  const u16 protocol;

 protected:
  Socket(u16 socket_family, Type socket_type, u16 socket_protocol);
  ~Socket() override;

  // The rest of close(): its peer gets to know, its name is free.
  virtual void leave() = 0;
  // Whether what is sent to it has nobody to read it any more.
  [[nodiscard]] virtual bool deaf() const = 0;
  // How many bytes may wait there before who sends has to.
  [[nodiscard]] virtual u64 room_to(const Socket&) const { return options.send_buffer; }
  // Nobody will read what is sent: its errno, and SIGPIPE.
  virtual i64 broken(const Sending& message);
  // Puts a record of a stream into its peer's queue.
  virtual void deliver(Socket& to, Record* record, Sending& message);
  // Asks the other side for what it holds back; whether anything came.
  virtual bool pull() { return false; }

  i64 send_stream(Sending& message);
  i64 receive_stream(Receiving& message);
  i64 receive_record(Receiving& message);
  // 0: look again; or what the call answers.
  static i64 wait(WaitQueue& where, u32 flags, u64 deadline_ns);
  [[nodiscard]] i64 take_error();
  [[nodiscard]] u64 send_deadline() const;
  [[nodiscard]] u64 receive_deadline() const;
  virtual void taken_from(u64 charged_before);
  // So many bytes were looked at, or taken: SO_PEEK_OFF follows, where it is used.
  void move_peek_offset(u64 bytes, bool peek);
  // Of the queue. Precondition: there is one.
  void drop_first();
  // Whether it wants to know when datagrams came; notes that.
  [[nodiscard]] bool stamps() const;
  void stamp(Record& record) const;
  void append_from(Socket& sender, Record* record, Sending& message);
  // To those that a listener's accept() gives out.
  void append_pending(Ref<Socket> end);
  // accept() took one of as many as there may be.
  virtual void room_for_pending();
  void close_pending();

  State state_ = State::kUnconnected;
  u8 shut_ = 0;
  bool closed_ = false;
  bool accepted_ = true;        // or made otherwise
  bool may_be_marked_ = false;  // whether looking for a record with a byte out of band makes sense
  i32 error_ = 0;               // SO_ERROR
  RecordQueue records_;
  Credentials peer_credentials_{0, ~u32{0}, ~u32{0}};

  // Connections that nobody accepted, of one that listens.
  Ref<Socket> first_pending_;
  Ref<Socket> next_pending_;
  u32 pending_ = 0;
  u32 backlog_ = 0;

 private:
  i64 set_socket_option(u32 option, u64 address, i32 bytes);
};

// net.core.somaxconn
inline constexpr u32 kMostPending = 4096;

// A new socket. Errors: as socket(2).
files::ErrnoOr<Ref<Socket>> make_socket(i32 family, u32 type, i32 protocol);
// A new file on it. Null: no memory, and the socket is closed.
Ref<files::File> make_socket_file(const Ref<Socket>& socket, u32 flags);
// readv and writev.
i64 read_parts(files::File& file, Socket& socket, IoCursor& parts);
i64 write_parts(files::File& file, Socket& socket, IoCursor& parts);
// Copies an option's value and its length, cut to the room at *bytes_address.
i64 store_option(u64 address, u64 bytes_address, const void* value, u64 bytes);

}  // namespace nopte::guest::net
