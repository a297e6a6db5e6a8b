// Random calls on pairs of sockets of every kind, all without waiting. Prints the same on Linux.
#include "tests/boot/programs/inet_checks.h"

namespace {

unsigned g_state = 1;
unsigned random_below(unsigned end) {
  g_state = g_state * 1103515245 + 12345;
  return (g_state >> 16) % end;
}

struct Kind {
  const char* name;
  int family;
  int type;
};

// Two connected sockets, neither of which waits.
void make_pair(const Kind& kind, int (&ends)[2]) {
  if (kind.family == AF_UNIX) {
    CHECK(socketpair(AF_UNIX, kind.type, 0, ends) == 0);
  } else if (kind.type == SOCK_STREAM) {
    const Connection made = make_connection();
    ends[0] = made[0];
    ends[1] = made[1];
    CHECK(set_option(ends[0], SOL_TCP, TCP_NODELAY, 1) == 0 &&
          set_option(ends[1], SOL_TCP, TCP_NODELAY, 1) == 0);
  } else {
    ends[0] = bound_socket(SOCK_DGRAM, "127.0.0.1");
    ends[1] = connected_socket(own_address(ends[0]), SOCK_DGRAM);
    const InetAddress other = own_address(ends[1]);
    CHECK(connect(ends[0], other.get(), other.bytes) == 0);
  }
  for (const int end : ends) {
    CHECK(fcntl(end, F_SETFL, O_NONBLOCK) == 0);
  }
}

std::string answer(ssize_t value) { return value < 0 ? strerrorname_np(errno) : std::to_string(value); }

std::string one_call(const Kind& kind, int (&ends)[2]) {
  char buffer[64] = {};
  const unsigned which = random_below(2);
  const int end = ends[which];
  const std::string who = which == 0 ? "a " : "b ";
  if (end < 0) {
    return who + "is closed";
  }
  // Linux's versions differ in messages of no bytes that a peer leaves behind.
  const unsigned bytes = random_below(40) + (kind.type == SOCK_SEQPACKET ? 1 : 0);
  switch (random_below(14)) {
    case 0:
    case 1:
    case 2:
      return who + "send " + std::to_string(bytes) + ": " + answer(send(end, buffer, bytes, MSG_NOSIGNAL));
    case 3:
    case 4:
      return who + "recv " + std::to_string(bytes) + ": " + answer(recv(end, buffer, bytes, 0));
    case 5:
      return who + "peek " + std::to_string(bytes) + ": " + answer(recv(end, buffer, bytes, MSG_PEEK));
    case 6: {
      const int flags = kind.type == SOCK_STREAM ? MSG_WAITALL : MSG_TRUNC;
      return who + "recv, flags, " + std::to_string(bytes) + ": " + answer(recv(end, buffer, bytes, flags));
    }
    case 7:
    case 8:
      return who + "events" + event_names(end);
    case 9: {
      if (random_below(4) != 0) {
        return who + "writes: " + answer(write(end, buffer, bytes / 4 + 1));
      }
      // And in what comes first for datagrams: that nobody is there, or that nothing is to be sent.
      const bool alone = kind.family == AF_UNIX && kind.type == SOCK_DGRAM;
      const int how = alone ? SHUT_RD : static_cast<int>(random_below(3));
      return who + "shutdown " + std::to_string(how) + ": " + answer(shutdown(end, how));
    }
    case 10:
      return who + "SO_ERROR " + std::to_string(option_of(end, SOL_SOCKET, SO_ERROR));
    case 11: {
      InetAddress peer;
      return who + "peer: " + answer(getpeername(end, peer.get(), &peer.bytes));
    }
    case 12: {
      int waiting = -1;
      const int got = ioctl(end, FIONREAD, &waiting);
      return who + "waiting: " + answer(got) + " " + std::to_string(waiting);
    }
    default:
      if (random_below(3) != 0) {
        return who + "stays";
      }
      CHECK(close(end) == 0);
      ends[which] = -1;
      return who + "closes";
  }
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  signal(SIGPIPE, SIG_IGN);
  for (const Kind& kind :
       {Kind{"unix stream", AF_UNIX, SOCK_STREAM}, Kind{"unix datagram", AF_UNIX, SOCK_DGRAM},
        Kind{"unix seqpacket", AF_UNIX, SOCK_SEQPACKET}, Kind{"TCP", AF_INET, SOCK_STREAM},
        Kind{"UDP", AF_INET, SOCK_DGRAM}}) {
    for (unsigned run = 0; run < 200; ++run) {
      g_state = run + 1;
      int ends[2];
      make_pair(kind, ends);
      std::string text;
      for (int i = 0; i < 25; ++i) {
        text += "; " + one_call(kind, ends);
      }
      printf("%s %u%s\n", kind.name, run, text.c_str());
      for (const int end : ends) {
        CHECK(end < 0 || close(end) == 0);
      }
    }
  }
  return finish();
}
