// Which sockets there are, and the options of those of AF_INET and AF_INET6. Prints the same on Linux.
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/inet_checks.h"

namespace {

const char* answer(int made) {
  if (made >= 0) {
    CHECK(close(made) == 0);
    return "there";
  }
  return strerrorname_np(errno);
}

void kinds() {
  check("families, types, protocols", [] {
    for (const int family : {0, AF_UNIX, AF_INET, AF_INET6, 46, 99, -1}) {
      for (const int type : std::initializer_list<int>{0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM,
                                                       SOCK_SEQPACKET, SOCK_DCCP, 11, 75}) {
        for (const int protocol : {0, 1, 6, 17, 136, 262, 263, -1}) {
          const bool inet = family == AF_INET || family == AF_INET6;
          // Root's raw sockets, ICMP and MPTCP depend on what is built in.
          if (inet && ((type == SOCK_RAW && protocol != 0 && protocol != 263 && protocol != -1) ||
                       protocol == 262 || (type == SOCK_DGRAM && protocol == 1) || type == SOCK_DCCP)) {
            continue;
          }
          printf("%d %d %d: %s", family, type, protocol, answer(socket(family, type, protocol)));
          int ends[2];
          const int pair = socketpair(family, type, protocol, ends);
          printf(", pair %s\n", pair == 0 ? "there" : strerrorname_np(errno));
          CHECK(pair != 0 || (close(ends[0]) == 0 && close(ends[1]) == 0));
        }
      }
    }
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM | 0x100, 0), EINVAL);
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fcntl(made, F_GETFD) == FD_CLOEXEC && (fcntl(made, F_GETFL) & O_NONBLOCK) != 0 && close(made) == 0);
    const int status = status_of_child([] {
      CHECK(setuid(1000) == 0);
      printf("raw: %s", answer(socket(AF_INET, SOCK_RAW, 0)));
      printf(", ICMP %s", answer(socket(AF_INET, SOCK_RAW, 1)));
      printf(", v6 %s\n", answer(socket(AF_INET6, SOCK_RAW, 58)));
      fflush(stdout);
    });
    CHECK(status == 0);
  });
}

void show(int made, int level, int option, const char* name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  if (getsockopt(made, level, option, &value, &bytes) == 0) {
    printf(" %s=%d(%u)", name, value, bytes);
  } else {
    printf(" %s:%s", name, strerrorname_np(errno));
  }
}
void change(int made, int level, int option, int value) {
  if (set_option(made, level, option, value) == 0) {
    printf(" %d:", value);
    show(made, level, option, "");
  } else {
    printf(" %d:%s", value, strerrorname_np(errno));
  }
}

