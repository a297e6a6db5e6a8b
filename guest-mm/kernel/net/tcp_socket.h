// TCP of AF_INET and AF_INET6 without segments: a connection is a pair of sockets (net/ipv4/tcp.c of
// Linux 6.12 says what programs see).
#pragma once

#include <boost/intrusive/list.hpp>

#include "guest-mm/kernel/net/inet_socket.h"

namespace nopte::guest::net {

class TcpSocket final : public InetSocket, public boost::intrusive::list_base_hook<> {
 public:
  explicit TcpSocket(u16 socket_family);

  i64 listen(u32 backlog) override;
  i64 connect(const SocketAddress& address, u64 bytes, u32 flags) override;
  i64 shut_down(u32 how) override;
  i64 send(Sending& message) override;
  i64 receive(Receiving& message) override;
  i64 ioctl(u32 request, u64 argument) override;
  u32 poll() override;
  i64 peer_address(SocketAddress& out) const override;

 private:
  [[nodiscard]] TcpSocket* other() const { return static_cast<TcpSocket*>(peer.get()); }
  void leave() override;
  [[nodiscard]] bool deaf() const override { return closed_; }
  [[nodiscard]] u64 room_to(const Socket& to) const override;
  i64 broken(const Sending& message) override;
  void deliver(Socket& to, Record* record, Sending& message) override;
  bool pull() override;
  void corking_ended() override { uncork(); }

  // tcp_connect.cc
  i64 disconnect();
  i64 end_connecting();
  // Waits for the end of it, and tells that; `unfinished` when there is none yet.
  i64 finish_connecting(u32 flags, Errno unfinished);
  void be_refused(Endpoint from);
  i64 refused(const Endpoint& from, u32 flags);
  void be_connected(TcpSocket& listener, Ref<TcpSocket> end);
  // Until it is connected or refused. 0, or what wait() says.
  i64 await_connection(u32 flags, u64 deadline_ns);
  void wait_for(TcpSocket& listener, Ref<TcpSocket> end);
  void stop_waiting();
  void room_for_pending() override;
  void refuse_waiting();
  // Of a listener: as Linux, one more than the backlog is queued.
  [[nodiscard]] bool is_full() const { return pending_ > backlog_; }
  // The listener that a connection to this address is for; null: none.
  static TcpSocket* find_listener(const Endpoint& to);
  // Whether a socket is connected so, or waits to be.
  [[nodiscard]] bool connected_from(const Endpoint& from, const Endpoint& to) const;
  // A reset came: what is queued can be read, then `error` is told.
  void be_reset(Errno error);
  // Gives what it holds back (MSG_MORE, TCP_CORK) to its peer; whether there was any.
  bool uncork();

  // The record whose last byte is out of band; null: none. There is one at most.
  Record* marked_record();
  // The record's last byte is, from now on.
  void mark(Record& record);
  i64 receive_out_of_band(Receiving& message);

  // The other side sends no more.
  void hear_end();
  // Whether both sides have said that, or there is none.
  [[nodiscard]] bool over() const { return !peer || (ended_ && shut_ & kNoSend); }
  [[nodiscard]] bool may_bind() const override {
    return state_ == State::kUnconnected || (state_ == State::kConnected && over());
  }

  bool ended_ = false;
  bool connecting_ = false;                    // connect() was not waited for, and its end not told
  Ref<TcpSocket> wanted_;                      // the listener that it waits for; then it is connecting
  Ref<TcpSocket> end_;                         // and what will be the other side
  boost::intrusive::list<TcpSocket> waiting_;  // of a listener, in their order; they hold it
  RecordQueue corked_;
  u64 corked_ns_ = 0;  // since when
};

}  // namespace nopte::guest::net
