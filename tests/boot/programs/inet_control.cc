// What sendmsg and recvmsg say of datagrams' headers and times, through the loopback. Prints the same on
// Linux.
#include <time.h>

#include "tests/boot/programs/inet_checks.h"

namespace {

struct Control {
  int level;
  int type;
  std::string data;
};

std::string as_bytes(int value, size_t bytes = sizeof(int)) {
  return std::string(reinterpret_cast<const char*>(&value), bytes);
}

// sendmsg of "x" with one control message, or without; what it answers.
ssize_t send_with(int made, const InetAddress& to, const Control* control) {
  char byte = 'x';
  iovec part = {&byte, 1};
  alignas(cmsghdr) char room[256] = {};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to.get());
  message.msg_namelen = to.bytes;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (control != nullptr) {
    auto* const header = reinterpret_cast<cmsghdr*>(room);
    *header = {CMSG_LEN(control->data.size()), control->level, control->type};
    memcpy(CMSG_DATA(header), control->data.data(), control->data.size());
    message.msg_control = room;
    message.msg_controllen = CMSG_SPACE(control->data.size());
  }
  return sendmsg(made, &message, 0);
}

// Prints what came with the next datagram: level, type, bytes.
void print_next(int made, size_t room_bytes = 256, int flags = 0) {
  char byte;
  iovec part = {&byte, 1};
  alignas(cmsghdr) char room[256] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = room_bytes;
  CHECK(recvmsg(made, &message, flags) == 1);
  printf("  %zu bytes, flags %x:", static_cast<size_t>(message.msg_controllen), message.msg_flags);
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    printf(" %d.%d", one->cmsg_level, one->cmsg_type);
    const bool port = one->cmsg_type == 20 || one->cmsg_type == 74;  // chosen by the kernel
    for (size_t i = 0; i < one->cmsg_len - CMSG_LEN(0) && one->cmsg_level != SOL_SOCKET; ++i) {
      printf("%c%02x", i == 0 ? '=' : '.', port && (i == 2 || i == 3) ? 0 : CMSG_DATA(one)[i]);
    }
  }
  printf("\n");
}

void ask_for_all(int made, bool six) {
  for (const int option : {IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_RECVORIGDSTADDR}) {
    CHECK(set_option(made, IPPROTO_IP, option, 1) == 0);
  }
  for (const int option : {IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, 74}) {
    CHECK(!six || set_option(made, IPPROTO_IPV6, option, 1) == 0);
  }
}

void received() {
  check("what recvmsg tells of IPv4", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress at = own_address(server);
    const int client = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(send_with(client, at, nullptr) == 1);
    print_next(server);
    CHECK(set_option(client, IPPROTO_IP, IP_TTL, 9) == 0 && set_option(client, IPPROTO_IP, IP_TOS, 8) == 0);
    CHECK(set_option(server, IPPROTO_IP, IP_PKTINFO, 1) == 0);
    CHECK(send_with(client, at, nullptr) == 1);
    ask_for_all(server, false);  // for the rest after it came
    print_next(server, 256, MSG_PEEK);
    print_next(server);
    CHECK(set_option(server, IPPROTO_IP, IP_RECVTTL, 0) == 0 && send_with(client, at, nullptr) == 1);
    print_next(server);
    CHECK(close(client) == 0 && close(server) == 0);
  });
  check("what recvmsg tells of IPv6, and of IPv4 there", [] {
    const int server = bound_socket(SOCK_DGRAM, "::");
    ask_for_all(server, true);
    const int six = socket(AF_INET6, SOCK_DGRAM, 0);
    const InetAddress at = inet_address("::1", own_address(server).port());
    CHECK(send_with(six, at, nullptr) == 1);
    print_next(server);
    CHECK(set_option(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7) == 0 &&
          set_option(six, IPPROTO_IPV6, IPV6_TCLASS, 40) == 0 && send_with(six, at, nullptr) == 1);
    print_next(server);
    const int four = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(send_with(four, inet_address("127.3.2.1", at.port()), nullptr) == 1);
    print_next(server);
    CHECK(close(six) == 0 && close(four) == 0 && close(server) == 0);
  });
  check("without room", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress at = own_address(server);
    ask_for_all(server, false);
    for (const size_t room : {0, 8, 16, 20, 28, 31, 32, 48, 51, 52, 56, 80, 100}) {
      CHECK(send_with(server, at, nullptr) == 1);
      print_next(server, room);
    }
    CHECK(close(server) == 0);
  });
}

