// Processes and threads that trace, stop, resume and signal each other at random: whatever they do, SIGKILL
// ends them all. The same for the same seed, as far as the scheduler goes: ptrace_random [FIRST_SEED
// [SEEDS]]. Prints the same on Linux.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include <cstdint>
#include <random>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

constexpr unsigned kWorkers = 6, kMost = 24, kSteps = 400;
constexpr int kRounds = 20'000;  // of killing; it takes a handful

// Who there is; numbers of those that ended stay.
struct Shared {
  volatile unsigned used;
  volatile pid_t ids[kMost];
  volatile unsigned next_seed;
};
Shared* g_shared;

bool enter(pid_t id) {
  const unsigned place = __atomic_fetch_add(&g_shared->used, 1, __ATOMIC_SEQ_CST);
  if (place >= kMost) return false;
  g_shared->ids[place] = id;
  return true;
}

class Worker {
 public:
  explicit Worker(unsigned seed) : random_(seed) {}
  [[noreturn]] void run() {
    for (unsigned i = 0; i < kSteps; ++i) step();
    syscall(SYS_exit, 0);
    __builtin_unreachable();
  }

 private:
  unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  pid_t anybody() {
    const unsigned used = g_shared->used;
    return g_shared->ids[below(used < kMost ? used : kMost)];
  }
  uintptr_t options() {
    constexpr unsigned kBits[] = {PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEFORK, PTRACE_O_TRACEVFORK,
                                  PTRACE_O_TRACECLONE,   PTRACE_O_TRACEEXEC, PTRACE_O_TRACEEXIT,
                                  PTRACE_O_EXITKILL};
    uintptr_t chosen = 0;
    for (const unsigned bit : kBits) chosen |= below(3) == 0 ? bit : 0;
    return chosen;
  }
  uintptr_t signal() {
    constexpr int kSignals[] = {0, 0, 0, SIGUSR1, SIGSTOP, SIGTRAP, SIGCONT, SIGCHLD};
    return static_cast<uintptr_t>(kSignals[below(std::size(kSignals))]);
  }
  void traces(pid_t who, bool does) {
    if (does) tracees_[below(std::size(tracees_))] = who;
  }
  void make_another(bool thread) {
    if (g_shared->used >= kMost) return;
    const unsigned seed = __atomic_fetch_add(&g_shared->next_seed, 1, __ATOMIC_SEQ_CST);
    if (thread) {
      pthread_t ignored;
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setstacksize(&attributes, size_t{64} << 10);
      (void)pthread_create(
          &ignored, &attributes,
          [](void* seed_of) -> void* {
            if (enter(gettid())) Worker(static_cast<unsigned>(reinterpret_cast<uintptr_t>(seed_of))).run();
            return nullptr;
          },
          reinterpret_cast<void*>(uintptr_t{seed}));
    } else if (fork() == 0) {
      if (enter(gettid())) Worker(seed).run();
      _exit(0);
    }
  }
  void step() {
    const pid_t who = below(4) == 0 ? anybody() : tracees_[below(std::size(tracees_))];
    switch (below(22)) {
      case 0:
      case 1:
        traces(who, trace(PTRACE_SEIZE, who, 0, options()) == 0);
        break;
      case 2:
        traces(who, trace(PTRACE_ATTACH, who) == 0);
        break;
      case 3:
        if (below(3) == 0) trace(PTRACE_INTERRUPT, who);
        break;
      case 4:
      case 5:
        trace(PTRACE_CONT, who, 0, signal());
        break;
      case 6:
        trace(PTRACE_DETACH, who, 0, signal());
        break;
      case 7:
        trace(PTRACE_LISTEN, who);
        break;
      case 8:
        trace(PTRACE_SINGLESTEP, who, 0, signal());
        break;
      case 9:
        trace(PTRACE_SYSCALL, who, 0, signal());
        break;
      case 10:
        trace(PTRACE_SETOPTIONS, who, 0, options());
        break;
      case 11:
      case 12:
      case 13: {
        int status = 0;
        const int how = WNOHANG | __WALL | (below(2) == 0 ? WUNTRACED | WCONTINUED : 0);
        const pid_t told = waitpid(below(2) == 0 || who == 0 ? -1 : who, &status, how);
        if (told > 0 && WIFSTOPPED(status) && below(4) != 0) trace(PTRACE_CONT, told, 0, signal());
        break;
      }
      case 14:
      case 15: {
        constexpr int kSignals[] = {SIGSTOP, SIGCONT, SIGCONT, SIGCONT, SIGUSR1, SIGUSR1, SIGUSR2, SIGTERM};
        const int chosen = kSignals[below(std::size(kSignals))];
        if (chosen != SIGTERM || below(8) == 0) syscall(SYS_tkill, who, chosen);
        break;
      }
      case 16:
        trace(PTRACE_TRACEME, 0);
        break;
      case 17:
        make_another(below(2) == 0);
        break;
      case 18: {
        const timespec pause{0, static_cast<long>(below(200'000))};
        nanosleep(&pause, nullptr);
        break;
      }
      case 19: {
        siginfo_t info;
        trace(PTRACE_GETSIGINFO, who, 0, &info);
        break;
      }
      case 20:
        if (below(30) == 0) {
          char seed[12];
          snprintf(seed, sizeof(seed), "%u", below(1u << 30));
          execl("/proc/self/exe", "ptrace_random", "work", seed, nullptr);
        } else if (below(30) == 0) {
          _exit(1);
        }
        break;
      default:
        sched_yield();
    }
  }

  std::minstd_rand random_;
  pid_t tracees_[3] = {};  // the last ones, as far as it knows
};

void work(unsigned seed) {
  signal(SIGUSR1, [](int) {});
  signal(SIGUSR2, SIG_IGN);
  Worker(seed).run();
}

// All of a seed. A stop at PTRACE_EVENT_EXIT takes another SIGKILL, as on Linux.
bool play(unsigned seed) {
  g_shared->used = 0;
  for (volatile pid_t& id : g_shared->ids) id = 0;
  g_shared->next_seed = seed * 1000;
  pid_t group = 0;
  for (unsigned i = 0; i < kWorkers; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      setpgid(0, group);
      while (g_shared->used < kWorkers) sched_yield();
      work(seed * 1000 + 500 + i);
    }
    CHECK(enter(child));
    group = group == 0 ? child : group;
    setpgid(child, group);
  }
  const timespec while_they_do{0, 20'000'000};
  nanosleep(&while_they_do, nullptr);
  for (int round = 0; round < kRounds; ++round) {
    kill(-group, SIGKILL);
    // Of a process whose end began Linux tells one thread alone.
    for (unsigned i = 0; i < kMost && g_shared->ids[i] != 0; ++i)
      syscall(SYS_tkill, g_shared->ids[i], SIGKILL);
    pid_t ended = 0;
    int status = 0;
    while ((ended = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
    }
    if (ended < 0 && errno == ECHILD) return true;
    const timespec a_little{0, 100'000};
    nanosleep(&a_little, nullptr);
  }
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  const int memory = open("/dev/shm/ptrace_random", O_RDWR | O_CREAT, 0600);
  CHECK(memory >= 0 && ftruncate(memory, sizeof(Shared)) == 0);
  void* const shown = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  CHECK(shown != MAP_FAILED && close(memory) == 0);
  g_shared = static_cast<Shared*>(shown);
  if (count > 2 && strcmp(arguments[1], "work") == 0) work(static_cast<unsigned>(atoi(arguments[2])));
  show_lines();
  const unsigned first = count > 1 ? static_cast<unsigned>(atoi(arguments[1])) : 1;
  const unsigned seeds = count > 2 ? static_cast<unsigned>(atoi(arguments[2])) : 12;
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  unsigned ended = 0;
  for (unsigned seed = first; seed < first + seeds; ++seed) {
    if (!play(seed)) {
      printf("seed %u: some are left\n", seed);
      break;
    }
    ++ended;
  }
  printf("ended: %s\n", ended == seeds ? "all" : "not all");
  CHECK(unlink("/dev/shm/ptrace_random") == 0);
  return finish();
}
