// What a terminal signals: keys and sizes, hang-ups, the end of a session. Prints the same on Linux.
#include "tests/boot/programs/tty_job_checks.h"

namespace {

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

}  // namespace

int main() {
  in_session("keys", print_keys);
  in_session("hang-up", print_hang_up);
  in_session("end of a leader", print_end_of_leader);
  return finish();
}
