// What the boot tests of terminals share. On Linux what is written to a master is typed by somebody else,
// later: whoever wants to see its effect waits for it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include <string>

#include "tests/boot/programs/checks.h"

struct Pair {
  int master;
  int terminal;
};

inline void set_flags(int file, int flags) { CHECK(fcntl(file, F_SETFL, flags) == 0); }

inline int open_master() {
  const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
  CHECK(master >= 0);
  return master;
}
inline void unlock(int master) {
  const int no = 0;
  CHECK(ioctl(master, TIOCSPTLCK, &no) == 0);
}
inline std::string name_of(int master) {
  char name[64];
  CHECK(ptsname_r(master, name, sizeof name) == 0);
  return name;
}
inline Pair open_pair() {
  const int master = open_master();
  unlock(master);
  const int terminal = open(name_of(master).c_str(), O_RDWR | O_NOCTTY);
  CHECK(terminal >= 0);
  return {master, terminal};
}
inline void close_pair(Pair pair) {
  CHECK(close(pair.terminal) == 0);
  CHECK(close(pair.master) == 0);
}

inline termios settings_of(int file) {
  termios settings;
  CHECK(tcgetattr(file, &settings) == 0);
  return settings;
}
template <class Change>
void change(int file, Change body) {
  termios settings = settings_of(file);
  body(settings);
  CHECK(ioctl(file, TCSETS, &settings) == 0);
}
inline void make_raw(int file) {
  change(file, [](termios& t) {
    t.c_lflag &= ~tcflag_t{ICANON | ECHO | ISIG};
    t.c_iflag = 0;
    t.c_oflag = 0;
  });
}

inline void type(int master, const std::string& text) {
  CHECK(write(master, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}
inline std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    char form[8];
    const auto byte = static_cast<unsigned char>(c);
    snprintf(form, sizeof form, byte >= 0x20 && byte < 0x7f && c != '\\' ? "%c" : "\\x%02x", byte);
    out += form;
  }
  return out;
}
// What comes, up to a text that ends it.
inline std::string read_until(int file, const std::string& end) {
  std::string text;
  while (text.find(end) == std::string::npos) {
    char buffer[256];
    const ssize_t got = read(file, buffer, sizeof buffer);
    CHECK(got > 0);
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}
// Waits until so many bytes can be read.
inline void await_bytes(int file, int bytes) {
  int now = 0;
  while (now < bytes) {
    CHECK(ioctl(file, FIONREAD, &now) == 0);
    sched_yield();
  }
}
inline int events_of(int file, short wanted = POLLIN | POLLOUT | POLLPRI) {
  pollfd entry = {file, wanted, 0};
  CHECK(poll(&entry, 1, 0) >= 0);
  return entry.revents;
}
inline void await_event(int file, short event) {
  pollfd entry = {file, event, 0};
  CHECK(poll(&entry, 1, 20'000) == 1);
}
// A number as it is, an error by its name.
inline void print_answer(const std::string& what, long answer) {
  if (answer >= 0) {
    printf("%s: %ld\n", what.c_str(), answer);
  } else {
    printf("%s: %s\n", what.c_str(), strerrorname_np(errno));
  }
}
inline void print_read(const char* what, int file) {
  char buffer[300];
  const ssize_t got = read(file, buffer, sizeof buffer);
  if (got < 0) {
    print_answer(what, got);
  } else {
    printf("%s: %zd [%s]\n", what, got, escaped(std::string(buffer, static_cast<size_t>(got))).c_str());
  }
}

// A name for the numbers of processes, which differ.
inline const char* whose(pid_t id, pid_t own) { return id == own ? "own" : id == 0 ? "none" : "another's"; }

// The body in a process that leads a session without a terminal.
template <class Body>
int status_in_session(Body body) {
  return status_of_child([&] {
    CHECK(setsid() == getpid());
    for (const int number :
         {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGWINCH}) {
      CHECK(signal(number, SIG_DFL) != SIG_ERR);
    }
    sigset_t none;
    sigemptyset(&none);
    CHECK(sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
    setvbuf(stdout, nullptr, _IOLBF, 0);
    body();
    fflush(stdout);
  });
}
