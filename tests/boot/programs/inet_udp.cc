// UDP through the loopback. Prints the same on Linux.
#include "tests/boot/programs/inet_checks.h"

namespace {

void datagrams() {
  check("there and back", [] {
    for (const char* text : {"127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::"}) {
      const int server = bound_socket(SOCK_DGRAM, text);
      const InetAddress at = own_address(server);
      const int client = socket(at.storage.ss_family, SOCK_DGRAM, 0);
      CHECK(own_address(client).port() == 0 && events_of(client) == POLLOUT);
      CHECK(sendto(client, "hello", 5, 0, at.get(), at.bytes) == 5 && own_address(client).port() != 0);
      CHECK(events_of(server) == (POLLIN | POLLOUT));
      char buffer[16];
      InetAddress from;
      CHECK(recvfrom(server, buffer, 3, MSG_PEEK | MSG_TRUNC, from.get(), &from.bytes) == 5);
      CHECK(from.port() == own_address(client).port());
      printf("%s: from %s, %u bytes of address\n", text, from.text().c_str(), from.bytes);
      CHECK(recv(server, buffer, 16, 0) == 5 && sendto(server, "yes", 3, 0, from.get(), from.bytes) == 3);
      CHECK(read(client, buffer, 16) == 3);
      CHECK(connect(client, at.get(), at.bytes) == 0 && write(client, "", 0) == 0 &&
            write(client, "two", 3) == 3);
      printf("  connected: %s to %s\n", own_address(client).text().c_str(),
             peer_address(client).text().c_str());
      CHECK(read(server, buffer, 16) == 0 && read(server, buffer, 16) == 3);
      CHECK_ERRNO(recv(server, buffer, 16, MSG_DONTWAIT), EAGAIN);
      CHECK(close(client) == 0 && close(server) == 0);
    }
  });
  check("IPv4 and IPv6 with each other", [] {
    const int six = bound_socket(SOCK_DGRAM, "::");
    const int four = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress to = inet_address("127.0.0.1", own_address(six).port());
    CHECK(sendto(four, "x", 1, 0, to.get(), to.bytes) == 1);
    char byte;
    InetAddress from;
    CHECK(recvfrom(six, &byte, 1, 0, from.get(), &from.bytes) == 1 && from.text() == "::ffff:127.0.0.1");
    CHECK(sendto(six, "y", 1, 0, from.get(), from.bytes) == 1);
    from.bytes = sizeof from.storage;
    CHECK(recvfrom(four, &byte, 1, 0, from.get(), &from.bytes) == 1 && byte == 'y' &&
          from.text() == "127.0.0.1");
    CHECK(close(six) == 0 && close(four) == 0);
  });
  check("who is meant", [] {
    const int any = bound_socket(SOCK_DGRAM, "0.0.0.0");
    const InetAddress at = inet_address("127.0.0.1", own_address(any).port());
    const int special = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(set_option(any, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
    CHECK(set_option(special, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && bind(special, at.get(), at.bytes) == 0);
    const int client = connected_socket(at, SOCK_DGRAM);
    const int other = bound_socket(SOCK_DGRAM, "127.0.0.1");
    char byte;
    CHECK(write(client, "a", 1) == 1 && recv(special, &byte, 1, MSG_DONTWAIT) == 1);
    CHECK_ERRNO(recv(any, &byte, 1, MSG_DONTWAIT), EAGAIN);
    // Who is connected hears its peer alone.
    const InetAddress to = own_address(client);
    CHECK(sendto(other, "b", 1, 0, to.get(), to.bytes) == 1);
    CHECK_ERRNO(recv(client, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(sendto(special, "c", 1, 0, to.get(), to.bytes) == 1 && recv(client, &byte, 1, MSG_DONTWAIT) == 1);
    const InetAddress far = inet_address("127.9.9.9", at.port());
    CHECK(sendto(other, "d", 1, 0, far.get(), far.bytes) == 1 && recv(any, &byte, 1, MSG_DONTWAIT) == 1);
    for (const int made : {any, special, client, other}) {
      CHECK(close(made) == 0);
    }
  });
  check("nobody there", [] {
    const int gone = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress at = own_address(gone);
    CHECK(close(gone) == 0);
    const int loose = socket(AF_INET, SOCK_DGRAM, 0);
    char byte;
    CHECK(sendto(loose, "x", 1, 0, at.get(), at.bytes) == 1);
    CHECK_ERRNO(recv(loose, &byte, 1, MSG_DONTWAIT), EAGAIN);
    const int made = connected_socket(at, SOCK_DGRAM);
    CHECK(write(made, "x", 1) == 1);
    printf("refused:%s\n", event_names(made).c_str());
    CHECK_ERRNO(read(made, &byte, 1), ECONNREFUSED);
    CHECK(write(made, "x", 1) == 1);
    CHECK_ERRNO(write(made, "x", 1), ECONNREFUSED);
    CHECK(write(made, "x", 1) == 1 && option_of(made, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
    CHECK_ERRNO(recv(made, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(close(loose) == 0 && close(made) == 0);
  });
  check("errors", [] {
    const int made = socket(AF_INET, SOCK_DGRAM, 0);
    const InetAddress to = inet_address("127.0.0.1", 9);
    const InetAddress nowhere = inet_address("127.0.0.1", 0);
    const InetAddress six = inet_address("::1", 9);
    char byte;
    CHECK_ERRNO(send(made, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERRNO(sendto(made, "x", 1, 0, to.get(), 15), EINVAL);
    CHECK_ERRNO(sendto(made, "x", 1, 0, to.get(), static_cast<socklen_t>(-1)), EINVAL);
    CHECK_ERRNO(sendto(made, "x", 1, 0, reinterpret_cast<sockaddr*>(8), 16), EFAULT);
    CHECK_ERRNO(sendto(made, "x", 1, 0, six.get(), six.bytes), EAFNOSUPPORT);
    CHECK_ERRNO(sendto(made, "x", 1, 0, nowhere.get(), nowhere.bytes), EINVAL);
    CHECK_ERRNO(sendto(made, "x", 1, MSG_OOB, to.get(), to.bytes), EOPNOTSUPP);
    CHECK_ERRNO(sendto(made, reinterpret_cast<char*>(8), 1, 0, to.get(), to.bytes), EFAULT);
    const std::string big(128 << 10, 'x');
    CHECK_ERRNO(sendto(made, big.data(), big.size(), 0, to.get(), to.bytes), EMSGSIZE);
    CHECK_ERRNO(sendto(made, big.data(), 65508, 0, to.get(), to.bytes), EMSGSIZE);
    CHECK(sendto(made, big.data(), 65507, 0, to.get(), to.bytes) == 65507);
    const InetAddress all = inet_address("255.255.255.255", 9);
    CHECK_ERRNO(connect(made, all.get(), all.bytes), EACCES);
    CHECK_ERRNO(sendto(made, "x", 1, 0, all.get(), all.bytes), EACCES);
    CHECK_ERRNO(listen(made, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(made, nullptr, nullptr), EOPNOTSUPP);
    InetAddress none;
    CHECK_ERRNO(getpeername(made, none.get(), &none.bytes), ENOTCONN);
    CHECK_ERRNO(shutdown(made, SHUT_WR), ENOTCONN);
    CHECK_ERRNO(recv(made, &byte, 1, MSG_DONTWAIT | MSG_ERRQUEUE), EAGAIN);
    CHECK(close(made) == 0);
  });
  check("shutdown, and no peer any more", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const int made = connected_socket(own_address(server), SOCK_DGRAM);
    char byte;
    CHECK(shutdown(made, SHUT_WR) == 0);
    CHECK_ERRNO(write(made, "x", 1), EPIPE);
    printf("no writing:%s\n", event_names(made).c_str());
    CHECK(shutdown(made, SHUT_RD) == 0 && read(made, &byte, 1) == 0);
    printf("nor reading:%s\n", event_names(made).c_str());
    CHECK(close(made) == 0);
    const int other = connected_socket(own_address(server), SOCK_DGRAM);
    sockaddr none{};
    none.sa_family = AF_UNSPEC;
    CHECK(connect(other, &none, sizeof none) == 0 && own_address(other).text() == "0.0.0.0");
    CHECK_ERRNO(write(other, "x", 1), EDESTADDRREQ);
    InetAddress nobody;
    CHECK_ERRNO(getpeername(other, nobody.get(), &nobody.bytes), ENOTCONN);
    CHECK(close(other) == 0 && close(server) == 0);
  });
  check("a datagram in parts", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const int made = connected_socket(own_address(server), SOCK_DGRAM);
    char buffer[32];
    CHECK(send(made, "0123", 4, MSG_MORE) == 4 && send(made, "456", 3, MSG_MORE) == 3);
    CHECK_ERRNO(recv(server, buffer, 32, MSG_DONTWAIT), EAGAIN);
    CHECK(send(made, "!", 1, 0) == 1 && recv(server, buffer, 32, MSG_DONTWAIT) == 8);
    CHECK(memcmp(buffer, "0123456!", 8) == 0);
    CHECK(set_option(made, SOL_UDP, UDP_CORK, 1) == 0 && write(made, "ab", 2) == 2 &&
          write(made, "c", 1) == 1);
    CHECK_ERRNO(recv(server, buffer, 32, MSG_DONTWAIT), EAGAIN);
    CHECK(set_option(made, SOL_UDP, UDP_CORK, 0) == 0 && recv(server, buffer, 32, MSG_DONTWAIT) == 3);
    CHECK(close(made) == 0 && close(server) == 0);
  });
  check("many in one call", [] {
    const int server = bound_socket(SOCK_DGRAM, "127.0.0.1");
    const InetAddress at = own_address(server);
    const int made = socket(AF_INET, SOCK_DGRAM, 0);
    char text[3][8] = {"a", "bcd", "efghi"};
    iovec parts[3];
    mmsghdr headers[3] = {};
    InetAddress from[3];
    for (int i = 0; i < 3; ++i) {
      parts[i] = {text[i], strlen(text[i])};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_name = const_cast<sockaddr*>(at.get());
      headers[i].msg_hdr.msg_namelen = at.bytes;
    }
    CHECK(sendmmsg(made, headers, 3, 0) == 3 && headers[2].msg_len == 5);
    for (int i = 0; i < 3; ++i) {
      parts[i].iov_len = 4;
      headers[i].msg_hdr.msg_name = from[i].get();
      headers[i].msg_hdr.msg_namelen = sizeof from[i].storage;
    }
    timespec brief = {1, 0};
    CHECK(recvmmsg(server, headers, 3, 0, &brief) == 3 && headers[1].msg_len == 3 && headers[2].msg_len == 4);
    CHECK((headers[2].msg_hdr.msg_flags & MSG_TRUNC) != 0 && headers[1].msg_hdr.msg_flags == 0);
    CHECK(from[1].port() == own_address(made).port() &&
          headers[1].msg_hdr.msg_namelen == sizeof(sockaddr_in));
    CHECK_ERRNO(sendmmsg(-1, headers, 3, 0), EBADF);
    CHECK_ERRNO(sendmmsg(made, reinterpret_cast<mmsghdr*>(8), 3, 0), EFAULT);
    CHECK_ERRNO(recvmmsg(server, reinterpret_cast<mmsghdr*>(8), 3, MSG_DONTWAIT, nullptr), EFAULT);
    brief.tv_nsec = -1;
    CHECK_ERRNO(recvmmsg(server, headers, 3, MSG_DONTWAIT, &brief), EINVAL);
    CHECK_ERRNO(recvmmsg(server, headers, 3, MSG_DONTWAIT, reinterpret_cast<timespec*>(8)), EFAULT);
    CHECK(sendmmsg(made, headers, 0, 0) == 0);
    CHECK(close(made) == 0 && close(server) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  datagrams();
  return finish();
}
