// The byte out of band of AF_UNIX streams: MSG_OOB, SO_OOBINLINE, SIOCATMARK, SIGURG. Prints the same on
// Linux.
#include <fcntl.h>
#include <signal.h>

#include "tests/boot/programs/urgent_checks.h"

namespace {

volatile sig_atomic_t g_urgent = 0;

struct Pair {
  int ends[2];
  explicit Pair(int type = SOCK_STREAM) { CHECK(socketpair(AF_UNIX, type, 0, ends) == 0); }
  int operator[](int end) const { return ends[end]; }
  void close_both() const { CHECK(close(ends[0]) == 0 && close(ends[1]) == 0); }
  void put(const char* text, int flags = 0) const {
    const size_t bytes = strlen(text);
    CHECK(send(ends[0], text, bytes, flags) == static_cast<ssize_t>(bytes));
  }
};

void set_inline(int made, int on) { CHECK(setsockopt(made, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) == 0); }

void bytes() {
  check("none", [] {
    const Pair made;
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    made.put("ab");
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    CHECK_ERRNO(send(made[0], "", 0, MSG_OOB), EOPNOTSUPP);
    made.close_both();
    char byte;
    const int loose = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(recv(loose, &byte, 1, MSG_OOB), EINVAL);
    CHECK_ERRNO(send(loose, "x", 1, MSG_OOB), ENOTCONN);
    CHECK(close(loose) == 0);
  });
  check("other types", [] {
    for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
      const Pair made(type);
      CHECK_ERRNO(send(made[0], "x", 1, MSG_OOB), EOPNOTSUPP);
      print_next(made[1], MSG_OOB);
      made.close_both();
    }
    char byte;
    const int loose = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_ERRNO(recv(loose, &byte, 1, MSG_OOB), ENOTCONN);
    CHECK(close(loose) == 0);
  });
  check("between others", [] {
    const Pair made;
    made.put("ab");
    made.put("cdU", MSG_OOB);
    made.put("ef");
    print_around_mark(made[1]);
    made.close_both();
  });
  check("no room", [] {
    const Pair made;
    made.put("U", MSG_OOB);
    print_next(made[1], MSG_OOB, 0);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
  });
}

void marks() {
  check("a second one", [] {
    const Pair made;
    made.put("abU", MSG_OOB);
    made.put("cdV", MSG_OOB);
    made.put("ef");
    print_next(made[1], MSG_PEEK);
    print_next(made[1]);
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    print_state(made[1]);
    print_next(made[1]);
    print_next(made[1]);
    made.close_both();
  });
  check("a second one, the first was taken", [] {
    const Pair made;
    made.put("abU", MSG_OOB);
    print_next(made[1], MSG_OOB);
    made.put("cdV", MSG_OOB);
    print_state(made[1]);
    print_next(made[1], MSG_PEEK);
    print_next(made[1], 0, 3);
    print_next(made[1]);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
  });
  check("two that were taken", [] {
    const Pair made;
    made.put("U", MSG_OOB);
    print_next(made[1], MSG_OOB);
    made.put("V", MSG_OOB);
    print_next(made[1], MSG_OOB);
    made.put("ab");
    print_state(made[1]);
    print_next(made[1]);
    print_next(made[1]);
    made.close_both();
  });
  check("never asked for", [] {
    const Pair made;
    made.put("U", MSG_OOB);
    made.put("ab");
    print_next(made[1], MSG_PEEK);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.put("cdU", MSG_OOB);
    made.put("ef");
    print_next(made[1]);
    print_next(made[1]);
    print_next(made[1], MSG_OOB);
    CHECK(at_mark(made[1]) == 0);
    made.close_both();
  });
  check("in line", [] {
    const Pair made;
    set_inline(made[1], 1);
    made.put("abU", MSG_OOB);
    made.put("cd");
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    print_next(made[1], MSG_PEEK);
    print_next(made[1]);
    print_state(made[1]);
    print_next(made[1]);
    print_state(made[1]);
    made.put("V", MSG_OOB);
    set_inline(made[1], 0);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
  });
  check("ends", [] {
    const Pair made;
    made.put("aU", MSG_OOB);
    CHECK(shutdown(made[0], SHUT_WR) == 0);
    print_next(made[1]);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
    const Pair taken;
    taken.put("U", MSG_OOB);
    print_next(taken[1], MSG_OOB);
    CHECK(close(taken[1]) == 0);
    print_next(taken[0]);
    CHECK_ERRNO(send(taken[0], "xU", 2, MSG_OOB | MSG_NOSIGNAL), EPIPE);
    CHECK(close(taken[0]) == 0);
    const Pair left;
    left.put("U", MSG_OOB);
    CHECK(close(left[1]) == 0);
    print_next(left[0]);
    CHECK(close(left[0]) == 0);
  });
}

void told() {
  check("SIGURG", [] {
    signal(SIGURG, [](int) { g_urgent = g_urgent + 1; });
    const Pair made;
    made.put("x", MSG_OOB);
    CHECK(g_urgent == 0 && fcntl(made[1], F_SETOWN, getpid()) == 0);
    made.put("x");
    CHECK(g_urgent == 0);
    made.put("y", MSG_OOB);
    CHECK(g_urgent == 1);
    made.close_both();
    signal(SIGURG, SIG_DFL);
  });
}

}  // namespace

int main() {
  bytes();
  marks();
  told();
  return finish();
}
