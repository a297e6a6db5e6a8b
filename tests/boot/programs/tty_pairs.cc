// Pseudo terminals: /dev/ptmx and /dev/pts, opening and closing either side, hang-ups, packets, stopped
// output. Prints the same on Linux.
#include <asm/ioctls.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <vector>

#include "tests/boot/programs/file_checks.h"
#include "tests/boot/programs/tty_checks.h"

namespace {

bool listed(const std::string& name) {
  const std::vector<std::string> names = names_in("/dev/pts");
  return std::find(names.begin(), names.end(), name.substr(9)) != names.end();
}

void print_names() {
  struct stat info = stat_of("/dev/ptmx");
  printf("ptmx %u:%u, tty %u:%u\n", major(info.st_rdev), minor(info.st_rdev),
         major(stat_of("/dev/tty").st_rdev), minor(stat_of("/dev/tty").st_rdev));
  const int master = open_master();
  const std::string name = name_of(master);
  unsigned number = ~0u;
  CHECK(ioctl(master, TIOCGPTN, &number) == 0);
  CHECK(name == "/dev/pts/" + std::to_string(number));
  info = stat_of(name.c_str());
  printf("terminal: character %d, major %u, minor is its number %d, inode %d, owner %d\n",
         S_ISCHR(info.st_mode), major(info.st_rdev), minor(info.st_rdev) == number, info.st_ino == number + 3,
         info.st_uid == getuid());
  struct statfs system;
  CHECK(statfs("/dev/pts", &system) == 0);
  printf("listed %d, file system %lx, directory inode %lu\n", listed(name), static_cast<long>(system.f_type),
         static_cast<unsigned long>(stat_of("/dev/pts").st_ino));
  print_answer("locked", open(name.c_str(), O_RDWR | O_NOCTTY));
  int locked = -1;
  CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0);
  printf("lock %d\n", locked);
  unlock(master);
  CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0);
  printf("lock %d\n", locked);
  const int terminal = open(name.c_str(), O_RDWR | O_NOCTTY);
  CHECK(terminal >= 0);
  printf("terminals %d %d\n", isatty(master), isatty(terminal));
  char path[64];
  char target[64] = {};
  snprintf(path, sizeof path, "/proc/self/fd/%d", terminal);
  CHECK(readlink(path, target, sizeof target - 1) > 0);
  printf("named %d %d\n", name == target, name == ttyname(terminal));
  const int again = open(path, O_RDWR | O_NOCTTY);
  CHECK(again >= 0);
  CHECK(fstat(terminal, &info) == 0 && info.st_rdev == stat_of(name.c_str()).st_rdev);
  const int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  CHECK(peer >= 0 && ttyname(peer) == name);
  printf("peer: closes on exec %d, flags %x\n", fcntl(peer, F_GETFD), fcntl(peer, F_GETFL) & ~0100000);
  const int second = open_master();
  printf("numbers differ %d\n", name_of(second) != name);
  CHECK(close(second) == 0 && close(again) == 0 && close(peer) == 0);
  print_answer("seek", lseek(terminal, 0, SEEK_CUR));
  print_answer("seek of the master", lseek(master, 0, SEEK_CUR));
  print_answer("truncate", ftruncate(terminal, 0));
  print_answer("pread", pread(terminal, path, 1, 0));
  CHECK(close(master) == 0);
  printf("listed %d\n", listed(name));
  print_answer("gone", open(name.c_str(), O_RDWR | O_NOCTTY));
  CHECK(close(terminal) == 0);
  print_answer("unlink", unlink("/dev/pts/ptmx"));
  print_answer("make", mkdir("/dev/pts/x", 0777));
  print_answer("create", open("/dev/pts/x", O_CREAT | O_RDWR, 0666));
}

