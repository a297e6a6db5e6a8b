// System calls of every number with nasty arguments, from children that are thrown away: the kernel answers
// or ends the child, and goes on. Runs in the guest only: elsewhere it would do harm, and refuses. Usage:
// random_calls [seed [children]].
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "checks.h"

namespace {

constexpr int kCallsPerChild = 30;
constexpr uint64_t kPage = 4096;

uint64_t g_state;
uint64_t random_below(uint64_t bound) {  // xorshift64*
  g_state ^= g_state >> 12;
  g_state ^= g_state << 25;
  g_state ^= g_state >> 27;
  return (g_state * 0x2545f4914f6cdd1dULL >> 11) % bound;
}

char* g_page;       // a writable page, a hole after it
char* g_read_only;  // and one for reading

uint64_t nasty_value() {
  const auto page = reinterpret_cast<uint64_t>(g_page);
  switch (random_below(16)) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return ~uint64_t{0};
    case 3:
      return uint64_t{1} << 63;
    case 4:
      return 0x7fff'ffff'ffff;
    case 5:
      return 0xffff'ffff'8000'0000;
    case 6:
      return page + random_below(kPage);
    case 7:
      return page + kPage - random_below(16);
    case 8:
      return reinterpret_cast<uint64_t>(g_read_only) + random_below(kPage);
    case 9:
      return random_below(16);
    case 10:
      return random_below(4096) * kPage;
    case 11:
      return uint64_t{1} << random_below(64);
    case 12:
      return page;
    case 13:
      return reinterpret_cast<uint64_t>(&g_state) & ~(kPage - 1);
    case 14:
      return 0x8000'0000 + random_below(3) - 1;
    default:
      return random_below(256);
  }
}

// Keeps a call from ending the test itself. False: not this one.
bool tame(long number, uint64_t (&a)[6]) {
  switch (number) {
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
      a[0] = a[number == SYS_tgkill] = static_cast<uint64_t>(getpid());
      return true;
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_sendfile:
    case SYS_ioctl:
      a[0] = 3 + random_below(5);  // not the console
      return true;
    case SYS_vfork:
      return false;  // not a call that a function can make
    case SYS_clone:
      a[0] = (a[0] & ~uint64_t{0xff}) | SIGCHLD;
      a[1] = random_below(2) != 0 ? 0 : a[1];
      return random_below(4) == 0;
    case SYS_fork:
      return random_below(4) == 0;
    default:
      return true;
  }
}

[[noreturn]] void child() {
  for (int signal = 1; signal < 65; ++signal) ::signal(signal, SIG_DFL);
  setsid();
  close(0);
  const int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
  g_page = static_cast<char*>(mmap(nullptr, 2 * kPage, access, kind, -1, 0));
  munmap(g_page + kPage, kPage);
  g_read_only = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, kind, -1, 0));
  for (uint64_t at = 0; at < kPage; at += 8) {
    const uint64_t value = nasty_value();
    memcpy(g_page + at, &value, sizeof value);
  }
  for (int count = 0; count < kCallsPerChild; ++count) {
    const long number = static_cast<long>(random_below(100) < 97 ? random_below(340) : random_below(600));
    uint64_t a[6];
    for (uint64_t& value : a) value = nasty_value();
    if (!tame(number, a)) continue;
    const pid_t self = getpid();
    syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (getpid() != self) break;  // a child of the child
  }
  _exit(0);
}

// Waits a little; what hangs or stopped is killed.
void collect(pid_t pid) {
  int status = 0;
  for (int turn = 0; turn < 20; ++turn) {
    if (waitpid(pid, &status, WNOHANG) == pid) return;
    timespec time{0, 5'000'000};
    nanosleep(&time, nullptr);
  }
  kill(pid, SIGKILL);
  CHECK(waitpid(pid, &status, 0) == pid);
}

}  // namespace

int main(int argc, char** argv) {
  utsname names;
  if (uname(&names) != 0 || strstr(names.release, "nopte") == nullptr) {
    printf("random_calls: only for the guest\n");
    return 2;
  }
  const uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;
  const uint64_t children = argc > 2 ? strtoull(argv[2], nullptr, 0) : 1000;
  for (int signal = 1; signal < 65; ++signal) ::signal(signal, signal == SIGCHLD ? SIG_DFL : SIG_IGN);
  for (uint64_t number = 1; number <= children; ++number) {
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      g_state = seed * 1'000'003 + number;
      for (int turn = 0; turn < 8; ++turn) random_below(2);
      child();
    }
    collect(pid);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  return finish();
}
