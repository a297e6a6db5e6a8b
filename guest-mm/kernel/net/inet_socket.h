// What TCP and UDP sockets of AF_INET and AF_INET6 have in common: an address with a port, and options.
// Nothing leaves the guest: what is sent to 127.0.0.0/8 or ::1 lies in the receiver's queue at once.
#pragma once

#include "guest-mm/kernel/net/inet_options.h"
#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest::net {

inline constexpr u16 kProtocolTcp = 6;
inline constexpr u16 kProtocolUdp = 17;
inline constexpr u16 kProtocolUdpLite = 136;

class InetSocket : public Socket {
 public:
  i64 bind(const SocketAddress& address, u64 bytes) override;
  i64 own_address(SocketAddress& out) const override;
  i64 set_option(i32 level, u32 option, u64 address, i32 bytes) override;
  i64 get_option(i32 level, u32 option, u64 address, u64 bytes_address) override;

  // Those that have a port with this hash, the last one first.
  static constexpr u32 kBuckets = 64;
  static InetSocket* first_in(u32 bucket) { return g_ports[bucket]; }
  [[nodiscard]] InetSocket* next_with_port() const { return next_; }
  // How well a socket at this address is meant by that one; 0: not at all.
  [[nodiscard]] u32 match(const Endpoint& to) const;
  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] const Endpoint& remote() const { return remote_; }

 protected:
  InetSocket(u16 socket_family, Type socket_type, u16 socket_protocol);

  // A free port of its own. False: there is none.
  [[nodiscard]] bool take_port();
  void enter_port();
  // It goes on to show it.
  void leave_port();
  [[nodiscard]] bool has_port() const { return link_ != nullptr; }
  // Gives back one that bind did not choose.
  void release_port() {
    if (!port_chosen_) leave_port();
  }
  [[nodiscard]] virtual bool may_bind() const { return state_ == State::kUnconnected; }
  // As if it had never been connected: port and address go unless bind chose them.
  enum class KeepPort : bool { kNo, kYes };
  void forget_connection(KeepPort keep = KeepPort::kNo);
  [[nodiscard]] bool conflicts(const Endpoint& wanted) const;
  // The destination that a program named. Errors: also kENETUNREACH, kEACCES (broadcast).
  [[nodiscard]] files::ErrnoOr<Endpoint> destination(const SocketAddress& address, u64 bytes) const;
  // Its side of an exchange with that one.
  [[nodiscard]] Endpoint source_for(const Endpoint& to) const;
  virtual void corking_ended() {}

  Endpoint local_;
  Endpoint remote_;
  InetNumbers numbers_;
  InetGroups groups_;

 private:
  [[nodiscard]] bool in_conflict(const InetSocket& other, const Endpoint& wanted) const;
  i64 change_group(u32 option, u64 address, i32 bytes);
  i64 set_group_interface(i32 level, u64 address, i32 bytes);

  InetSocket* next_ = nullptr;
  InetSocket** link_ = nullptr;  // null: no port
  bool address_chosen_ = false;
  bool port_chosen_ = false;

  static InetSocket* g_ports[kBuckets];
};

}  // namespace nopte::guest::net
