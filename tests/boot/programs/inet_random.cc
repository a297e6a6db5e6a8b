// Random calls on three TCP or UDP sockets that bind, listen, connect and come apart, all without waiting.
// Prints the same on Linux.
#include "tests/boot/programs/inet_checks.h"

namespace {

unsigned g_state = 1;
unsigned random_below(unsigned end) {
  g_state = g_state * 1103515245 + 12345;
  return (g_state >> 16) % end;
}

constexpr int kSockets = 3;

std::string answer(ssize_t value) { return value < 0 ? strerrorname_np(errno) : std::to_string(value); }

int fresh(int family, int type) {
  const int made = socket(family, type | SOCK_NONBLOCK, 0);
  CHECK(made >= 0 && (type != SOCK_STREAM || set_option(made, SOL_TCP, TCP_NODELAY, 1) == 0));
  return made;
}

bool connected(int made) {
  InetAddress peer;
  return getpeername(made, peer.get(), &peer.bytes) == 0;
}

std::string one_call(int family, int type, int (&sockets)[kSockets]) {
  char buffer[64] = {};
  const unsigned which = random_below(kSockets);
  const unsigned other = random_below(kSockets);
  const int made = sockets[which];
  const std::string who = std::string(1, static_cast<char>('a' + which)) + " ";
  const std::string whom = std::string(1, static_cast<char>('a' + other)) + " ";
  const unsigned bytes = random_below(20) + 1;
  const char* const loopback = family == AF_INET ? "127.0.0.1" : "::1";
  switch (random_below(16)) {
    case 0: {
      const InetAddress any = inet_address(random_below(2) == 0 ? loopback
                                           : family == AF_INET  ? "0.0.0.0"
                                                                : "::",
                                           0);
      return who + "bind " + any.text() + ": " + answer(bind(made, any.get(), any.bytes));
    }
    case 1:
      return who + "listen: " + answer(listen(made, 5));
    case 2:
    case 3:
    case 4: {
      const InetAddress to = own_address(sockets[other]);
      if (to.port() == 0 || which == other) {
        return who + "does not connect";
      }
      return who + "connect to " + whom + to.text() + ": " + answer(connect(made, to.get(), to.bytes));
    }
    case 5: {
      sockaddr none{};
      none.sa_family = AF_UNSPEC;
      return random_below(3) == 0 ? who + "undo: " + answer(connect(made, &none, sizeof none))
                                  : who + "stays";
    }
    case 6:
    case 7: {
      const int accepted = accept(made, nullptr, nullptr);
      if (accepted < 0) {
        return who + "accept: " + answer(-1);
      }
      CHECK(fcntl(accepted, F_SETFL, O_NONBLOCK) == 0 && set_option(accepted, SOL_TCP, TCP_NODELAY, 1) == 0);
      CHECK(close(sockets[other]) == 0);
      sockets[other] = accepted;
      return who + "accept: it is " + whom;
    }
    case 8:
    case 9:
      return who + "send: " + answer(send(made, buffer, bytes, MSG_NOSIGNAL));
    case 10:
      return who + "recv: " + answer(recv(made, buffer, bytes, 0));
    case 11:
      return who + "events" + event_names(made) + ", SO_ERROR " +
             std::to_string(option_of(made, SOL_SOCKET, SO_ERROR));
    case 12: {
      InetAddress peer;
      const InetAddress own = own_address(made);
      const std::string peer_text = answer(getpeername(made, peer.get(), &peer.bytes));
      return who + "is " + own.text() + (own.port() != 0 ? " with a port" : "") + ", peer " + peer_text;
    }
    case 13:
      // What shutdown leaves behind without a connection is nothing to rely on.
      return random_below(3) == 0 && (type == SOCK_DGRAM || connected(made))
                 ? who + "shutdown: " + answer(shutdown(made, static_cast<int>(random_below(3))))
                 : who + "events" + event_names(made);
    case 14: {
      const InetAddress to = own_address(sockets[other]);
      const ssize_t sent = sendto(made, buffer, bytes, MSG_NOSIGNAL, to.get(), to.bytes);
      return who + "sendto " + whom + ": " + answer(sent);
    }
    default:
      if (random_below(3) != 0) {
        return who + "accepts: " + std::to_string(option_of(made, SOL_SOCKET, SO_ACCEPTCONN));
      }
      CHECK(close(made) == 0);
      sockets[which] = fresh(family, type);
      return who + "is new";
  }
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  signal(SIGPIPE, SIG_IGN);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      for (unsigned run = 0; run < 200; ++run) {
        g_state = run + 1;
        int sockets[kSockets];
        for (int& one : sockets) {
          one = fresh(family, type);
        }
        std::string text;
        for (int i = 0; i < 40; ++i) {
          text += "; " + one_call(family, type, sockets);
        }
        printf("%d %d %u%s\n", family, type, run, text.c_str());
        for (const int one : sockets) {
          CHECK(close(one) == 0);
        }
      }
    }
  }
  return finish();
}