void print_closed_master() {
  const Pair pair = open_pair();
  type(pair.master, "left\n");
  await_event(pair.terminal, POLLIN);
  CHECK(close(pair.master) == 0);
  printf("events %x\n", events_of(pair.terminal));
  print_read("read", pair.terminal);
  print_answer("write", write(pair.terminal, "x", 1));
  winsize size;
  print_answer("TIOCGWINSZ", ioctl(pair.terminal, TIOCGWINSZ, &size));
  pid_t group = 0;
  print_answer("TIOCSPGRP", ioctl(pair.terminal, TIOCSPGRP, &group));
  int bytes = 0;
  print_answer("FIONREAD", ioctl(pair.terminal, FIONREAD, &bytes));
  printf("terminal %d\n", isatty(pair.terminal));
  CHECK(close(pair.terminal) == 0);
}

void on_signal(int) {}
int g_master = -1;
void close_master(int) { close(g_master); }

void print_waiting_at_the_end() {
  const Pair pair = open_pair();
  g_master = pair.master;
  signal(SIGUSR1, close_master);
  fflush(stdout);
  const pid_t parent = getpid();
  const pid_t reader = fork();
  if (reader == 0) {
    signal(SIGUSR1, on_signal);
    CHECK(close(pair.master) == 0);
    const pid_t closer = fork();
    if (closer == 0) {
      await_state(getppid(), 'S');
      kill(parent, SIGUSR1);
      _exit(0);
    }
    print_read("waiting read", pair.terminal);
    print_read("next read", pair.terminal);
    fflush(stdout);
    _exit(waitpid(closer, nullptr, 0) == closer ? 0 : 1);
  }
  int status = 0;
  while (waitpid(reader, &status, 0) != reader) {
  }
  CHECK(status == 0 && close(pair.terminal) == 0);
  signal(SIGUSR1, SIG_DFL);
}

void print_closed_terminal() {
  const Pair pair = open_pair();
  const std::string name = name_of(pair.master);
  printf("open: events %x\n", events_of(pair.master));
  change(pair.terminal, [](termios& t) {
    t.c_cc[VINTR] = 'x';
    t.c_lflag &= ~tcflag_t{ECHO};
  });
  type(pair.terminal, "said\n");
  await_event(pair.master, POLLIN);
  CHECK(close(pair.terminal) == 0);
  printf("closed: events %x\n", events_of(pair.master));
  print_read("what was said", pair.master);
  printf("read: events %x\n", events_of(pair.master));
  print_read("then", pair.master);
  print_answer("typed", write(pair.master, "typed\n", 6));
  const int again = open(name.c_str(), O_RDWR | O_NOCTTY);
  CHECK(again >= 0);
  await_event(again, POLLIN);
  print_read("typed before", again);
  printf("settings stay %c\n", settings_of(again).c_cc[VINTR]);
  set_flags(pair.master, O_RDWR | O_NONBLOCK);
  print_read("again open", pair.master);
  const int third = dup(again);
  CHECK(close(again) == 0);
  print_read("open twice", pair.master);
  CHECK(close(third) == 0);
  print_read("closed twice", pair.master);
  CHECK(close(pair.master) == 0);
  const int alone = open_master();
  set_flags(alone, O_RDWR | O_NONBLOCK);
  print_read("never open", alone);
  printf("events %x\n", events_of(alone));
  CHECK(close(alone) == 0);
}

