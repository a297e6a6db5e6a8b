// Who writes much that is much work to a pty's master stops nobody: others go on, and signals end it. ^R
// shows the line again, and the line is full. Prints the same on Linux.
#include <sys/time.h>

#include "tests/boot/programs/tty_checks.h"

namespace {

constexpr size_t kMuch = 1 << 20;

// A child writes it, after it said so; how it ended.
template <class Meanwhile>
void print_writer(const char* what, Meanwhile meanwhile) {
  const Pair pair = open_pair();
  type(pair.master, std::string(4000, 'x'));
  int ready[2];
  CHECK(pipe(ready) == 0);
  fflush(stdout);
  const pid_t writer = fork();
  if (writer == 0) {
    signal(SIGALRM, SIG_DFL);
    const itimerval soon = {{0, 0}, {0, 50'000}};
    CHECK(write(ready[1], "", 1) == 1 && setitimer(ITIMER_REAL, &soon, nullptr) == 0);
    const std::string much(kMuch, '\x12');
    _exit(write(pair.master, much.data(), much.size()) == static_cast<ssize_t>(much.size()) ? 0 : 1);
  }
  char byte = 0;
  CHECK(read(ready[0], &byte, 1) == 1);
  meanwhile(writer);
  int status = 0;
  CHECK(waitpid(writer, &status, 0) == writer);
  printf("%s: ended by %d\n", what, WTERMSIG(status));
  CHECK(close(ready[0]) == 0 && close(ready[1]) == 0);
  close_pair(pair);
}

// Lines that were typed ahead are followed by keys that are work for who reads.
void print_reader() {
  const Pair pair = open_pair();
  change(pair.terminal, [](termios& t) { t.c_cc[VSTART] = t.c_cc[VSTOP] = 0; });
  set_flags(pair.master, O_RDWR | O_NONBLOCK);
  const std::string line = std::string(2000, 'x') + "\n";
  for (const std::string& text : {line, line, line, std::string(500, '\x12')}) {
    const ssize_t typed = write(pair.master, text.data(), text.size());
    CHECK(typed > 0);
  }
  size_t lines = 0;
  for (; lines < 3; ++lines) {
    await_event(pair.terminal, POLLIN);
    char buffer[4096];
    CHECK(read(pair.terminal, buffer, sizeof buffer) == static_cast<ssize_t>(line.size()));
  }
  printf("lines %zu\n", lines);
  close_pair(pair);
}

// Signals cut what is typed ahead short, again and again; nothing of it is lost, and nobody waits for ever.
void print_interrupted_reader() {
  const Pair pair = open_pair();
  change(pair.terminal, [](termios& t) { t.c_cc[VSTART] = t.c_cc[VSTOP] = 0; });
  const std::string line(2000, 'x');
  for (const std::string& text :
       {line + "\n", line + "\n", line, std::string(2000, '\x12'), std::string("y\n")}) {
    type(pair.master, text);
  }
  struct sigaction restarts = {};
  restarts.sa_handler = [](int) {};
  restarts.sa_flags = SA_RESTART;
  const itimerval often = {{0, 1000}, {0, 1000}};
  CHECK(sigaction(SIGALRM, &restarts, nullptr) == 0 && setitimer(ITIMER_REAL, &often, nullptr) == 0);
  char buffer[4096];
  for (int i = 0; i < 3; ++i) printf("read %zd\n", read(pair.terminal, buffer, sizeof buffer));
  const itimerval never = {};
  CHECK(setitimer(ITIMER_REAL, &never, nullptr) == 0);
  close_pair(pair);
}

}  // namespace

int main() {
  const int status = status_in_session([] {
    check("others run", [] { print_writer("killed", [](pid_t writer) { kill(writer, SIGKILL); }); });
    check("time goes on", [] { print_writer("alarm", [](pid_t) {}); });
    check("who reads", print_reader);
    check("who reads is interrupted", print_interrupted_reader);
  });
  CHECK(status == 0);
  return finish();
}
