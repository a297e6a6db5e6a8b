// What every ioctl of terminals answers, on either side of a pty. Prints the same on Linux.
#include <asm/ioctls.h>
#include <sys/sysmacros.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"
#include "tests/boot/programs/tty_checks.h"

namespace {

void* at(uintptr_t address) {
  asm("" : "+r"(address));
  return reinterpret_cast<void*>(address);
}

struct Request {
  const char* name;
  unsigned long number;
};
#define REQUEST(name) {#name, name}

void print_ioctls() {
  constexpr Request kRequests[] = {
      REQUEST(TCGETS),     REQUEST(TCGETA),      REQUEST(TIOCGWINSZ),   REQUEST(TIOCGPGRP),
      REQUEST(TIOCGSID),   REQUEST(TIOCOUTQ),    REQUEST(FIONREAD),     REQUEST(TIOCGETD),
      REQUEST(TIOCSETD),   REQUEST(TIOCGEXCL),   REQUEST(TIOCGSOFTCAR), REQUEST(TIOCMGET),
      REQUEST(TIOCMSET),   REQUEST(TIOCGSERIAL), REQUEST(TIOCGDEV),     REQUEST(TIOCGPTN),
      REQUEST(TIOCSPTLCK), REQUEST(TIOCGPTLCK),  REQUEST(TIOCGPKT),     REQUEST(TIOCSPGRP),
      REQUEST(TIOCNOTTY),  REQUEST(TIOCSWINSZ),  REQUEST(TIOCSTI),      REQUEST(TCSETS),
      REQUEST(TCSETAF),    REQUEST(TIOCGICOUNT), {"unknown", 0x54ff},   {"other", 9999999},
  };
  const Pair pair = open_pair();
  for (const Request& request : kRequests) {
    alignas(8) char room[256] = {};
    for (const int file : {pair.terminal, pair.master}) {
      const std::string what = std::string(request.name) + (file == pair.master ? " of the master" : "");
      if (request.number != TIOCSTI) {
        print_answer(what, ioctl(file, request.number, room));
      }
      print_answer(what + ", nowhere", ioctl(file, request.number, at(8)));
      if (request.number == TIOCSPTLCK) {
        unlock(pair.master);
      }
    }
  }
  print_answer("TCSBRK", ioctl(pair.terminal, TCSBRK, 0));
  print_answer("TCSBRK 1", ioctl(pair.terminal, TCSBRK, 1));
  print_answer("TCSBRKP", ioctl(pair.terminal, TCSBRKP, 10));
  print_answer("TIOCSBRK", ioctl(pair.terminal, TIOCSBRK, 0));
  print_answer("TIOCCBRK", ioctl(pair.terminal, TIOCCBRK, 0));
  print_answer("TCSBRKP of the master", ioctl(pair.master, TCSBRKP, 10));
  print_answer("TCFLSH 3", ioctl(pair.terminal, TCFLSH, 3));
  print_answer("TCFLSH 3 of the master", ioctl(pair.master, TCFLSH, 3));
  print_answer("TIOCSIG 0", ioctl(pair.master, TIOCSIG, 0));
  print_answer("TIOCSIG INT", ioctl(pair.master, TIOCSIG, SIGINT));
  print_answer("TIOCSIG of the terminal", ioctl(pair.terminal, TIOCSIG, SIGINT));
  int number = 0;
  CHECK(ioctl(pair.terminal, TIOCGDEV, &number) == 0);
  printf("device: major %u %d\n", major(static_cast<dev_t>(number)),
         stat_of(name_of(pair.master).c_str()).st_rdev == static_cast<dev_t>(number));
  number = 7;
  print_answer("no such discipline", ioctl(pair.terminal, TIOCSETD, &number));
  CHECK(ioctl(pair.terminal, TIOCEXCL) == 0 && ioctl(pair.terminal, TIOCGEXCL, &number) == 0);
  printf("exclusive %d\n", number);
  const int again = open(name_of(pair.master).c_str(), O_RDWR | O_NOCTTY);
  printf("root may %d\n", again >= 0);
  fflush(stdout);
  const int status = status_of_child([&] {
    CHECK(chmod(name_of(pair.master).c_str(), 0666) == 0);
    CHECK(setuid(1000) == 0);
    print_answer("others", open(name_of(pair.master).c_str(), O_RDWR | O_NOCTTY));
    print_answer("TIOCVHANGUP", ioctl(pair.terminal, TIOCVHANGUP));
    print_answer("TIOCSTI", ioctl(pair.terminal, TIOCSTI, "x"));
    print_answer("vhangup", vhangup());
    fflush(stdout);
  });
  CHECK(status == 0 && close(again) == 0);
  CHECK(ioctl(pair.terminal, TIOCNXCL) == 0 && ioctl(pair.terminal, TIOCGEXCL, &number) == 0);
  printf("exclusive %d\n", number);
  const winsize size = {10, 20, 30, 40};
  winsize got;
  CHECK(ioctl(pair.terminal, TIOCGWINSZ, &got) == 0);
  printf("size %d %d %d %d\n", got.ws_row, got.ws_col, got.ws_xpixel, got.ws_ypixel);
  CHECK(ioctl(pair.master, TIOCSWINSZ, &size) == 0 && ioctl(pair.terminal, TIOCGWINSZ, &got) == 0);
  printf("size %d %d %d %d\n", got.ws_row, got.ws_col, got.ws_xpixel, got.ws_ypixel);
  close_pair(pair);
}

void print_locks() {
  const Pair pair = open_pair();
  termios locks{}, wanted{};
  for (const int file : {pair.terminal, pair.master}) {
    CHECK(ioctl(file, TIOCGLCKTRMIOS, &locks) == 0);
    printf("locks %x %x %x %x %d %d\n", locks.c_iflag, locks.c_oflag, locks.c_cflag, locks.c_lflag,
           locks.c_line, locks.c_cc[VINTR]);
    print_answer("TIOCGLCKTRMIOS, nowhere", ioctl(file, TIOCGLCKTRMIOS, at(8)));
    print_answer("TIOCSLCKTRMIOS, nowhere", ioctl(file, TIOCSLCKTRMIOS, at(8)));
  }
  locks.c_lflag = ECHO | ISIG;
  locks.c_cc[VINTR] = 1;
  CHECK(ioctl(pair.terminal, TIOCSLCKTRMIOS, &locks) == 0 && ioctl(pair.terminal, TCGETS, &wanted) == 0);
  wanted.c_lflag &= ~(ECHO | ICANON);
  wanted.c_cc[VINTR] = 5;
  wanted.c_cc[VQUIT] = 6;
  CHECK(ioctl(pair.master, TCSETS, &wanted) == 0 && ioctl(pair.terminal, TCGETS, &wanted) == 0);
  printf("locked: echo %d canonical %d, %d %d\n", (wanted.c_lflag & ECHO) != 0,
         (wanted.c_lflag & ICANON) != 0, wanted.c_cc[VINTR], wanted.c_cc[VQUIT]);
  fflush(stdout);
  CHECK(status_of_child([&] {
          CHECK(setuid(1000) == 0);
          print_answer("TIOCSLCKTRMIOS of others", ioctl(pair.terminal, TIOCSLCKTRMIOS, &locks));
          print_answer("TIOCGLCKTRMIOS of others", ioctl(pair.terminal, TIOCGLCKTRMIOS, &locks));
          fflush(stdout);
        }) == 0);
  close_pair(pair);
}

}  // namespace

int main() {
  CHECK(status_in_session([] { check("ioctls", print_ioctls); }) == 0);
  CHECK(status_in_session([] { check("locked settings", print_locks); }) == 0);
  return finish();
}
