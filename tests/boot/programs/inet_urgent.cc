// TCP's byte out of band: MSG_OOB, SO_OOBINLINE, SIOCATMARK, SIGURG. Prints the same on Linux.
#include <fcntl.h>
#include <signal.h>

#include "tests/boot/programs/inet_checks.h"
#include "tests/boot/programs/urgent_checks.h"

namespace {

volatile sig_atomic_t g_urgent = 0;

void bytes() {
  check("none", [] {
    const Connection made = make_connection();
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    CHECK(write(made[0], "ab", 2) == 2);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
    char byte;
    const int loose = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(recv(loose, &byte, 1, MSG_OOB), EINVAL);
    CHECK(close(loose) == 0);
  });
  check("between others", [] {
    const Connection made = make_connection();
    CHECK(write(made[0], "ab", 2) == 2 && send(made[0], "cdU", 3, MSG_OOB) == 3 &&
          write(made[0], "ef", 2) == 2);
    print_around_mark(made[1]);
    made.close_both();
  });
  check("never asked for", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "abU", 3, MSG_OOB) == 3 && write(made[0], "cd", 2) == 2);
    print_next(made[1]);
    print_state(made[1]);
    print_next(made[1]);
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    made.close_both();
  });
  check("alone", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "U", 1, MSG_OOB) == 1);
    print_state(made[1]);
    print_next(made[1], MSG_OOB, 0);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    print_state(made[1]);
    made.close_both();
  });
  check("two of them", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "abU", 3, MSG_OOB) == 3 && send(made[0], "cdV", 3, MSG_OOB) == 3 &&
          write(made[0], "ef", 2) == 2);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    print_next(made[1]);
    made.close_both();
    const Connection other = make_connection();
    CHECK(send(other[0], "abU", 3, MSG_OOB) == 3);
    print_next(other[1]);
    CHECK(send(other[0], "cdV", 3, MSG_OOB) == 3 && write(other[0], "ef", 2) == 2);
    print_next(other[1]);
    print_next(other[1]);
    other.close_both();
  });
  check("in line", [] {
    const Connection made = make_connection();
    CHECK(set_option(made[1], SOL_SOCKET, SO_OOBINLINE, 1) == 0);
    CHECK(send(made[0], "abU", 3, MSG_OOB) == 3 && write(made[0], "cd", 2) == 2);
    print_state(made[1]);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    print_state(made[1]);
    print_next(made[1]);
    print_state(made[1]);
    made.close_both();
  });
  check("looked at until more comes", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "U", 1, MSG_OOB) == 1);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      char buffer[16] = {};
      const ssize_t got = recv(made[1], buffer, sizeof buffer, MSG_PEEK);
      _exit(got == 2 && memcmp(buffer, "ab", 2) == 0 ? 0 : 1);
    }
    await_state(child, 'S');
    CHECK(write(made[0], "ab", 2) == 2);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    print_next(made[1]);
    made.close_both();
  });
  check("nothing, or with an end", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "", 0, MSG_OOB) == 0);
    print_state(made[1]);
    CHECK(send(made[0], "aU", 2, MSG_OOB) == 2 && shutdown(made[0], SHUT_WR) == 0);
    print_next(made[1]);
    print_next(made[1], MSG_OOB);
    print_next(made[1]);
    made.close_both();
    const Connection gone = make_connection();
    CHECK(close(gone[1]) == 0 && send(gone[0], "x", 1, MSG_OOB) == 1);
    CHECK_ERRNO(send(gone[0], "x", 1, MSG_OOB | MSG_NOSIGNAL), EPIPE);
    CHECK(close(gone[0]) == 0);
  });
}

void told() {
  check("SIGURG", [] {
    signal(SIGURG, [](int) { g_urgent = g_urgent + 1; });
    const Connection made = make_connection();
    CHECK(send(made[0], "x", 1, MSG_OOB) == 1 && g_urgent == 0);
    CHECK(fcntl(made[1], F_SETOWN, getpid()) == 0);
    CHECK(write(made[0], "x", 1) == 1 && g_urgent == 0);
    CHECK(send(made[0], "y", 1, MSG_OOB) == 1 && g_urgent == 1);
    CHECK(fcntl(made[1], F_SETOWN, 0) == 0 && send(made[0], "z", 1, MSG_OOB) == 1 && g_urgent == 1);
    made.close_both();
    signal(SIGURG, SIG_DFL);
  });
  check("select and poll", [] {
    const Connection made = make_connection();
    CHECK(send(made[0], "U", 1, MSG_OOB) == 1);
    fd_set some;
    FD_ZERO(&some);
    FD_SET(made[1], &some);
    timeval none = {0, 0};
    CHECK(select(made[1] + 1, nullptr, nullptr, &some, &none) == 1);
    print_next(made[1], MSG_OOB);
    FD_SET(made[1], &some);
    CHECK(select(made[1] + 1, nullptr, nullptr, &some, &none) == 0);
    CHECK(write(made[0], "a", 1) == 1 && urgent_events(made[1]) == POLLIN);
    made.close_both();
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  bytes();
  told();
  return finish();
}