void options() {
  struct Option {
    int level, option;
    const char* name;
  };
  static constexpr Option kOptions[] = {{SOL_SOCKET, SO_TYPE, "SO_TYPE"},
                                        {SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL"},
                                        {SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"},
                                        {SOL_SOCKET, SO_ERROR, "SO_ERROR"},
                                        {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
                                        {SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"},
                                        {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"},
                                        {SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST"},
                                        {SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE"},
                                        {SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE"},
                                        {SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY"},
                                        {SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT"},
                                        {SOL_SOCKET, SO_SNDLOWAT, "SO_SNDLOWAT"},
                                        {SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN"},
                                        {SOL_SOCKET, SO_MARK, "SO_MARK"},
                                        {SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP"},
                                        {SOL_TCP, TCP_NODELAY, "TCP_NODELAY"},
                                        {SOL_TCP, TCP_CORK, "TCP_CORK"},
                                        {SOL_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE"},
                                        {SOL_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL"},
                                        {SOL_TCP, TCP_KEEPCNT, "TCP_KEEPCNT"},
                                        {SOL_TCP, TCP_SYNCNT, "TCP_SYNCNT"},
                                        {SOL_TCP, TCP_LINGER2, "TCP_LINGER2"},
                                        {SOL_TCP, TCP_QUICKACK, "TCP_QUICKACK"},
                                        {SOL_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
                                        {SOL_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
                                        {SOL_TCP, TCP_MAXSEG, "TCP_MAXSEG"},
                                        {SOL_TCP, -1, "TCP_?"},
                                        {SOL_UDP, UDP_CORK, "UDP_CORK"},
                                        {SOL_IP, IP_TOS, "IP_TOS"},
                                        {SOL_IP, IP_TTL, "IP_TTL"},
                                        {SOL_IP, IP_PKTINFO, "IP_PKTINFO"},
                                        {SOL_IP, IP_RECVERR, "IP_RECVERR"},
                                        {SOL_IP, IP_RECVTTL, "IP_RECVTTL"},
                                        {SOL_IP, IP_RECVTOS, "IP_RECVTOS"},
                                        {SOL_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER"},
                                        {SOL_IP, IP_FREEBIND, "IP_FREEBIND"},
                                        {SOL_IP, IP_TRANSPARENT, "IP_TRANSPARENT"},
                                        {SOL_IP, IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
                                        {SOL_IP, IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
                                        {SOL_IP, IP_MTU, "IP_MTU"},
                                        {SOL_IP, -1, "IP_?"},
                                        {SOL_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"},
                                        {SOL_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
                                        {SOL_IPV6, IPV6_TCLASS, "IPV6_TCLASS"},
                                        {SOL_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
                                        {SOL_IPV6, IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"},
                                        {SOL_IPV6, 999, "IPV6_?"},
                                        {500, SO_OOBINLINE, "level 500"},
                                        {SOL_UDP, 999, "UDP_?"}};
  check("what they are at first", [] {
    for (const int family : {AF_INET, AF_INET6}) {
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const int made = socket(family, type, 0);
        printf("%d %d:", family, type);
        for (const Option& one : kOptions) {
          show(made, one.level, one.option, one.name);
        }
        printf("\n");
        CHECK(close(made) == 0);
      }
    }
  });
  check("what they can be", [] {
    for (const int family : {AF_INET, AF_INET6}) {
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const int made = socket(family, type, 0);
        for (const Option& one : kOptions) {
          if (one.option == TCP_DEFER_ACCEPT && one.level == SOL_TCP) {
            continue;  // seconds, in Linux's timeouts
          }
          printf("%d %d %s:", family, type, one.name);
          for (const int value : {1, 0, 2, 200, -1, 256, 40000}) {
            const bool not_told_plainly =
                (one.level == SOL_TCP &&
                 (one.option == TCP_LINGER2 || one.option == TCP_MAXSEG || one.option == TCP_QUICKACK)) ||
                (one.level == SOL_IP && one.option == IP_TOS) ||
                (one.level == SOL_SOCKET && one.option == SO_RCVLOWAT);
            if (!not_told_plainly || value == 1) {
              change(made, one.level, one.option, value);
            }
          }
          printf("\n");
        }
        CHECK(close(made) == 0);
      }
    }
  });
  check("lengths and places", [] {
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    int value = 1;
    for (const Option& one : {Option{SOL_SOCKET, SO_OOBINLINE, ""}, Option{SOL_TCP, TCP_NODELAY, ""},
                              Option{SOL_IP, IP_TTL, ""}, Option{SOL_IP, IP_RECVERR, ""}}) {
      CHECK_ERRNO(setsockopt(made, one.level, one.option, nullptr, 4), EFAULT);
      CHECK_ERRNO(setsockopt(made, one.level, one.option, &value, static_cast<socklen_t>(-1)), EINVAL);
      printf("no byte: %d, one byte: %d\n", setsockopt(made, one.level, one.option, &value, 0),
             setsockopt(made, one.level, one.option, &value, 1));
      socklen_t bytes = 4;
      CHECK_ERRNO(getsockopt(made, one.level, one.option, nullptr, &bytes), EFAULT);
      CHECK_ERRNO(getsockopt(made, one.level, one.option, &value, nullptr), EFAULT);
      bytes = 1;
      CHECK(getsockopt(made, one.level, one.option, &value, &bytes) == 0 && bytes == 1);
      bytes = static_cast<socklen_t>(-1);
      CHECK_ERRNO(getsockopt(made, one.level, one.option, &value, &bytes), EINVAL);
    }
    CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT);
    CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
    CHECK_ERRNO(set_option(0, SOL_SOCKET, SO_REUSEADDR, 1), ENOTSOCK);
    CHECK_ERRNO(set_option(99, SOL_SOCKET, SO_REUSEADDR, 1), EBADF);
    const unsigned huge = 0xffffff00;
    unsigned got = 0;
    socklen_t bytes = sizeof got;
    CHECK(setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &huge, sizeof huge) == 0);
    CHECK(getsockopt(made, SOL_SOCKET, SO_SNDBUF, &got, &bytes) == 0 && static_cast<int>(got) > 0);
    char name[16] = {};
    bytes = sizeof name;
    CHECK(getsockopt(made, SOL_TCP, TCP_CONGESTION, name, &bytes) == 0 && bytes == 16 && name[0] != 0);
    CHECK(setsockopt(made, SOL_TCP, TCP_CONGESTION, name, static_cast<socklen_t>(strlen(name))) == 0);
    CHECK_ERRNO(setsockopt(made, SOL_TCP, TCP_CONGESTION, "nothing", 7), ENOENT);
    tcp_info info{};
    bytes = sizeof info;
    CHECK(getsockopt(made, SOL_TCP, TCP_INFO, &info, &bytes) == 0 && info.tcpi_state == TCP_CLOSE);
    ucred peer{};
    bytes = sizeof peer;
    CHECK(getsockopt(made, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid == 0 && peer.uid == ~0u);
    linger wait = {1, 7};
    CHECK(setsockopt(made, SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0);
    wait = {};
    bytes = sizeof wait;
    CHECK(getsockopt(made, SOL_SOCKET, SO_LINGER, &wait, &bytes) == 0 && wait.l_onoff == 1 &&
          wait.l_linger == 7);
    timeval time = {3, 500000};
    CHECK(setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) == 0);
    time = {};
    bytes = sizeof time;
    CHECK(getsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &time, &bytes) == 0 && time.tv_sec == 3 &&
          time.tv_usec == 500000);
    time.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time), EDOM);
    CHECK(close(made) == 0);
  });
  check("what is inherited, and what is root's", [] {
    const int listener = bound_socket(SOCK_STREAM, "127.0.0.1");
    CHECK(set_option(listener, SOL_TCP, TCP_NODELAY, 1) == 0 &&
          set_option(listener, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    CHECK(listen(listener, 1) == 0 && option_of(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    const int client = connected_socket(own_address(listener));
    const int accepted = accept(listener, nullptr, nullptr);
    CHECK(option_of(accepted, SOL_TCP, TCP_NODELAY) == 1 &&
          option_of(accepted, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option_of(accepted, SOL_SOCKET, SO_ACCEPTCONN) == 0 && option_of(accepted, SOL_IP, IP_MTU) > 0);
    CHECK(close(accepted) == 0 && close(client) == 0 && close(listener) == 0);
    const int status = status_of_child([] {
      CHECK(setuid(1000) == 0);
      const int made = socket(AF_INET, SOCK_STREAM, 0);
      CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_SNDBUFFORCE, 10000), EPERM);
      CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_DEBUG, 1), EACCES);
      CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_PRIORITY, 7), EPERM);
      CHECK(set_option(made, SOL_SOCKET, SO_PRIORITY, 6) == 0);
      CHECK_ERRNO(set_option(made, SOL_SOCKET, SO_MARK, 1), EPERM);
      CHECK_ERRNO(set_option(made, SOL_IP, IP_TRANSPARENT, 1), EPERM);
    });
    CHECK(status == 0);
  });
  check("the interface of groups", [] {
    const int four = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0);
    const int stream = socket(AF_INET, SOCK_STREAM, 0);
    ip_mreqn request{};
    const auto set = [&](const void* from, socklen_t bytes) {
      return setsockopt(four, SOL_IP, IP_MULTICAST_IF, from, bytes);
    };
    const auto is = [&](const char* text) {
      in_addr now{};
      socklen_t bytes = sizeof now;
      CHECK(getsockopt(four, SOL_IP, IP_MULTICAST_IF, &now, &bytes) == 0 && bytes == sizeof now);
      return inet_address(text, 0).text() == std::string(inet_ntoa(now));
    };
    CHECK(is("0.0.0.0"));
    CHECK(inet_pton(AF_INET, "127.1.2.3", &request.imr_address) == 1);
    CHECK(set(&request.imr_address, sizeof(in_addr)) == 0 && is("127.1.2.3"));
    CHECK(inet_pton(AF_INET, "127.0.0.1", &request.imr_address) == 1);
    CHECK(set(&request, sizeof(ip_mreq)) == 0 && is("127.0.0.1"));
    CHECK_ERRNO(set(&request, 3), EINVAL);
    CHECK_ERRNO(set(reinterpret_cast<void*>(16), 4), EFAULT);
    request.imr_address = {};
    CHECK(set(&request, 4) == 0 && is("0.0.0.0"));
    request.imr_ifindex = 77;
    CHECK_ERRNO(set(&request, sizeof request), EADDRNOTAVAIL);
    request.imr_ifindex = 1;
    CHECK(set(&request, sizeof request) == 0 && is("0.0.0.0"));
    CHECK(inet_pton(AF_INET, "203.0.113.9", &request.imr_address) == 1);
    CHECK_ERRNO(set(&request.imr_address, sizeof(in_addr)), EADDRNOTAVAIL);
    CHECK_ERRNO(setsockopt(stream, SOL_IP, IP_MULTICAST_IF, &request, 4), EINVAL);
    CHECK(option_of(six, SOL_IPV6, IPV6_MULTICAST_IF) == 0 &&
          set_option(six, SOL_IPV6, IPV6_MULTICAST_IF, 1) == 0);
    CHECK(option_of(six, SOL_IPV6, IPV6_MULTICAST_IF) == 1 &&
          set_option(six, SOL_IPV6, IPV6_MULTICAST_IF, 0) == 0);
    CHECK_ERRNO(set_option(six, SOL_IPV6, IPV6_MULTICAST_IF, 77), ENODEV);
    CHECK(close(four) == 0 && close(six) == 0 && close(stream) == 0);
  });
  check("groups", [] {
    const int made = bound_socket(SOCK_DGRAM, "127.0.0.1");
    ip_mreqn request{};
    request.imr_ifindex = 1;  // the loopback
    CHECK(inet_pton(AF_INET, "10.0.0.1", &request.imr_multiaddr) == 1);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), EINVAL);
    CHECK(inet_pton(AF_INET, "224.0.0.77", &request.imr_multiaddr) == 1);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_DROP_MEMBERSHIP, &request, sizeof request), EADDRNOTAVAIL);
    CHECK(setsockopt(made, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), EADDRINUSE);
    CHECK(setsockopt(made, SOL_IP, IP_DROP_MEMBERSHIP, &request, sizeof request) == 0);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_ADD_MEMBERSHIP, &request, 7), EINVAL);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_MSFILTER, &request, 8), EINVAL);
    CHECK_ERRNO(setsockopt(made, SOL_IP, IP_MSFILTER, &request, 0), EINVAL);
    CHECK(close(made) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  kinds();
  options();
  return finish();
}