void print_full() {
  const Pair pair = open_pair();
  make_raw(pair.terminal);
  set_flags(pair.terminal, O_RDWR | O_NONBLOCK);
  const std::string text = pattern(1000);
  std::string sent;
  for (int idle = 0; idle < 100;) {
    const ssize_t wrote = write(pair.terminal, text.data(), text.size());
    CHECK(wrote > 0 || errno == EAGAIN);
    sent += text.substr(0, wrote > 0 ? static_cast<size_t>(wrote) : 0);
    idle = wrote > 0 ? 0 : idle + 1;
    sched_yield();
  }
  printf("bounded %d, events %x\n", sent.size() >= 4095 && sent.size() < 65536,
         events_of(pair.terminal, POLLOUT));
  std::string got;
  while (got.size() < sent.size()) {
    char buffer[3000];
    const ssize_t piece = read(pair.master, buffer, sizeof buffer);
    CHECK(piece > 0);
    got.append(buffer, static_cast<size_t>(piece));
  }
  printf("the same %d\n", got == sent);
  await_event(pair.terminal, POLLOUT);
  // A writer that waits.
  set_flags(pair.terminal, O_RDWR);
  fflush(stdout);
  const pid_t writer = fork();
  const std::string much = pattern(100'000);
  if (writer == 0) {
    _exit(write(pair.terminal, much.data(), much.size()) == static_cast<ssize_t>(much.size()) ? 0 : 1);
  }
  got.clear();
  while (got.size() < much.size()) {
    char buffer[3000];
    const ssize_t piece = read(pair.master, buffer, sizeof buffer);
    CHECK(piece > 0);
    got.append(buffer, static_cast<size_t>(piece));
  }
  int status = 0;
  CHECK(waitpid(writer, &status, 0) == writer);
  printf("all of it %d, status %d\n", got == much, status);
  // And the other way.
  fflush(stdout);
  const pid_t typist = fork();
  if (typist == 0) {
    _exit(write(pair.master, much.data(), much.size()) == static_cast<ssize_t>(much.size()) ? 0 : 1);
  }
  got.clear();
  while (got.size() < much.size()) {
    char buffer[3000];
    const ssize_t piece = read(pair.terminal, buffer, sizeof buffer);
    CHECK(piece > 0);
    got.append(buffer, static_cast<size_t>(piece));
  }
  CHECK(waitpid(typist, &status, 0) == typist);
  printf("typed %d, status %d\n", got == much, status);
  close_pair(pair);
}

void print_flow() {
  const Pair pair = open_pair();
  set_flags(pair.terminal, O_RDWR | O_NONBLOCK);
  change(pair.terminal, [](termios& t) { t.c_lflag &= ~tcflag_t{ECHO}; });
  const auto print_write = [&](const char* what) { print_answer(what, write(pair.terminal, "w", 1)); };
  const auto stopped_by = [&](const char* key) {
    type(pair.master, key);
    while (write(pair.terminal, "s", 1) == 1) {
      sched_yield();
    }
  };
  stopped_by("\x13");
  print_write("stopped");
  printf("events %x\n", events_of(pair.terminal));
  type(pair.master, "\x11");
  await_event(pair.terminal, POLLOUT);
  print_write("started");
  CHECK(tcflow(pair.terminal, TCOOFF) == 0);
  print_write("stopped by a call");
  type(pair.master, "\x11line\n");
  await_event(pair.terminal, POLLIN);
  print_write("a key does not start it");
  CHECK(tcflow(pair.terminal, TCOON) == 0);
  print_write("started by a call");
  stopped_by("\x13");
  change(pair.terminal, [](termios& t) { t.c_iflag &= ~tcflag_t{IXON}; });
  print_write("no key can start it");
  tcflush(pair.master, TCIFLUSH);
  change(pair.terminal, [](termios& t) { t.c_iflag |= IXON | IXANY; });
  stopped_by("\x13");
  tcflush(pair.master, TCIFLUSH);
  change(pair.terminal, [](termios& t) { t.c_lflag |= ECHO; });
  type(pair.master, "any\n");
  printf("any key %s\n", escaped(read_until(pair.master, "\n")).c_str());
  CHECK(tcflow(pair.terminal, TCIOFF) == 0);
  CHECK(tcflow(pair.terminal, TCION) == 0);
  type(pair.terminal, "|");
  printf("sent %s\n", escaped(read_until(pair.master, "|")).c_str());
  print_answer("nonsense", ioctl(pair.terminal, TCXONC, 4));
  print_answer("nonsense of the master", ioctl(pair.master, TCXONC, 4));
  set_flags(pair.master, O_RDWR | O_NONBLOCK);
  CHECK(tcflow(pair.master, TCOOFF) == 0);
  print_answer("master stopped", write(pair.master, "x", 1));
  printf("events %x\n", events_of(pair.master, POLLOUT));
  CHECK(tcflow(pair.master, TCOON) == 0);
  print_answer("master started", write(pair.master, "x", 1));
  close_pair(pair);
}

void print_packets() {
  const Pair pair = open_pair();
  const int on = 1, off = 0;
  int mode = -1;
  CHECK(ioctl(pair.master, TIOCPKT, &on) == 0 && ioctl(pair.master, TIOCGPKT, &mode) == 0);
  printf("packets %d\n", mode);
  type(pair.terminal, "text");
  await_event(pair.master, POLLIN);
  print_read("data", pair.master);
  const auto print_status = [&](const char* what) {
    await_event(pair.master, POLLPRI);
    printf("%s: events %x ", what, events_of(pair.master));
    print_read("read", pair.master);
  };
  CHECK(tcflush(pair.terminal, TCIFLUSH) == 0);
  print_status("TCIFLUSH");
  CHECK(tcflush(pair.terminal, TCOFLUSH) == 0);
  print_status("TCOFLUSH");
  CHECK(tcflush(pair.terminal, TCIOFLUSH) == 0);
  print_status("TCIOFLUSH");
  CHECK(tcflow(pair.terminal, TCOOFF) == 0);
  print_status("TCOOFF");
  CHECK(tcflow(pair.terminal, TCOON) == 0);
  print_status("TCOON");
  change(pair.terminal, [](termios& t) { t.c_iflag &= ~tcflag_t{IXON}; });
  print_status("no IXON");
  change(pair.terminal, [](termios& t) { t.c_iflag |= IXON; });
  print_status("IXON");
  change(pair.terminal, [](termios& t) { t.c_lflag |= EXTPROC; });
  print_status("EXTPROC");
  change(pair.terminal, [](termios& t) {
    t.c_lflag &= ~tcflag_t{EXTPROC};
    t.c_cc[VSTOP] = 'q';
  });
  print_status("both");
  type(pair.terminal, "more");
  CHECK(tcflush(pair.terminal, TCIFLUSH) == 0);
  print_status("before data");
  await_bytes(pair.master, 4);
  char buffer[3];
  const ssize_t got = read(pair.master, buffer, sizeof buffer);
  printf("%zd: %d %c %c\n", got, buffer[0], buffer[1], buffer[2]);
  CHECK(ioctl(pair.master, TIOCPKT, &off) == 0);
  print_read("no packets", pair.master);
  print_answer("of the terminal", ioctl(pair.terminal, TIOCPKT, &on));
  close_pair(pair);
}

void print_hang_up() {
  const Pair pair = open_pair();
  const std::string name = name_of(pair.master);
  print_answer("TIOCVHANGUP", ioctl(pair.terminal, TIOCVHANGUP));
  printf("events %x of the master %x\n", events_of(pair.terminal), events_of(pair.master));
  print_read("read", pair.terminal);
  print_answer("write", write(pair.terminal, "x", 1));
  const int again = open(name.c_str(), O_RDWR | O_NOCTTY);
  print_answer("opened again", again < 0 ? again : 0);
  print_answer("write", write(again, "y", 1));
  CHECK(close(pair.terminal) == 0);
  print_read("heard", pair.master);
  CHECK(close(again) == 0);
  print_read("heard", pair.master);
  CHECK(close(pair.master) == 0);
}

void print_many() {
  constexpr int kPairs = 40;
  std::vector<Pair> pairs;
  pairs.reserve(kPairs);
  for (int i = 0; i < kPairs; ++i) {
    pairs.push_back(open_pair());
  }
  for (int i = 0; i < kPairs; ++i) {
    type(pairs[static_cast<size_t>(i)].master, std::to_string(i) + "\n");
  }
  int right = 0;
  for (int i = 0; i < kPairs; ++i) {
    const Pair pair = pairs[static_cast<size_t>(i)];
    right += read_until(pair.terminal, "\n") == std::to_string(i) + "\n" ? 1 : 0;
    close_pair(pair);
  }
  printf("right %d\n", right);
}

}  // namespace

int main() {
  const int status = status_in_session([] {
    check("names", print_names);
    check("closed master", print_closed_master);
    check("waiting at the end", print_waiting_at_the_end);
    check("closed terminal", print_closed_terminal);
    check("full", print_full);
    check("flow", print_flow);
    check("packets", print_packets);
    check("hang-up", print_hang_up);
    check("many", print_many);
  });
  CHECK(status == 0);
  return finish();
}
