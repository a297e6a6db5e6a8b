// Job control: controlling terminals, foreground and background, stops by reading and writing, orphans,
// /proc. Prints the same on Linux.
#include "tests/boot/programs/tty_job_checks.h"

namespace {

void print_getting() {
  const InProc before = in_proc(getpid());
  printf("before: %d %d\n", before.terminal, before.foreground);
  print_own("no own");
  const int master = open_master();
  unlock(master);
  const std::string name = name_of(master);
  int terminal = open(name.c_str(), O_RDWR | O_NOCTTY);
  print_own("O_NOCTTY");
  CHECK(close(terminal) == 0);
  terminal = open(name.c_str(), O_WRONLY);
  print_own("to write");
  CHECK(close(terminal) == 0);
  terminal = open(name.c_str(), O_RDWR);
  print_own("opened");
  print_ids("opened", terminal);
  print_ids("of the master", master);
  const InProc now = in_proc(getpid());
  struct stat info;
  CHECK(fstat(terminal, &info) == 0);
  printf("in /proc: %d %d\n", now.terminal == static_cast<int>(info.st_rdev), now.foreground == getpgrp());
  const Pair other = open_pair();
  print_answer("a second one", ioctl(other.terminal, TIOCSCTTY, 0));
  print_answer("again", ioctl(terminal, TIOCSCTTY, 0));
  print_answer("not its own", ioctl(other.terminal, TIOCNOTTY));
  const int own = open("/dev/tty", O_RDWR);
  CHECK(own >= 0 && fstat(own, &info) == 0);
  printf("own: device %lx, name %s\n", static_cast<unsigned long>(info.st_rdev), ttyname(own));
  type(master, "line\n");
  printf("read %s", read_until(own, "\n").c_str());
  CHECK(write(own, "|", 1) == 1);
  printf("said %s\n", escaped(read_until(master, "|")).c_str());
  int status = status_of_child([&] {
    print_ids("a child's", terminal);
    print_own("a child's own");
    print_answer("a child's TIOCSCTTY", ioctl(other.terminal, TIOCSCTTY, 0));
    CHECK(setpgid(0, 0) == 0);
    print_ids("in another group", terminal);
    print_answer("given up", ioctl(terminal, TIOCNOTTY));
    print_own("then");
    print_answer("TIOCGPGRP", ioctl(terminal, TIOCGPGRP, &status));
    printf("in /proc: %d %d\n", in_proc(getpid()).terminal, in_proc(getpid()).foreground);
    fflush(stdout);
  });
  CHECK(status == 0);
  print_own("still");
  status = status_of_child([&] {
    CHECK(setsid() == getpid());
    print_own("after setsid");
    print_ids("after setsid", terminal);
    print_answer("another's", ioctl(terminal, TIOCSCTTY, 0));
    print_answer("opened", close(open(name.c_str(), O_RDWR)));
    print_own("then");
    print_answer("stolen", ioctl(terminal, TIOCSCTTY, 1));
    print_own("then");
    fflush(stdout);
    signal(SIGHUP, SIG_IGN);
  });
  CHECK(status == 0);
  print_own("robbed");
  print_ids("robbed", terminal);
  print_answer("another", ioctl(other.terminal, TIOCSCTTY, 0));
  print_own("then");
  CHECK(close(terminal) == 0 && close(master) == 0 && close(own) == 0);
  print_own("another stays");
  signal(SIGHUP, SIG_IGN);
  close_pair(other);
}

void print_foreground() {
  const Pair pair = controlling_pair();
  catch_all();
  pid_t group = 1 << 21;
  print_answer("no such group", ioctl(pair.terminal, TIOCSPGRP, &group));
  group = -1;
  print_answer("negative", ioctl(pair.terminal, TIOCSPGRP, &group));
  group = getppid();
  print_answer("of another session", ioctl(pair.terminal, TIOCSPGRP, &group));
  print_answer("by the master", ioctl(pair.master, TIOCSPGRP, &group));
  const Line line;
  const pid_t child = start([&] {
    catch_all();
    line.hear();
    print_ids("a child's", pair.terminal);
    const pid_t own = getpgrp();
    print_answer("takes it", ioctl(pair.terminal, TIOCSPGRP, &own));
    printf("came%s\n", came().c_str());
    signal(SIGTTOU, SIG_IGN);
    print_answer("takes it, ignoring", ioctl(pair.terminal, TIOCSPGRP, &own));
    print_ids("a child's", pair.terminal);
    printf("in /proc %d\n", in_proc(getpid()).foreground == own);
    fflush(stdout);
  });
  line.say();
  print_wait("child", child);
  printf("came%s\n", came().c_str());
  print_ids("afterwards", pair.terminal);
  signal(SIGTTOU, SIG_IGN);
  CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
  print_ids("taken back", pair.terminal);
  CHECK(close(pair.terminal) == 0);
  signal(SIGHUP, SIG_IGN);
  CHECK(close(pair.master) == 0);
}

void print_background() {
  const Pair pair = controlling_pair();
  char c;
  pid_t child = start([&] {
    const ssize_t got = read(pair.terminal, &c, 1);
    printf("read %zd %c\n", got, c);
  });
  print_wait("reads", child);
  type(pair.master, "y\n");
  kill(child, SIGCONT);
  print_wait("reads", child);
  CHECK(tcsetpgrp(pair.terminal, child) == 0);
  kill(child, SIGCONT);
  print_wait("reads", child);
  signal(SIGTTOU, SIG_IGN);
  CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
  CHECK(tcflush(pair.terminal, TCIFLUSH) == 0);
  signal(SIGTTOU, SIG_DFL);

  child = start([&] {
    catch_all();
    print_answer("read, caught", read(pair.terminal, &c, 1));
    printf("came%s, code %x\n", came().c_str(), static_cast<unsigned>(g_code));
    signal(SIGTTIN, SIG_IGN);
    print_answer("read, ignored", read(pair.terminal, &c, 1));
    signal(SIGTTIN, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTTIN);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    print_answer("read, blocked", read(pair.terminal, &c, 1));
    print_answer("write", write(pair.terminal, "w", 1));
    print_answer("poll", events_of(pair.terminal));
    termios settings = settings_of(pair.terminal);
    print_answer("TCSETS", ioctl(pair.terminal, TCSETS, &settings));
    print_answer("TCSETSF, nowhere", ioctl(pair.terminal, TCSETSF, 8));
    print_answer("TCFLSH", ioctl(pair.terminal, TCFLSH, 3));
    print_answer("TCXONC", ioctl(pair.terminal, TCXONC, 4));
    print_answer("TCSBRK", ioctl(pair.terminal, TCSBRK, 0));
    int number = 0;
    print_answer("TIOCSETD", ioctl(pair.terminal, TIOCSETD, &number));
    const winsize size = {1, 2, 3, 4};
    print_answer("TIOCSWINSZ", ioctl(pair.terminal, TIOCSWINSZ, &size));
    print_answer("FIONREAD", ioctl(pair.terminal, FIONREAD, &number));
    printf("came%s\n", came().c_str());
    signal(SIGTTOU, SIG_IGN);
    print_answer("TCSETS, ignored", ioctl(pair.terminal, TCSETS, &settings));
    settings.c_lflag |= TOSTOP;
    CHECK(ioctl(pair.terminal, TCSETS, &settings) == 0);
    print_answer("write, TOSTOP, ignored", write(pair.terminal, "w", 1));
    catch_all();
    print_answer("write, TOSTOP", write(pair.terminal, "w", 1));
    printf("came%s\n", came().c_str());
    print_answer("to the master", write(pair.master, "w\n", 2));
  });
  print_wait("child", child);
  child = start([&] { print_answer("write", write(pair.terminal, "w", 1)); });
  print_wait("writes", child);
  change(pair.terminal, [](termios& t) { t.c_lflag &= ~tcflag_t{TOSTOP}; });
  kill(child, SIGCONT);
  print_wait("writes", child);
  // Nobody could make this one go on.
  const Line go, done;
  child = start([&] {
    if (fork() == 0) {
      go.hear();
      print_answer("orphan reads", read(pair.terminal, &c, 1));
      termios settings = settings_of(pair.terminal);
      print_answer("orphan sets", ioctl(pair.terminal, TCSETS, &settings));
      const pid_t own = getpgrp();
      print_answer("orphan takes it", ioctl(pair.terminal, TIOCSPGRP, &own));
      print_answer("orphan writes", write(pair.terminal, "w", 1));
      done.say();
      _exit(0);
    }
  });
  print_wait("parent", child);
  go.say();
  done.hear();
  signal(SIGHUP, SIG_IGN);
  close_pair(pair);
}

// What a shell does: jobs that stop and go on, and what is left of them.
void print_jobs() {
  const Pair pair = controlling_pair();
  signal(SIGTTOU, SIG_IGN);
  signal(SIGTSTP, SIG_IGN);
  const Line ready;
  const pid_t job = start([&] {
    signal(SIGTTOU, SIG_IGN);
    CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
    signal(SIGTTOU, SIG_DFL);
    signal(SIGTSTP, SIG_DFL);
    ready.say();
    printf("heard %s", read_until(pair.terminal, "\n").c_str());
  });
  ready.hear();
  await_state(job, 'S');
  type(pair.master, "\x1a");
  print_wait("job", job);
  CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
  type(pair.master, "mine\n");
  printf("heard %s", read_until(pair.terminal, "\n").c_str());
  kill(-job, SIGCONT);
  print_wait("job", job);
  CHECK(tcsetpgrp(pair.terminal, job) == 0);
  kill(-job, SIGCONT);
  type(pair.master, "its\n");
  print_wait("job", job);
  CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
  signal(SIGHUP, SIG_IGN);
  close_pair(pair);
}

}  // namespace

int main() {
  in_session("getting one", print_getting);
  in_session("foreground", print_foreground);
  in_session("background", print_background);
  in_session("jobs", print_jobs);
  return finish();
}