void sent() {
  check("what sendmsg chooses", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const int six = bound_socket(SOCK_DGRAM, "::1");
    const InetAddress at = own_address(server), at_six = own_address(six);
    ask_for_all(server, false);
    ask_for_all(six, true);
    const Control ttl{IPPROTO_IP, IP_TTL, as_bytes(3)}, tos{IPPROTO_IP, IP_TOS, as_bytes(16)},
        short_tos{IPPROTO_IP, IP_TOS, as_bytes(32, 1)};
    for (const Control* one : {&ttl, &tos, &short_tos}) {
      CHECK(send_with(server, at, one) == 1);
      print_next(server);
    }
    CHECK(send_with(server, at, nullptr) == 1);
    print_next(server);
    const Control hops{IPPROTO_IPV6, IPV6_HOPLIMIT, as_bytes(5)},
        usual{IPPROTO_IPV6, IPV6_HOPLIMIT, as_bytes(-1)}, traffic{IPPROTO_IPV6, IPV6_TCLASS, as_bytes(99)};
    for (const Control* one : {&hops, &usual, &traffic}) {
      CHECK(send_with(six, at_six, one) == 1);
      print_next(six);
    }
    const int client = socket(AF_INET, SOCK_DGRAM, 0);
    in_pktinfo info{};
    inet_pton(AF_INET, "127.5.5.5", &info.ipi_spec_dst);
    const Control from{IPPROTO_IP, IP_PKTINFO,
                       std::string(reinterpret_cast<const char*>(&info), sizeof info)};
    CHECK(send_with(client, at, &from) == 1);
    char byte;
    InetAddress told;
    CHECK(recvfrom(server, &byte, 1, 0, told.get(), &told.bytes) == 1);
    printf("  from %s\n", told.text().c_str());
    CHECK(close(server) == 0 && close(six) == 0 && close(client) == 0);
  });
  check("what sendmsg refuses", [] {
    const int four = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const int six = bound_socket(SOCK_DGRAM, "::1");
    const Control wrong[] = {{IPPROTO_IP, IP_TTL, as_bytes(0)},     {IPPROTO_IP, IP_TTL, as_bytes(256)},
                             {IPPROTO_IP, IP_TTL, as_bytes(1, 1)},  {IPPROTO_IP, IP_TOS, as_bytes(256)},
                             {IPPROTO_IP, IP_TOS, as_bytes(-1)},    {IPPROTO_IP, IP_TOS, as_bytes(1, 2)},
                             {IPPROTO_IP, IP_PKTINFO, as_bytes(0)}, {IPPROTO_IP, 99, as_bytes(0)}};
    for (const Control& one : wrong) {
      CHECK_ERRNO(send_with(four, own_address(four), &one), EINVAL);
    }
    const Control wrong_six[] = {
        {IPPROTO_IPV6, IPV6_HOPLIMIT, as_bytes(-2)},    {IPPROTO_IPV6, IPV6_HOPLIMIT, as_bytes(256)},
        {IPPROTO_IPV6, IPV6_HOPLIMIT, as_bytes(1, 1)},  {IPPROTO_IPV6, IPV6_TCLASS, as_bytes(256)},
        {IPPROTO_IPV6, IPV6_TCLASS, as_bytes(7) + "x"}, {IPPROTO_IPV6, IPV6_DONTFRAG, as_bytes(2)},
        {IPPROTO_IPV6, IPV6_PKTINFO, as_bytes(0)},      {IPPROTO_IPV6, 99, as_bytes(0)}};
    for (const Control& one : wrong_six) {
      CHECK_ERRNO(send_with(six, own_address(six), &one), EINVAL);
    }
    // Other levels' are nobody's.
    const Control other{IPPROTO_IPV6, IPV6_TCLASS, as_bytes(256)};
    CHECK(send_with(four, own_address(four), &other) == 1);
    CHECK(close(four) == 0 && close(six) == 0);
  });
}

void times() {
  check("when it came", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress at = own_address(server);
    for (const int option : {SO_TIMESTAMP, SO_TIMESTAMPNS}) {
      CHECK(set_option(server, SOL_SOCKET, option, 1) == 0);
      printf("%d: %d %d\n", option, option_of(server, SOL_SOCKET, SO_TIMESTAMP),
             option_of(server, SOL_SOCKET, SO_TIMESTAMPNS));
      CHECK(send_with(server, at, nullptr) == 1);
      print_next(server, 256, MSG_PEEK);
      timespec after;
      CHECK(clock_gettime(CLOCK_REALTIME, &after) == 0);
      char byte;
      iovec part = {&byte, 1};
      alignas(cmsghdr) char room[64];
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = room;
      message.msg_controllen = sizeof room;
      CHECK(recvmsg(server, &message, 0) == 1);
      long stamp[2];
      memcpy(stamp, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof stamp);
      const long sub = option == SO_TIMESTAMP ? after.tv_nsec / 1000 : after.tv_nsec;
      CHECK(stamp[0] < after.tv_sec || (stamp[0] == after.tv_sec && stamp[1] <= sub));
      CHECK(stamp[0] + 60 > after.tv_sec);
    }
    CHECK(set_option(server, SOL_SOCKET, SO_TIMESTAMP, 0) == 0);
    printf("off: %d %d\n", option_of(server, SOL_SOCKET, SO_TIMESTAMP),
           option_of(server, SOL_SOCKET, SO_TIMESTAMPNS));
    CHECK(close(server) == 0);
  });
  check("when it came, AF_UNIX", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    CHECK(write(ends[0], "a", 1) == 1 && set_option(ends[1], SOL_SOCKET, SO_TIMESTAMP, 1) == 0);
    CHECK(write(ends[0], "b", 1) == 1);
    print_next(ends[1]);
    print_next(ends[1]);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  received();
  sent();
  times();
  return finish();
}
