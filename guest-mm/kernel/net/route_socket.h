// AF_NETLINK with NETLINK_ROUTE: which interfaces and addresses there are (netlink(7), rtnetlink(7)), as
// getifaddrs and if_nameindex ask. There is the loopback, and nothing can be changed.
#pragma once

#include <boost/intrusive/set_hook.hpp>

#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest::net {

class RouteSocket final : public Socket, public boost::intrusive::set_base_hook<> {
 public:
  explicit RouteSocket(Type socket_type);

  i64 bind(const SocketAddress& address, u64 bytes) override;
  i64 listen(u32) override { return -kEOPNOTSUPP; }
  i64 connect(const SocketAddress& address, u64 bytes, u32 flags) override;
  i64 shut_down(u32) override { return -kEOPNOTSUPP; }
  i64 send(Sending& message) override;
  i64 receive(Receiving& message) override;
  i64 set_option(i32 level, u32 option, u64 address, i32 bytes) override;
  u32 poll() override;
  i64 own_address(SocketAddress& out) const override;
  i64 peer_address(SocketAddress& out) const override;
  // 0: none yet.
  [[nodiscard]] u32 number() const { return number_; }
  // So much waits that nothing more is to be asked of it.
  [[nodiscard]] bool overfull() const { return records_.charged() >= options.receive_buffer; }
  // A message of the kernel's, of these bytes, for give(). Null: no memory.
  [[nodiscard]] Record* make_notice(u64 bytes);
  // Takes over what make_notice() made, however much waits.
  void give(Record* notice);

 private:
  void leave() override;
  [[nodiscard]] bool deaf() const override { return closed_; }
  // A number that no other has: the process's, if it is free.
  void take_free_number();
  void take_number(u32 number);
  // Answers what `header` asks: all of a kind, and that this was all. False: no memory, or too many answers
  // wait already.
  [[nodiscard]] bool list(u16 asked_type, u8 wanted_family, const void* header);
  // Answers one message. False: the same.
  [[nodiscard]] bool handle(const char* message, u32 bytes);
  [[nodiscard]] bool queue_answer(const char* answer, u32 bytes);

  u32 number_ = 0;
  u32 groups_ = 0;
  Ref<Name> kernel_;  // whose answers come from
};

}  // namespace nopte::guest::net
