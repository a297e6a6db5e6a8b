// Job control: controlling terminals, foreground and background, stops by reading and writing, orphans,
// hang-ups, the end of a session, signals of keys and sizes, /proc. Prints the same on Linux.
#include <vector>

#include "tests/boot/programs/tty_checks.h"

namespace {

constexpr int kAll[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU, SIGWINCH};
volatile sig_atomic_t g_came[65];
volatile sig_atomic_t g_code;

void note(int number, siginfo_t* info, void*) {
  g_came[number] = g_came[number] + 1;
  g_code = info->si_code;
}
void catch_all(int flags = 0) {
  for (const int number : kAll) {
    struct sigaction action = {};
    action.sa_sigaction = note;
    action.sa_flags = SA_SIGINFO | flags;
    CHECK(sigaction(number, &action, nullptr) == 0);
  }
}
// What came, and forgets it.
std::string came() {
  std::string names;
  for (const int number : kAll) {
    for (int times = g_came[number]; times > 0; --times) {
      names += std::string(" ") + sigabbrev_np(number);
    }
    g_came[number] = 0;
  }
  return names.empty() ? " nothing" : names;
}
void await_signal(int number) {
  while (g_came[number] == 0) {
    sched_yield();
  }
}

// A line that one process writes and another waits for.
struct Line {
  int ends[2];
  Line() { CHECK(pipe(ends) == 0); }
  void say() const { CHECK(write(ends[1], "x", 1) == 1); }
  void hear() const {
    char c;
    ssize_t got;
    do {
      got = read(ends[0], &c, 1);
    } while (got < 0 && errno == EINTR);
    CHECK(got == 1);
  }
};

// How a child ended or stopped.
void print_wait(const char* what, pid_t child) {
  int status = 0;
  pid_t got;
  do {
    got = waitpid(child, &status, WUNTRACED);
  } while (got < 0 && errno == EINTR);
  CHECK(got == child);
  if (WIFSTOPPED(status)) {
    printf("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
  } else if (WIFSIGNALED(status)) {
    printf("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
  } else {
    printf("%s: ended with %d\n", what, WEXITSTATUS(status));
  }
}

// The body in a child that has a process group of its own; it begins when that is so.
template <class Body>
pid_t start(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    setpgid(0, 0);
    body();
    fflush(stdout);
    _exit(0);
  }
  setpgid(child, child);
  return child;
}

// The leader's terminal.
Pair controlling_pair() {
  const Pair pair = open_pair();
  CHECK(ioctl(pair.terminal, TIOCSCTTY, 0) == 0);
  return pair;
}

struct InProc {
  int terminal;
  int foreground;
};
InProc in_proc(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  FILE* const file = fopen(path, "r");
  InProc found = {};
  CHECK(file != nullptr &&
        fscanf(file, "%*d %*s %*c %*d %*d %*d %d %d", &found.terminal, &found.foreground) == 2);
  fclose(file);
  return found;
}

void print_ids(const char* what, int file) {
  pid_t session = -2;
  const int session_answer = ioctl(file, TIOCGSID, &session);
  const int session_error = errno;
  pid_t group = -2;
  const int group_answer = ioctl(file, TIOCGPGRP, &group);
  printf("%s: session %s, foreground %s\n", what,
         session_answer == 0 ? whose(session, getsid(0)) : strerrorname_np(session_error),
         group_answer == 0 ? whose(group, getpgrp()) : strerrorname_np(errno));
}
void print_own(const char* what) {
  const int own = open("/dev/tty", O_RDWR);
  print_answer(what, own < 0 ? own : 0);
  if (own >= 0) close(own);
}

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

void print_keys() {
  const Pair pair = controlling_pair();
  catch_all();
  signal(SIGTTOU, SIG_IGN);
  const auto print_key = [&](const char* what, const char* key, int number) {
    type(pair.master, key);
    await_signal(number);
    printf("%s:%s, code %x\n", what, came().c_str(), static_cast<unsigned>(g_code));
  };
  print_key("^C", "\x03", SIGINT);
  print_key("^\\", "\x1c", SIGQUIT);
  print_key("^Z", "\x1a", SIGTSTP);
  type(pair.terminal, "|");
  printf("shown %s\n", escaped(read_until(pair.master, "|")).c_str());
  const auto print_rest = [&](const char* what, const char* typed) {
    type(pair.master, typed);
    await_signal(SIGINT);
    type(pair.master, "rest\n");
    printf("%s:%s, then %s", what, came().c_str(), escaped(read_until(pair.terminal, "\n")).c_str());
    type(pair.terminal, "|");
    printf(", shown %s\n", escaped(read_until(pair.master, "|")).c_str());
  };
  print_rest("half a line", "half\x03");
  change(pair.terminal, [](termios& t) { t.c_lflag |= NOFLSH; });
  print_rest("NOFLSH", "half\x03");
  winsize size = {5, 6, 7, 8};
  CHECK(ioctl(pair.master, TIOCSWINSZ, &size) == 0);
  printf("a size:%s\n", came().c_str());
  CHECK(ioctl(pair.master, TIOCSWINSZ, &size) == 0);
  printf("the same:%s\n", came().c_str());
  size.ws_row = 9;
  CHECK(ioctl(pair.terminal, TIOCSWINSZ, &size) == 0);
  printf("another:%s\n", came().c_str());
  CHECK(ioctl(pair.master, TIOCSIG, SIGQUIT) == 0);
  printf("TIOCSIG:%s\n", came().c_str());
  const Line ready;
  const pid_t child = start([&] {
    catch_all();
    ready.say();
    for (;;) pause();
  });
  const pid_t second = start([&] {
    CHECK(setpgid(0, child) == 0);
    signal(SIGINT, SIG_DFL);
    ready.say();
    for (;;) pause();
  });
  ready.hear();
  ready.hear();
  CHECK(tcsetpgrp(pair.terminal, child) == 0);
  type(pair.master, "\x03");
  print_wait("one of the foreground", second);
  printf("the leader:%s\n", came().c_str());
  kill(child, SIGKILL);
  print_wait("the other", child);
  CHECK(tcsetpgrp(pair.terminal, getpgrp()) == 0);
  signal(SIGHUP, SIG_IGN);
  close_pair(pair);
}

// What the master's end means to the leader, the foreground and the background.
void print_hang_up() {
  const Pair pair = controlling_pair();
  signal(SIGTTOU, SIG_IGN);
  catch_all();
  const Line ready, first, second;
  const auto job = [&](const char* what, const Line& go) {
    return start([&, what] {
      catch_all();
      CHECK(close(pair.master) == 0);
      ready.say();
      go.hear();
      printf("%s:%s\n", what, came().c_str());
      print_own(what);
      printf("in /proc: %d %d\n", in_proc(getpid()).terminal, in_proc(getpid()).foreground);
      print_answer(what, write(pair.terminal, "x", 1));
    });
  };
  const pid_t foreground = job("foreground", first);
  const pid_t background = job("background", second);
  ready.hear();
  ready.hear();
  CHECK(tcsetpgrp(pair.terminal, foreground) == 0);
  CHECK(close(pair.master) == 0);
  await_signal(SIGCONT);
  printf("leader:%s\n", came().c_str());
  print_own("leader");
  first.say();
  print_wait("one", foreground);
  second.say();
  print_wait("the other", background);
  CHECK(close(pair.terminal) == 0);
}

// The leader ends first: in a session of its own.
template <class Body>
void end_of_leader(const char* what, bool hung_up, Body prepare) {
  const Pair pair = open_pair();
  const Line ready, first, second, done;
  const pid_t leader = fork();
  CHECK(leader >= 0);
  if (leader == 0) {
    CHECK(setsid() == getpid() && ioctl(pair.terminal, TIOCSCTTY, 0) == 0);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    const auto job = [&](const char* which, const Line& go) {
      return start([&, which] {
        catch_all();
        CHECK(close(pair.master) == 0);
        ready.say();
        go.hear();
        printf("%s:%s, code %x\n", which, came().c_str(), static_cast<unsigned>(g_code));
        print_own(which);
        print_answer(which, write(pair.terminal, "x", 1));
        done.say();
      });
    };
    const pid_t foreground = job("foreground", first);
    job("background", second);
    ready.hear();
    ready.hear();
    CHECK(tcsetpgrp(pair.terminal, foreground) == 0);
    prepare(pair);
    _exit(3);
  }
  if (hung_up) {
    close(pair.master);
  }
  print_wait(what, leader);
  for (const Line* const go : {&first, &second}) {
    go->say();
    done.hear();
  }
  print_ids("the terminal", pair.terminal);
  const int status = status_of_child([&] {
    CHECK(setsid() == getpid());
    print_answer("is free", ioctl(pair.terminal, TIOCSCTTY, 0));
    fflush(stdout);
  });
  CHECK(WIFEXITED(status));
  close(pair.master);
  close(pair.terminal);
}

void print_end_of_leader() {
  end_of_leader("leader ends", false, [](Pair) {});
  end_of_leader("leader gives up", false, [](Pair pair) { CHECK(ioctl(pair.terminal, TIOCNOTTY) == 0); });
  end_of_leader("leader after a hang-up", true, [](Pair pair) {
    CHECK(close(pair.master) == 0);
    while (ioctl(pair.terminal, TIOCOUTQ, &pair.master) == 0) sched_yield();
  });
  end_of_leader("vhangup", false, [](Pair) { CHECK(vhangup() == 0); });
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

template <class Body>
void in_session(const char* name, Body body) {
  check(name, [&] { CHECK(status_in_session(body) == 0); });
}

}  // namespace

int main() {
  in_session("getting one", print_getting);
  in_session("foreground", print_foreground);
  in_session("background", print_background);
  in_session("keys", print_keys);
  in_session("hang-up", print_hang_up);
  in_session("end of a leader", print_end_of_leader);
  in_session("jobs", print_jobs);
  return finish();
}
