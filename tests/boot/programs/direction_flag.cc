// The direction flag is the program's: no call, no fault and no interrupt of its works backwards by it, and
// it comes back as it was.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

constexpr unsigned long kDirection = 1 << 10;

// A call with the flag set: its answer, and what the flag is behind it.
struct Answer {
  long value;
  bool backwards;
};
Answer call_backwards(long number, long a, long b = 0, long c = 0) {
  unsigned long flags;
  long value = number;
  register long fourth asm("r10") = 0;
  asm volatile("std; syscall; pushf; cld; pop %1"
               : "+a"(value), "=&r"(flags)
               : "D"(a), "S"(b), "d"(c), "r"(fourth)
               : "rcx", "r11", "memory");
  return {value, (flags & kDirection) != 0};
}
bool store_backwards(char* to, char value) {
  unsigned long flags;
  asm volatile("std; movb %2, (%1); pushf; cld; pop %0" : "=&r"(flags) : "r"(to), "q"(value) : "memory");
  return (flags & kDirection) != 0;
}

bool all(const char* bytes, long count, char value) {
  for (long i = 0; i < count; ++i) {
    if (bytes[i] != value) return false;
  }
  return true;
}

// Three pieces, of which only the middle one is to change.
struct Pieces {
  char before[3000], middle[3000], behind[3000];
};
bool only_the_middle(const Pieces& pieces, char value) {
  return all(pieces.before, sizeof(pieces.before), 'o') && all(pieces.middle, sizeof(pieces.middle), value) &&
         all(pieces.behind, sizeof(pieces.behind), 'o');
}

void show_calls() {
  static Pieces written, read_back;
  std::memset(&written, 'o', sizeof(written));
  std::memset(&read_back, 'o', sizeof(read_back));
  std::memset(written.middle, 'w', sizeof(written.middle));
  int ends[2];
  if (pipe(ends) != 0) return;
  Answer answer =
      call_backwards(SYS_write, ends[1], reinterpret_cast<long>(written.middle), sizeof(written.middle));
  std::printf("write to a pipe: %ld, backwards behind it %d\n", answer.value, answer.backwards);
  answer =
      call_backwards(SYS_read, ends[0], reinterpret_cast<long>(read_back.middle), sizeof(read_back.middle));
  std::printf("read: %ld, backwards %d, as it was written %d\n", answer.value, answer.backwards,
              only_the_middle(read_back, 'w'));
  const int file = open("/tmp/direction_flag", O_RDWR | O_CREAT | O_TRUNC, 0600);
  std::memset(&read_back, 'o', sizeof(read_back));
  answer = call_backwards(SYS_write, file, reinterpret_cast<long>(written.middle), sizeof(written.middle));
  lseek(file, 0, SEEK_SET);
  const Answer again =
      call_backwards(SYS_read, file, reinterpret_cast<long>(read_back.middle), sizeof(read_back.middle));
  std::printf("a file: %ld and %ld, as it was written %d\n", answer.value, again.value,
              only_the_middle(read_back, 'w'));
  unlink("/tmp/direction_flag");
}

