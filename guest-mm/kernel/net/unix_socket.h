// Sockets of AF_UNIX (net/unix/af_unix.c of Linux 6.12).
#pragma once

#include <boost/intrusive/set_hook.hpp>
#include <compare>

#include "guest-mm/kernel/net/socket.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest::net {

class UnixSocket final : public Socket, public boost::intrusive::set_base_hook<> {
 public:
  explicit UnixSocket(Type socket_type) : Socket(kFamilyUnix, socket_type, 0) {}

  i64 bind(const SocketAddress& address, u64 bytes) override;
  i64 listen(u32 backlog) override;
  i64 connect(const SocketAddress& address, u64 bytes, u32 flags) override;
  i64 shut_down(u32 how) override;
  i64 send(Sending& message) override;
  i64 receive(Receiving& message) override;
  i64 ioctl(u32 request, u64 argument) override;
  u32 poll() override;
  i64 own_address(SocketAddress& out) const override;
  i64 peer_address(SocketAddress& out) const override;

  // Makes two sockets, both unconnected, each other's peers.
  static void join(UnixSocket& a, UnixSocket& b);
  // All that have a name.
  static void for_each_named(FunctionRef<void(const UnixSocket&)> visit);
  // What it is found by: the file of a path; of an abstract name, type and text.
  struct Key {
    const files::Inode* inode;
    Type type;
    std::string_view text;
    auto operator<=>(const Key&) const = default;
  };
  [[nodiscard]] Key key() const;

 private:
  [[nodiscard]] bool datagrams() const { return type == Type::kDatagram; }
  [[nodiscard]] UnixSocket* unix_peer() const { return static_cast<UnixSocket*>(peer.get()); }
  [[nodiscard]] bool deaf() const override { return closed_ || shut_ & kNoReceive; }
  void leave() override;
  void deliver(Socket& to, Record* record, Sending& message) override;
  // The record of the byte out of band, which is a record of its own; null: there is none that waits.
  Record* urgent_record();
  i64 receive_out_of_band(Receiving& message);
  void taken_from(u64 charged_before) override;
  [[nodiscard]] bool writable() const;
  // Whether a datagram from `sender` has to wait.
  [[nodiscard]] bool full_for(const UnixSocket& sender) const;
  i64 bind_path(std::string_view text);
  i64 bind_abstract(std::string_view text);
  i64 bind_without_address();
  i64 bind_for_credentials();
  static files::ErrnoOr<Ref<UnixSocket>> find(Type type, const SocketAddress& address, u64 bytes);
  void enter_names();
  void leave_names();
  void set_peer(Ref<Socket> other);
  void change_peer(Ref<Socket> other);
  i64 connect_datagrams(const SocketAddress& address, u64 bytes);
  i64 send_record(Sending& message);
  void wake_senders();

  Ref<files::Inode> name_inode_;
  UnixSocket* first_client_ = nullptr;  // datagram sockets whose peer this is
  UnixSocket* next_client_ = nullptr;
};

}  // namespace nopte::guest::net
