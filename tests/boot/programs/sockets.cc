// Sockets of AF_UNIX: pairs, names, messages.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include "tests/boot/programs/socket_checks.h"

namespace {

void streams() {
  check("a pair of streams", [] {
    int ends[2];
    char buffer[16] = {};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct stat info;
    CHECK(fstat(ends[0], &info) == 0 && S_ISSOCK(info.st_mode));
    CHECK(events_of(ends[0]) == POLLOUT);
    CHECK(write(ends[0], "through", 7) == 7 && events_of(ends[1]) == (POLLIN | POLLOUT));
    int waiting = 0;
    CHECK(ioctl(ends[1], FIONREAD, &waiting) == 0 && waiting == 7);
    CHECK(read(ends[1], buffer, 3) == 3 && read(ends[1], buffer, 16) == 4 && memcmp(buffer, "ough", 4) == 0);
    iovec parts[2] = {{const_cast<char*>("ab"), 2}, {const_cast<char*>("cde"), 3}};
    CHECK(writev(ends[1], parts, 2) == 5);
    char one[1];
    char rest[9];
    iovec places[2] = {{one, 1}, {rest, 9}};
    CHECK(readv(ends[0], places, 2) == 5 && one[0] == 'a' && memcmp(rest, "bcde", 4) == 0);
    CHECK(write(ends[1], "one", 3) == 3 && write(ends[1], "two", 3) == 3);
    CHECK(recv(ends[0], buffer, 5, MSG_PEEK) == 5 && memcmp(buffer, "onetw", 5) == 0);
    CHECK(recv(ends[0], buffer, 6, MSG_WAITALL) == 6 && memcmp(buffer, "onetwo", 6) == 0);
    CHECK_ERRNO(recv(ends[0], buffer, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("shutdown and EPIPE", [] {
    int ends[2];
    char buffer[4];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC && (fcntl(ends[1], F_GETFL) & O_NONBLOCK) != 0);
    CHECK(write(ends[0], "x", 1) == 1 && shutdown(ends[0], SHUT_WR) == 0);
    CHECK(events_of(ends[1]) == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK(read(ends[1], buffer, 4) == 1 && read(ends[1], buffer, 4) == 0);
    CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    const int status = status_of_child([&] { write(ends[0], "x", 1); });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    CHECK(write(ends[1], "yes", 3) == 3 && close(ends[1]) == 0);
    CHECK(events_of(ends[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
    CHECK(read(ends[0], buffer, 4) == 3 && read(ends[0], buffer, 4) == 0 && close(ends[0]) == 0);
    CHECK_ERRNO(shutdown(0, 7), ENOTSOCK);
  });
  check("a peer that closes with bytes unread", [] {
    int ends[2];
    char buffer[4];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(write(ends[0], "x", 1) == 1 && close(ends[1]) == 0);
    CHECK_ERRNO(read(ends[0], buffer, 4), ECONNRESET);
    CHECK(read(ends[0], buffer, 4) == 0 && close(ends[0]) == 0);
  });
  check("a megabyte between processes", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const std::string text = pattern(1 << 20);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    CHECK(close(ends[1]) == 0);
    std::string back;
    char buffer[10000];
    ssize_t got;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) {
      back.append(buffer, static_cast<size_t>(got));
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0 && back == text && close(ends[0]) == 0);
  });
}

void names() {
  check("names", [] {
    const Address here = path_address("here");
    const Address other = abstract_address("nopte-abstract");
    for (const Address& address : {here, other}) {
      const int listener = new_socket(SOCK_STREAM);
      CHECK_ERRNO(listen(listener, 1), EINVAL);
      CHECK(bind(listener, address.get(), address.bytes) == 0);
      CHECK_ERRNO(bind(listener, other.get(), other.bytes), EINVAL);
      const int second = new_socket(SOCK_STREAM);
      CHECK_ERRNO(bind(second, address.get(), address.bytes), EADDRINUSE);
      CHECK_ERRNO(connect(second, address.get(), address.bytes), ECONNREFUSED);
      CHECK_ERRNO(send(second, "x", 1, 0), ENOTCONN);
      CHECK_ERRNO(accept(second, nullptr, nullptr), EINVAL);
      CHECK(listen(listener, 1) == 0 && events_of(listener) == 0);
      CHECK(connect(second, address.get(), address.bytes) == 0 && events_of(listener) == POLLIN);
      CHECK_ERRNO(connect(second, address.get(), address.bytes), EISCONN);
      CHECK(write(second, "early", 5) == 5);
      Address got;
      got.bytes = sizeof got.name;
      const int accepted =
          accept4(listener, reinterpret_cast<sockaddr*>(&got.name), &got.bytes, SOCK_CLOEXEC);
      CHECK(accepted >= 0 && got.bytes == 2 && fcntl(accepted, F_GETFD) == FD_CLOEXEC);
      char buffer[8];
      CHECK(read(accepted, buffer, 8) == 5);
      for (const int which : {0, 1}) {
        got.bytes = sizeof got.name;
        auto* const place = reinterpret_cast<sockaddr*>(&got.name);
        CHECK((which == 0 ? getpeername(second, place, &got.bytes)
                          : getsockname(accepted, place, &got.bytes)) == 0);
        CHECK(got.bytes == address.bytes && memcmp(&got.name, &address.name, address.bytes) == 0);
      }
      ucred peer{};
      socklen_t bytes = sizeof peer;
      CHECK(getsockopt(second, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid == getpid());
      int value = 0;
      bytes = sizeof value;
      CHECK(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) == 0 && value == 1);
      CHECK(close(accepted) == 0 && close(second) == 0 && close(listener) == 0);
    }
    CHECK(S_ISSOCK(stat_of("here").st_mode));
    CHECK_ERRNO(open("here", O_RDONLY), ENXIO);
    const int late = new_socket(SOCK_STREAM);
    CHECK_ERRNO(connect(late, here.get(), here.bytes), ECONNREFUSED);
    CHECK_ERRNO(connect(late, other.get(), other.bytes), ECONNREFUSED);
    CHECK(unlink("here") == 0);
    CHECK_ERRNO(connect(late, here.get(), here.bytes), ENOENT);
    CHECK_ERRNO(connect(late, here.get(), 2), EINVAL);
    CHECK_ERRNO(connect(late, here.get(), 129), EINVAL);
    CHECK(close(late) == 0);
  });
  check("a full listener, a wait in accept, and its end", [] {
    const Address address = abstract_address("nopte-full");
    const int listener = new_socket(SOCK_STREAM);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 0) == 0);
    const int first = new_socket(SOCK_STREAM);
    const int second = new_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK(connect(first, address.get(), address.bytes) == 0);
    CHECK_ERRNO(connect(second, address.get(), address.bytes), EAGAIN);
    CHECK(close(listener) == 0);
    char byte;
    CHECK_ERRNO(read(first, &byte, 1), ECONNRESET);
    const int again = new_socket(SOCK_STREAM);
    CHECK(bind(again, address.get(), address.bytes) == 0 && listen(again, 5) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const int accepted = accept(again, nullptr, nullptr);
      _exit(accepted >= 0 && write(accepted, "!", 1) == 1 ? 0 : 1);
    }
    await_state(child, 'S');
    CHECK(connect(second, address.get(), address.bytes) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(read(second, &byte, 1) == 1 && byte == '!' && read(second, &byte, 1) == 0);
    CHECK(close(first) == 0 && close(second) == 0 && close(again) == 0);
  });
}

void messages() {
  check("datagrams", [] {
    const Address address = path_address("there");
    const Address own = abstract_address("nopte-own");
    const int server = new_socket(SOCK_DGRAM);
    const int client = new_socket(SOCK_DGRAM);
    CHECK(bind(server, address.get(), address.bytes) == 0);
    CHECK_ERRNO(send(client, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(listen(server, 1), EOPNOTSUPP);
    CHECK(sendto(client, "hello", 5, 0, address.get(), address.bytes) == 5);
    char buffer[8];
    Address from;
    from.bytes = sizeof from.name;
    auto* const place = reinterpret_cast<sockaddr*>(&from.name);
    CHECK(recvfrom(server, buffer, 3, MSG_TRUNC | MSG_PEEK, place, &from.bytes) == 5 && from.bytes == 0);
    CHECK(bind(client, own.get(), own.bytes) == 0 && connect(client, address.get(), address.bytes) == 0);
    CHECK(write(client, "", 0) == 0 && write(client, "two", 3) == 3);
    CHECK(read(server, buffer, 8) == 5 && read(server, buffer, 8) == 0);
    from.bytes = sizeof from.name;
    CHECK(recvfrom(server, buffer, 8, 0, place, &from.bytes) == 3 && from.bytes == own.bytes);
    CHECK(memcmp(&from.name, &own.name, own.bytes) == 0);
    int sent = 0;
    while (send(client, "x", 1, MSG_DONTWAIT) == 1) {
      ++sent;
    }
    CHECK(errno == EAGAIN && sent == 11 && events_of(client) == 0);
    CHECK(read(server, buffer, 8) == 1 && events_of(client) == POLLOUT);
    const std::string big(1 << 20, 'x');
    CHECK_ERRNO(send(client, big.data(), big.size(), 0), EMSGSIZE);
    const int stream = new_socket(SOCK_STREAM);
    CHECK_ERRNO(connect(stream, address.get(), address.bytes), EPROTOTYPE);
    CHECK(close(server) == 0);
    CHECK_ERRNO(send(client, "x", 1, 0), ECONNREFUSED);
    CHECK_ERRNO(send(client, "x", 1, 0), ENOTCONN);
    CHECK(close(client) == 0 && close(stream) == 0 && unlink("there") == 0);
  });
  check("sequences of packets", [] {
    int ends[2];
    char buffer[8];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    CHECK(write(ends[0], "first", 5) == 5 && write(ends[0], "second", 6) == 6);
    iovec part = {buffer, 3};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    CHECK(recvmsg(ends[1], &header, 0) == 3 && (header.msg_flags & MSG_TRUNC) != 0);
    CHECK(read(ends[1], buffer, 8) == 6);
    CHECK(close(ends[0]) == 0 && read(ends[1], buffer, 8) == 0);
    CHECK_ERRNO(send(ends[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(close(ends[1]) == 0);
  });
  check("many messages in one call", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    char text[3][4] = {"a", "bc", "def"};
    iovec parts[3];
    mmsghdr headers[3] = {};
    for (int i = 0; i < 3; ++i) {
      parts[i] = {text[i], static_cast<size_t>(i) + 1};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK(sendmmsg(ends[0], headers, 3, 0) == 3 && headers[2].msg_len == 3);
    CHECK(recvmmsg(ends[1], headers, 3, MSG_WAITFORONE, nullptr) == 3 && headers[1].msg_len == 2);
    CHECK_ERRNO(recvmmsg(ends[1], headers, 3, MSG_DONTWAIT, nullptr), EAGAIN);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

void errors_and_options() {
  check("errors", [] {
    int ends[2];
    CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, 75, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 6), EPROTONOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, reinterpret_cast<int*>(8)), EFAULT);
    CHECK_ERRNO(accept(0, nullptr, nullptr), ENOTSOCK);
    CHECK_ERRNO(accept(99, nullptr, nullptr), EBADF);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK_ERRNO(accept4(ends[0], nullptr, nullptr, 1), EINVAL);
    CHECK_ERRNO(send(ends[0], reinterpret_cast<char*>(8), 1, 0), EFAULT);
    CHECK(write(ends[0], "x", 1) == 1);
    CHECK_ERRNO(recv(ends[1], reinterpret_cast<char*>(8), 1, 0), EFAULT);
    char byte;
    CHECK(read(ends[1], &byte, 1) == 1);
    const Address address = abstract_address("nopte-nobody");
    CHECK_ERRNO(sendto(ends[0], "x", 1, 0, address.get(), address.bytes), EISCONN);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("options", [] {
    const int one = new_socket(SOCK_SEQPACKET);
    int value = 0;
    socklen_t bytes = sizeof value;
    CHECK(getsockopt(one, SOL_SOCKET, SO_TYPE, &value, &bytes) == 0 && value == SOCK_SEQPACKET);
    CHECK(getsockopt(one, SOL_SOCKET, SO_DOMAIN, &value, &bytes) == 0 && value == AF_UNIX);
    CHECK(getsockopt(one, SOL_SOCKET, SO_ERROR, &value, &bytes) == 0 && value == 0);
    CHECK_ERRNO(getsockopt(one, SOL_SOCKET, 999, &value, &bytes), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(one, 6, 1, &value, &bytes), EOPNOTSUPP);
    CHECK_ERRNO(setsockopt(one, SOL_SOCKET, SO_SNDBUF, &value, 1), EINVAL);
    value = 10000;
    CHECK(setsockopt(one, SOL_SOCKET, SO_SNDBUF, &value, sizeof value) == 0);
    CHECK(getsockopt(one, SOL_SOCKET, SO_SNDBUF, &value, &bytes) == 0 && value == 20000);
    const timeval brief = {0, 20000};
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief) == 0);
    char byte;
    CHECK_ERRNO(read(ends[0], &byte, 1), EAGAIN);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(one) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  streams();
  names();
  messages();
  errors_and_options();
  return finish();
}
