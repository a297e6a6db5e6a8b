// TCP through the loopback: connections, their ends, ports. Prints the same on Linux.
#include "tests/boot/programs/inet_checks.h"

namespace {

void connections() {
  check("a connection", [] {
    for (const char* text : {"127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::"}) {
      const int listener = listening_socket(text);
      const InetAddress at = own_address(listener);
      CHECK(at.port() >= 1024 && events_of(listener) == 0);
      const int client = connected_socket(at);
      CHECK(events_of(listener) == POLLIN && events_of(client) == POLLOUT);
      InetAddress from;
      const int accepted = accept(listener, from.get(), &from.bytes);
      CHECK(accepted >= 0 && from.port() == own_address(client).port() && events_of(listener) == 0);
      CHECK(peer_address(client).port() == at.port() && own_address(accepted).port() == at.port());
      printf("%s: client %s to %s, accepted %s from %s\n", text, own_address(client).text().c_str(),
             peer_address(client).text().c_str(), own_address(accepted).text().c_str(), from.text().c_str());
      char buffer[16];
      CHECK(write(client, "hello", 5) == 5 && read(accepted, buffer, 16) == 5 &&
            write(accepted, "yes", 3) == 3);
      InetAddress none;
      CHECK(recvfrom(client, buffer, 16, 0, none.get(), &none.bytes) == 3 && none.bytes == 0);
      CHECK(sendto(client, "x", 1, 0, at.get(), at.bytes) == 1 && read(accepted, buffer, 16) == 1);
      CHECK(close(client) == 0 && read(accepted, buffer, 16) == 0 && close(accepted) == 0);
      CHECK(close(listener) == 0);
    }
  });
  check("IPv4 to an IPv6 listener", [] {
    const int listener = listening_socket("::");
    const InetAddress to = inet_address("127.0.0.1", own_address(listener).port());
    const int client = connected_socket(to);
    const int accepted = accept(listener, nullptr, nullptr);
    CHECK(accepted >= 0 && peer_address(accepted).text() == "::ffff:127.0.0.1");
    CHECK(option_of(accepted, SOL_IPV6, IPV6_ADDRFORM) == AF_INET6);
    CHECK(set_option(accepted, SOL_IPV6, IPV6_ADDRFORM, AF_INET) == 0);
    CHECK(peer_address(accepted).text() == "127.0.0.1" && own_address(accepted).storage.ss_family == AF_INET);
    // It is a socket of AF_INET from then on: it can be given up, bound and listen as one.
    int domain = 0;
    socklen_t domain_bytes = sizeof domain;
    CHECK(getsockopt(accepted, SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) == 0 && domain == AF_INET);
    CHECK_ERRNO(getsockopt(accepted, SOL_IPV6, IPV6_ADDRFORM, &domain, &domain_bytes), EOPNOTSUPP);
    const sockaddr nobody = {.sa_family = AF_UNSPEC, .sa_data = {}};
    CHECK(connect(accepted, &nobody, sizeof nobody) == 0);
    const InetAddress own = inet_address("0.0.0.0", 0);
    CHECK(bind(accepted, own.get(), own.bytes) == 0 && listen(accepted, 5) == 0);
    const int again = connected_socket(inet_address("127.0.0.1", own_address(accepted).port()));
    const int twice = accept(accepted, nullptr, nullptr);
    CHECK(twice >= 0 && own_address(twice).storage.ss_family == AF_INET);
    CHECK(close(again) == 0 && close(twice) == 0);
    const int mapped = connected_socket(inet_address("::ffff:127.0.0.1", to.port()));
    CHECK(own_address(mapped).text() == "::ffff:127.0.0.1");
    const int only = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(set_option(only, SOL_IPV6, IPV6_V6ONLY, 1) == 0);
    const InetAddress any = inet_address("::", 0);
    CHECK(bind(only, any.get(), any.bytes) == 0 && listen(only, 1) == 0);
    CHECK_ERRNO(set_option(only, SOL_IPV6, IPV6_V6ONLY, 0), EINVAL);
    const int refused = socket(AF_INET, SOCK_STREAM, 0);
    const InetAddress four = inet_address("127.0.0.1", own_address(only).port());
    CHECK_ERRNO(connect(refused, four.get(), four.bytes), ECONNREFUSED);
    for (const int made : {client, accepted, mapped, listener, only, refused}) {
      CHECK(close(made) == 0);
    }
  });
  check("a megabyte each way between processes", [] {
    const int listener = listening_socket("127.0.0.1");
    const std::string text = pattern(1 << 20);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const int client = connected_socket(own_address(listener));
      std::string back(text.size(), 0);
      const bool sent = write(client, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      const bool got =
          recv(client, back.data(), back.size(), MSG_WAITALL) == static_cast<ssize_t>(back.size());
      _exit(sent && got && back == text ? 0 : 1);
    }
    const int accepted = accept(listener, nullptr, nullptr);
    std::string back(text.size(), 0);
    CHECK(recv(accepted, back.data(), back.size(), MSG_WAITALL) == static_cast<ssize_t>(back.size()));
    CHECK(back == text && send(accepted, back.data(), back.size(), 0) == static_cast<ssize_t>(back.size()));
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0 && close(accepted) == 0 && close(listener) == 0);
  });
  check("connections that nobody waits for", [] {
    const int listener = listening_socket("127.0.0.1");
    const InetAddress at = own_address(listener);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERRNO(connect(client, at.get(), at.bytes), EINPROGRESS);
    CHECK(events_of(client) == POLLOUT && option_of(client, SOL_SOCKET, SO_ERROR) == 0);
    CHECK(connect(client, at.get(), at.bytes) == 0);
    CHECK_ERRNO(connect(client, at.get(), at.bytes), EISCONN);
    CHECK_ERRNO(listen(client, 1), EINVAL);
    CHECK(close(listener) == 0);
    const int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERRNO(connect(late, at.get(), at.bytes), EINPROGRESS);
    printf("refused:%s\n", event_names(late).c_str());
    CHECK(option_of(late, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
    CHECK_ERRNO(connect(late, at.get(), at.bytes), ECONNABORTED);
    CHECK_ERRNO(connect(late, at.get(), at.bytes), EINPROGRESS);
    CHECK_ERRNO(connect(late, at.get(), at.bytes), ECONNREFUSED);
    const int blocking = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(blocking, at.get(), at.bytes), ECONNREFUSED);
    CHECK(own_address(blocking).text() == "0.0.0.0");
    const int again = listening_socket("127.0.0.1");
    const InetAddress there = own_address(again);
    CHECK(connect(blocking, there.get(), there.bytes) == 0);
    CHECK(close(client) == 0 && close(late) == 0 && close(blocking) == 0 && close(again) == 0);
  });
}

void ends() {
  const auto say = [](const char* what, int made) { printf("%s:%s\n", what, event_names(made).c_str()); };
  check("poll, state by state", [&] {
    const int fresh = socket(AF_INET, SOCK_STREAM, 0);
    say("fresh", fresh);
    const int bound = bound_socket(SOCK_STREAM, "127.0.0.1");
    say("bound", bound);
    Connection one = make_connection();
    say("connected", one[0]);
    CHECK(shutdown(one[1], SHUT_WR) == 0);
    say("the other writes no more", one[0]);
    say("it itself", one[1]);
    CHECK(shutdown(one[0], SHUT_WR) == 0);
    say("both write no more", one[0]);
    one.close_both();
    one = make_connection();
    CHECK(shutdown(one[0], SHUT_RD) == 0);
    say("reads no more", one[0]);
    say("its other", one[1]);
    char byte;
    CHECK(read(one[0], &byte, 1) == 0 && write(one[1], "x", 1) == 1 && read(one[0], &byte, 1) == 1);
    one.close_both();
    one = make_connection();
    CHECK(close(one[1]) == 0);
    say("the other closed", one[0]);
    CHECK(write(one[0], "x", 1) == 1);
    say("and got something", one[0]);
    CHECK_ERRNO(send(one[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(read(one[0], &byte, 1) == 0);
    CHECK_ERRNO(getpeername(one[0], nullptr, nullptr), ENOTCONN);
    CHECK(close(one[0]) == 0 && close(fresh) == 0 && close(bound) == 0);
  });
  check("an end with bytes unread, and one without delay", [&] {
    Connection one = make_connection();
    char buffer[8];
    CHECK(write(one[0], "lost", 4) == 4 && write(one[1], "kept", 4) == 4 && close(one[1]) == 0);
    say("reset", one[0]);
    CHECK(read(one[0], buffer, 8) == 4);
    CHECK_ERRNO(read(one[0], buffer, 8), ECONNRESET);
    CHECK(read(one[0], buffer, 8) == 0);
    CHECK_ERRNO(send(one[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(close(one[0]) == 0);
    one = make_connection();
    const linger none = {1, 0};
    CHECK(setsockopt(one[1], SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0 && close(one[1]) == 0);
    CHECK(option_of(one[0], SOL_SOCKET, SO_ERROR) == ECONNRESET &&
          option_of(one[0], SOL_SOCKET, SO_ERROR) == 0);
    CHECK(close(one[0]) == 0);
  });
  check("much is written to who is gone", [] {
    static char much[16 << 20];
    const Connection connection = make_connection();
    CHECK(close(connection[1]) == 0);
    const ssize_t taken = send(connection[0], much, sizeof much, MSG_NOSIGNAL);
    CHECK(taken > 0 && taken < static_cast<ssize_t>(sizeof much));
    CHECK_ERRNO(send(connection[0], much, 1, MSG_NOSIGNAL), EPIPE);
    CHECK(close(connection[0]) == 0);
  });
  check("SIGPIPE", [] {
    const Connection one = make_connection();
    CHECK(shutdown(one[0], SHUT_WR) == 0);
    CHECK_ERRNO(send(one[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    int status = status_of_child([&] { write(one[0], "x", 1); });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    status = status_of_child([&] { write(socket(AF_INET, SOCK_STREAM, 0), "x", 1); });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    one.close_both();
  });
  check("not connected", [] {
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    const InetAddress to = inet_address("127.0.0.1", 1);
    char byte;
    CHECK_ERRNO(read(made, &byte, 1), ENOTCONN);
    CHECK_ERRNO(send(made, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(sendto(made, "x", 1, MSG_NOSIGNAL, to.get(), to.bytes), EPIPE);
    CHECK_ERRNO(shutdown(made, SHUT_RD), ENOTCONN);
    CHECK_ERRNO(shutdown(made, 3), EINVAL);
    CHECK_ERRNO(accept(made, nullptr, nullptr), EINVAL);
    InetAddress none;
    CHECK_ERRNO(getpeername(made, none.get(), &none.bytes), ENOTCONN);
    CHECK(own_address(made).port() == 0 && listen(made, 1) == 0 && own_address(made).port() != 0);
    CHECK_ERRNO(read(made, &byte, 1), ENOTCONN);
    CHECK_ERRNO(send(made, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(connect(made, to.get(), to.bytes), EISCONN);
    CHECK(close(made) == 0);
  });
  check("a listener that stops", [] {
    const int listener = listening_socket("127.0.0.1");
    const InetAddress at = own_address(listener);
    const int client = connected_socket(at);
    CHECK(shutdown(listener, SHUT_WR) == 0 && shutdown(listener, SHUT_RD) == 0);
    char byte;
    CHECK_ERRNO(read(client, &byte, 1), ECONNRESET);
    CHECK_ERRNO(accept(listener, nullptr, nullptr), EINVAL);
    CHECK(close(client) == 0 && close(listener) == 0);
    const int other = listening_socket("127.0.0.1");
    const int waiting = connected_socket(own_address(other));
    CHECK(close(other) == 0);
    CHECK_ERRNO(read(waiting, &byte, 1), ECONNRESET);
    CHECK(close(waiting) == 0);
  });
  check("a connection is undone", [] {
    const Connection one = make_connection();
    sockaddr none{};
    none.sa_family = AF_UNSPEC;
    CHECK(connect(one[1], &none, sizeof none) == 0);
    char byte;
    CHECK_ERRNO(read(one[0], &byte, 1), ECONNRESET);
    InetAddress nobody;
    CHECK_ERRNO(getpeername(one[1], nobody.get(), &nobody.bytes), ENOTCONN);
    const InetAddress any = inet_address("0.0.0.0", 0);
    CHECK(bind(one[1], any.get(), any.bytes) == 0 && listen(one[1], 5) == 0);
    const int client = connected_socket(inet_address("127.0.0.1", own_address(one[1]).port()));
    const int accepted = accept(one[1], nullptr, nullptr);
    CHECK(accepted >= 0 && close(accepted) == 0 && close(client) == 0);
    one.close_both();
  });
  check("what is held back", [] {
    const Connection one = make_connection();
    char buffer[64];
    CHECK(send(one[0], "0123456789", 10, MSG_MORE) == 10);
    CHECK_ERRNO(recv(one[1], buffer, 64, MSG_DONTWAIT), EAGAIN);
    CHECK(send(one[0], "!", 1, 0) == 1 && recv(one[1], buffer, 64, 0) == 11);
    CHECK(set_option(one[0], SOL_TCP, TCP_CORK, 1) == 0 && write(one[0], "abc", 3) == 3);
    CHECK_ERRNO(recv(one[1], buffer, 64, MSG_DONTWAIT), EAGAIN);
    CHECK(set_option(one[0], SOL_TCP, TCP_CORK, 0) == 0 && recv(one[1], buffer, 64, 0) == 3);
    CHECK(send(one[0], "late", 4, MSG_MORE) == 4 && recv(one[1], buffer, 64, 0) == 4);
    CHECK(send(one[0], "last", 4, MSG_MORE) == 4 && close(one[0]) == 0);
    CHECK(recv(one[1], buffer, 64, MSG_WAITALL) == 4 && close(one[1]) == 0);
  });
  check("flags", [] {
    const Connection one = make_connection();
    char buffer[16];
    CHECK(write(one[0], "abcdefgh", 8) == 8);
    CHECK(recv(one[1], buffer, 4, MSG_PEEK) == 4 && recv(one[1], nullptr, 3, MSG_TRUNC) == 3);
    int waiting = 0;
    CHECK(ioctl(one[1], FIONREAD, &waiting) == 0 && waiting == 5);
    CHECK(recv(one[1], buffer, 16, 0) == 5 && memcmp(buffer, "defgh", 5) == 0);
    CHECK_ERRNO(recv(one[1], buffer, 16, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(recv(one[1], buffer, 16, MSG_OOB), EINVAL);
    CHECK_ERRNO(recv(one[1], buffer, 16, MSG_ERRQUEUE), EAGAIN);
    const timeval brief = {0, 20000};
    CHECK(setsockopt(one[1], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief) == 0);
    CHECK_ERRNO(recv(one[1], buffer, 16, 0), EAGAIN);
    CHECK(write(one[0], "x", 1) == 1);
    CHECK_ERRNO(recv(one[1], reinterpret_cast<char*>(8), 1, 0), EFAULT);
    CHECK(recv(one[1], buffer, 16, 0) == 1);
    CHECK_ERRNO(send(one[1], reinterpret_cast<char*>(8), 1, 0), EFAULT);
    InetAddress from;
    from.bytes = static_cast<socklen_t>(-1);
    CHECK(write(one[0], "x", 1) == 1);
    CHECK_ERRNO(recvfrom(one[1], buffer, 16, 0, from.get(), &from.bytes), EINVAL);
    one.close_both();
  });
}

void ports() {
  check("addresses of bind", [] {
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    const InetAddress four = inet_address("127.0.0.1", 0);
    const InetAddress six = inet_address("::1", 0);
    const Address path = path_address("name");
    CHECK_ERRNO(bind(made, four.get(), 3), EINVAL);
    CHECK_ERRNO(bind(made, four.get(), 15), EINVAL);
    CHECK_ERRNO(bind(made, six.get(), six.bytes), EAFNOSUPPORT);
    CHECK_ERRNO(bind(made, path.get(), sizeof path.name), EAFNOSUPPORT);
    CHECK_ERRNO(connect(made, path.get(), sizeof path.name), EAFNOSUPPORT);
    CHECK_ERRNO(connect(made, four.get(), 3), EINVAL);
    CHECK_ERRNO(connect(made, four.get(), 15), EINVAL);
    CHECK_ERRNO(connect(made, reinterpret_cast<sockaddr*>(8), 16), EFAULT);
    const InetAddress away = inet_address("10.255.254.253", 0);
    CHECK_ERRNO(bind(made, away.get(), away.bytes), EADDRNOTAVAIL);
    InetAddress none = four;
    none.storage.ss_family = AF_UNSPEC;
    CHECK_ERRNO(bind(made, none.get(), none.bytes), EAFNOSUPPORT);
    none = inet_address("0.0.0.0", 0);
    none.storage.ss_family = AF_UNSPEC;
    CHECK(bind(made, none.get(), none.bytes) == 0);
    CHECK_ERRNO(bind(made, four.get(), four.bytes), EINVAL);
    const int other = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(other, four.get(), four.bytes), EINVAL);
    CHECK_ERRNO(bind(other, four.get(), 28), EAFNOSUPPORT);
    CHECK(bind(other, six.get(), six.bytes) == 0 && close(other) == 0 && close(made) == 0);
    const int status = status_of_child([] {
      CHECK(setuid(1000) == 0);
      const int mine = socket(AF_INET, SOCK_STREAM, 0);
      const InetAddress low = inet_address("127.0.0.1", 463);
      CHECK_ERRNO(bind(mine, low.get(), low.bytes), EACCES);
    });
    CHECK(status == 0);
  });
  check("ports in use", [] {
    struct Case {
      const char* first;
      const char* second;
    };
    for (const Case& one :
         {Case{"127.0.0.1", "127.0.0.1"}, Case{"127.0.0.1", "127.0.0.2"}, Case{"0.0.0.0", "127.0.0.1"},
          Case{"127.0.0.1", "0.0.0.0"}, Case{"::", "127.0.0.1"}, Case{"::", "0.0.0.0"},
          Case{"127.0.0.1", "::"}, Case{"::1", "127.0.0.1"}, Case{"::1", "::"}, Case{"::", "::1"}}) {
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        for (const int reuse : {0, 1, 2}) {  // nobody, both with SO_REUSEADDR, the second alone
          const InetAddress first = inet_address(one.first, 0);
          const int held = socket(first.storage.ss_family, type, 0);
          CHECK(set_option(held, SOL_SOCKET, SO_REUSEADDR, reuse == 1) == 0);
          CHECK(bind(held, first.get(), first.bytes) == 0);
          const InetAddress second = inet_address(one.second, own_address(held).port());
          const int made = socket(second.storage.ss_family, type, 0);
          CHECK(set_option(made, SOL_SOCKET, SO_REUSEADDR, reuse != 0) == 0);
          const bool bound = bind(made, second.get(), second.bytes) == 0;
          CHECK(bound || errno == EADDRINUSE);
          printf("%s then %s, %s, reuse %d: %s\n", one.first, one.second, type == SOCK_STREAM ? "TCP" : "UDP",
                 reuse, bound ? "bound" : "in use");
          if (bound && type == SOCK_STREAM) {
            const bool first_listens = listen(held, 1) == 0;
            const bool second_listens = listen(made, 1) == 0;
            printf("  listen: %d %d\n", first_listens, second_listens);
          }
          CHECK(close(held) == 0 && close(made) == 0);
        }
      }
    }
    const int listener = listening_socket("127.0.0.1");
    const InetAddress at = own_address(listener);
    const int late = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(set_option(late, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
    CHECK_ERRNO(bind(late, at.get(), at.bytes), EADDRINUSE);
    const int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(datagrams, at.get(), at.bytes) == 0);
    CHECK(close(listener) == 0 && bind(late, at.get(), at.bytes) == 0);
    CHECK(close(late) == 0 && close(datagrams) == 0);
    int sharers[2];
    for (int& one : sharers) {
      one = socket(AF_INET, SOCK_STREAM, 0);
      CHECK(set_option(one, SOL_SOCKET, SO_REUSEPORT, 1) == 0);
      CHECK(bind(one, at.get(), at.bytes) == 0 && listen(one, 1) == 0);
    }
    CHECK(close(sharers[0]) == 0 && close(sharers[1]) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  connections();
  ends();
  ports();
  return finish();
}
