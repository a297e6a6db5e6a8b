// UDP and UDP-Lite of AF_INET and AF_INET6 (net/ipv4/udp.c of Linux 6.12 says what programs see).
#pragma once

#include "guest-mm/kernel/net/inet_socket.h"

namespace nopte::guest::net {

class UdpSocket final : public InetSocket {
 public:
  UdpSocket(u16 socket_family, u16 socket_protocol)
      : InetSocket(socket_family, Type::kDatagram, socket_protocol) {}

  i64 listen(u32) override { return -kEOPNOTSUPP; }
  i64 connect(const SocketAddress& address, u64 bytes, u32 flags) override;
  i64 shut_down(u32 how) override;
  i64 send(Sending& message) override;
  i64 receive(Receiving& message) override;
  u32 poll() override;
  void tell(MessageHeader& header, Receiving& message) override;
  i64 peer_address(SocketAddress& out) const override;

 private:
  void leave() override;
  [[nodiscard]] bool deaf() const override { return closed_; }
  void corking_ended() override;

  [[nodiscard]] files::ErrnoOr<Endpoint> destination_of(const Sending& message) const;
  // Who gets what goes from here to there; null: nobody.
  static UdpSocket* find_receiver(u16 protocol, const Endpoint& from, const Endpoint& to);
  // Takes the record in any case.
  void transmit(Record* record, const Endpoint& to, const PacketChoice& choice);
  // How the receiver is told where it comes from, and how; null: no memory.
  Ref<Origin> origin_for(u16 family, const Endpoint& from, const Endpoint& to, const PacketChoice& choice);

  Record* corked_ = nullptr;  // MSG_MORE, UDP_CORK: a datagram that grows
  Endpoint corked_to_;
  PacketChoice corked_choice_;
  Ref<Origin> last_origin_;  // what most datagrams share
  u32 last_changes_ = 0;     // of numbers_, when that was made
};

}  // namespace nopte::guest::net