// Each page is zero when it comes, and so are those beside it.
void show_faults() {
  constexpr long kPages = 64, kPage = 4096;
  char* const pages = static_cast<char*>(
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  bool backwards = true, zero = true;
  for (long i = kPages - 1; i >= 0; i -= 3) backwards &= store_backwards(pages + i * kPage + 100, 'x');
  for (long i = 0; i < kPages; ++i) {
    const char* const page = pages + i * kPage;
    const bool stored = (kPages - 1 - i) % 3 == 0;
    zero &= all(page, 100, 0) && page[100] == (stored ? 'x' : 0) && all(page + 101, kPage - 101, 0);
  }
  std::printf("first touches: backwards %d, zero but for what was stored %d\n", backwards, zero);
  if (const pid_t child = fork(); child == 0) {
    bool same = true;
    for (long i = kPages - 1; i >= 0; i -= 3) {
      same &= store_backwards(pages + i * kPage + 200, 'y');
      const char* const page = pages + i * kPage;
      same &=
          page[100] == 'x' && all(page + 101, 99, 0) && page[200] == 'y' && all(page + 201, kPage - 201, 0);
    }
    _exit(same ? 0 : 1);
  }
  int status = -1;
  const Answer waited = call_backwards(SYS_wait4, -1, reinterpret_cast<long>(&status));
  std::printf("copies of a fork: waited %d, status %d\n",
              waited.value > 0 ? 1 : static_cast<int>(waited.value), status);
}

// A timer's interrupt, and the signal that it brings.
volatile sig_atomic_t g_rang = 0;
volatile bool g_handler_backwards = true;
void ring(int) {
  unsigned long flags;
  asm volatile("pushf; pop %0" : "=r"(flags) : : "memory");
  g_handler_backwards = (flags & kDirection) != 0;
  g_rang = 1;
}
void show_interrupts() {
  signal(SIGALRM, ring);
  bool backwards = true;
  for (int i = 0; i < 5; ++i) {
    const itimerval soon{{0, 0}, {0, 20'000}};
    g_rang = 0;
    setitimer(ITIMER_REAL, &soon, nullptr);
    unsigned long flags;
    asm volatile("std; 1: .rept 4096; nop; .endr; cmpl $0, %1; je 1b; pushf; cld; pop %0"
                 : "=&r"(flags)
                 : "m"(g_rang)
                 : "memory");
    backwards &= (flags & kDirection) != 0 && !g_handler_backwards;
  }
  std::printf("signals: the handler forwards, and backwards behind it %d\n", backwards);
}

// A program that computes backwards, interrupted by a timer that wakes somebody amidst a call: the kernel
// goes on with that call, forwards.
void show_switches() {
  volatile bool* const stop = static_cast<volatile bool*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t spinner = fork();
  if (spinner == 0) {
    unsigned long flags;
    asm volatile("std; 1: cmpb $0, %1; je 1b; pushf; cld; pop %0" : "=&r"(flags) : "m"(*stop) : "memory");
    _exit((flags & kDirection) != 0 ? 0 : 1);
  }
  const itimerval soon{{0, 0}, {0, 20'000}};
  signal(SIGALRM, SIG_DFL);
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  sigprocmask(SIG_BLOCK, &alarm_only, nullptr);
  bool same = true;
  for (int i = 0; i < 5; ++i) {
    setitimer(ITIMER_REAL, &soon, nullptr);
    siginfo_t expected{}, info;
    expected.si_signo = SIGALRM;
    expected.si_code = SI_KERNEL;
    std::memset(&info, 'o', sizeof(info));
    same &= sigwaitinfo(&alarm_only, &info) == SIGALRM && std::memcmp(&info, &expected, sizeof(info)) == 0;
  }
  std::printf("awaited signals: as they are %d\n", same);
  same = true;
  for (int i = 0; i < 5; ++i) {
    const pid_t sleeper = fork();
    if (sleeper == 0) {
      setitimer(ITIMER_REAL, &soon, nullptr);
      sigprocmask(SIG_UNBLOCK, &alarm_only, nullptr);
      for (;;) pause();
    }
    siginfo_t expected{}, info;
    expected.si_signo = SIGCHLD;
    expected.si_code = CLD_KILLED;
    expected.si_pid = sleeper;
    expected.si_status = SIGALRM;
    std::memset(&info, 0, sizeof(info));
    struct rusage usage[3];
    std::memset(usage, 'o', sizeof(usage));
    same &= syscall(SYS_waitid, P_PID, sleeper, &info, WEXITED, &usage[1]) == 0;
    same &=
        std::memcmp(&info, &expected, sizeof(info)) == 0 && usage[1].ru_nswap == 0 && usage[1].ru_msgsnd == 0;
    same &= all(reinterpret_cast<char*>(&usage[0]), sizeof(usage[0]), 'o') &&
            all(reinterpret_cast<char*>(&usage[2]), sizeof(usage[2]), 'o');
  }
  std::printf("awaited children: as they ended %d\n", same);
  *stop = true;
  int status = -1;
  waitpid(spinner, &status, 0);
  std::printf("who computed backwards: status %d\n", status);
}

}  // namespace

int main() {
  show_calls();
  show_interrupts();
  show_switches();
  show_faults();
  std::puts("done");
  return 0;
}
