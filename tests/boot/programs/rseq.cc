// Restartable sequences: who may register what, what the area says, and when a critical section is left for
// its abort address. The C library registers an area of its own, which is put aside first. The same on Linux.
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/time.h>
#include <ucontext.h>

#include "thread_checks.h"

namespace {

constexpr uint32_t kSignature = RSEQ_SIG;
constexpr uint64_t kKernelHalf = uint64_t{1} << 63;

struct alignas(32) Area {
  uint32_t cpu_id_start = 7;
  int32_t cpu_id = 7;
  uint64_t section = 0;
  uint32_t flags = 0, node_id = 7, mm_cid = 7;
};
static_assert(sizeof(Area) == 32);

struct alignas(32) Section {
  uint32_t version, flags;
  uint64_t begin, bytes, abort;
};

Area g_area;

// 0 or the errno.
int register_area(void* area, uint32_t bytes = sizeof(Area), int flags = 0, uint32_t signature = kSignature) {
  return syscall(SYS_rseq, area, bytes, flags, signature) == 0 ? 0 : errno;
}
int unregister(void* area, uint32_t bytes = sizeof(Area), uint32_t signature = kSignature) {
  return register_area(area, bytes, RSEQ_FLAG_UNREGISTER, signature);
}

// The C library's, of this thread.
struct rseq* library_area() {
  return reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
}

// A child whose area is registered.
template <class Body>
int with_area(Body body) {
  return status_of_child([&] {
    CHECK(register_area(&g_area) == 0);
    body();
  });
}

extern "C" {
extern Section good_section, section_without_signature;
extern const char section_begin[], section_end[], section_abort[];
// Stays in a critical section until it is aborted; 1. With another section named, for ever.
long stay(const Area* area, const Section* section);
}
asm(R"(
    .section .data.sections, "aw"
    .balign 32
good_section:
    .long 0, 0
    .quad section_begin, section_end - section_begin, section_abort
    .balign 32
section_without_signature:
    .long 0, 0
    .quad section_begin, section_end - section_begin, section_unmarked
    .text
stay:
    mov %rsi, 8(%rdi)
section_begin:
    nop
    jmp section_begin
section_end:
    ud2
    .long 0x53053053
section_abort:
    mov $1, %eax
    ret
    .long 0
section_unmarked:
    mov $2, %eax
    ret
)");

volatile sig_atomic_t g_signals = 0;
volatile uint64_t g_interrupted_at = 0;
uint64_t g_named_in_handler = 0;

void note_signal(int, siginfo_t*, void* context) {
  g_signals = g_signals + 1;
  g_interrupted_at = static_cast<uint64_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  g_named_in_handler = g_area.section;
}

void handle(int signal) {
  struct sigaction action = {};
  action.sa_sigaction = note_signal;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(signal, &action, nullptr) == 0);
}

// SIGALRM comes once, soon.
void alarm_soon() {
  handle(SIGALRM);
  const itimerval soon = {{0, 0}, {0, 2000}};
  CHECK(setitimer(ITIMER_REAL, &soon, nullptr) == 0);
}

// The status of a child that is in that section when the signal comes.
int interrupted_in(const Section* section, uint32_t flags = 0) {
  return with_area([=] {
    g_area.flags = flags;
    alarm_soon();
    _exit(static_cast<int>(stay(&g_area, section)));
  });
}

template <class Change>
int interrupted_in_changed(Change change) {
  Section section = good_section;
  change(section);
  return interrupted_in(&section);
}

void stay_on_one_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
}

void registration_is_checked() {
  alignas(64) static char room[128];
  printf("flags %d %d\n", register_area(&g_area, 32, 2),
         register_area(&g_area, 32, RSEQ_FLAG_UNREGISTER | 2));
  printf("bytes 0 %d 31 %d\n", register_area(&g_area, 0), register_area(&g_area, 31));
  printf("misaligned %d %d\n", register_area(room + 8), register_area(room + 16, 64));
  printf("addresses %d %d %d %d\n", register_area(nullptr),
         register_area(reinterpret_cast<void*>(kKernelHalf)),
         register_area(reinterpret_cast<void*>(0x7fff'ffff'ffe0)),
         register_area(reinterpret_cast<void*>(0x1'0000'0000)));
  printf("nothing to unregister %d %d\n", unregister(&g_area), unregister(nullptr, 0, 0));
  printf("larger %d\n", register_area(room, 64));
  printf("with the size of the first version %d\n", unregister(room));
  printf("with its own %d\n", unregister(room, 64));
  printf("registered %d\n", register_area(&g_area));
  printf("again %d, elsewhere %d, other bytes %d, other signature %d\n", register_area(&g_area),
         register_area(room), register_area(&g_area, 64), register_area(&g_area, 32, 0, 1));
  printf("unregistered elsewhere %d, by other bytes %d, by another signature %d\n", unregister(room),
         unregister(&g_area, 64), unregister(&g_area, 32, 1));
  printf("at last %d\n", unregister(&g_area));
  printf("twice %d\n", unregister(&g_area));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    // As it was told not to, the C library has registered nothing, and neither has who executed this.
    _exit(__rseq_size == 0 && register_area(&g_area) == 0 ? 0 : 1);
  }
  stay_on_one_processor();
  check("the_c_library_has_registered", [] {
    CHECK(__rseq_size != 0 && __rseq_flags == 0);
    CHECK(library_area()->cpu_id == 0 && library_area()->cpu_id_start == 0 && sched_getcpu() == 0);
    Flag ready;
    auto body = [&] {
      CHECK(library_area()->cpu_id == 0);
      ready.set();
    };
    join(start(body));
    CHECK(ready.is_set());
  });
  check("sizes_in_the_auxiliary_vector", [] { CHECK(getauxval(27) == 28 && getauxval(28) == 32); });
  CHECK(unregister(library_area()) == 0);
  check("unregistered", [] { CHECK(static_cast<int>(library_area()->cpu_id) == -1); });
  check("registration_is_checked", registration_is_checked);
  check("what_the_area_says", [] {
    g_area = {};
    CHECK(register_area(&g_area) == 0);
    CHECK(g_area.cpu_id_start == 0 && g_area.cpu_id == 0 && g_area.node_id == 0 && g_area.mm_cid == 0);
    CHECK(g_area.flags == 0);
    CHECK(unregister(&g_area) == 0);
    CHECK(g_area.cpu_id_start == 0 && g_area.cpu_id == -1 && g_area.node_id == 0 && g_area.mm_cid == 0);
  });
  check("a_section_named_before_is_forgotten", [] {
    g_area.section = 1;
    CHECK(register_area(&g_area) == 0 && g_area.section == 0);
    CHECK(unregister(&g_area) == 0);
  });
  check("an_area_that_cannot_be_written", [] {
    void* const page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int status = status_of_child([&] { register_area(page); });
    CHECK(WTERMSIG(status) == SIGSEGV);
  });
  check("a_signal_aborts_a_section", [] {
    const int status = with_area([] {
      // It may lose the processor before the signal comes, which aborts the section as well.
      for (int tries = 0; tries < 1000 && g_interrupted_at != reinterpret_cast<uint64_t>(section_abort);
           ++tries) {
        alarm_soon();
        CHECK(stay(&g_area, &good_section) == 1);
      }
      CHECK(g_signals != 0 && g_interrupted_at == reinterpret_cast<uint64_t>(section_abort));
      CHECK(g_named_in_handler == 0 && g_area.section == 0);
    });
    CHECK(status == 0);
  });
  check("a_signal_outside_of_it_does_not", [] {
    const int status = with_area([] {
      handle(SIGUSR1);
      g_area.section = reinterpret_cast<uint64_t>(&good_section);
      CHECK(raise(SIGUSR1) == 0);
      CHECK(g_signals == 1 && g_named_in_handler == 0 && g_area.section == 0);
    });
    CHECK(status == 0);
  });
  check("a_signal_without_a_handler_leaves_it", [] {
    const int status = with_area([] {
      g_area.section = reinterpret_cast<uint64_t>(&good_section);
      CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && raise(SIGUSR1) == 0);
    });
    CHECK(status == 0);
  });
  check("so_does_losing_the_processor", [] {
    const pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
      for (;;) {
        asm volatile("");
      }
    }
    const int status = with_area([] {
      CHECK(stay(&g_area, &good_section) == 1);
      CHECK(g_area.section == 0);
    });
    CHECK(kill(other, SIGKILL) == 0 && waitpid(other, nullptr, 0) == other);
    CHECK(status == 0);
  });
  check("and_another_thread", [] {
    const int status = status_of_child([] {
      auto body = [] {
        CHECK(register_area(&g_area) == 0);
        CHECK(stay(&g_area, &good_section) == 1);
        CHECK(unregister(&g_area) == 0);
        _exit(3);
      };
      const pthread_t thread = start(body);
      (void)thread;
      for (;;) {
        asm volatile("");
      }
    });
    CHECK(WEXITSTATUS(status) == 3);
  });
  const auto report = [](const char* name, int status) {
    printf("%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  };
  check("what_is_bad_of_a_section_kills", [&] {
    report("good", interrupted_in(&good_section));
    report("signature", interrupted_in(&section_without_signature));
    report("kernel half", interrupted_in(reinterpret_cast<const Section*>(kKernelHalf)));
    report("not mapped", interrupted_in(reinterpret_cast<const Section*>(0x1000)));
    report("version", interrupted_in_changed([](Section& s) { s.version = 1; }));
    report("flags", interrupted_in_changed([](Section& s) { s.flags = 1; }));
    report("unknown flags", interrupted_in_changed([](Section& s) { s.flags = 8; }));
    report("flags of the area", interrupted_in(&good_section, 2));
    report("begin in the kernel", interrupted_in_changed([](Section& s) { s.begin = kKernelHalf; }));
    report("end in the kernel", interrupted_in_changed([](Section& s) { s.bytes = kKernelHalf; }));
    report("end wraps", interrupted_in_changed([](Section& s) { s.bytes = -s.begin + 1; }));
    report("abort in the kernel", interrupted_in_changed([](Section& s) { s.abort = kKernelHalf; }));
    report("abort inside", interrupted_in_changed([](Section& s) { s.abort = s.begin + 1; }));
    report("abort not mapped", interrupted_in_changed([](Section& s) { s.abort = 0x1000; }));
  });
  check("so_does_another_signature", [&] {
    report("registered with another", status_of_child([] {
             CHECK(register_area(&g_area, 32, 0, 0x1234'5678) == 0);
             alarm_soon();
             stay(&g_area, &good_section);
           }));
  });
  check("or_an_area_that_is_gone", [&] {
    report("gone", status_of_child([] {
             void* const page =
                 mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
             CHECK(register_area(page) == 0 && munmap(page, 4096) == 0);
             handle(SIGUSR1);
             (void)raise(SIGUSR1);
           }));
  });
  check("a_handler_of_that_is_no_way_out", [&] {
    report("after its handler", status_of_child([] {
             handle(SIGSEGV);
             CHECK(register_area(&g_area) == 0);
             g_area.section = kKernelHalf;
             (void)raise(SIGSEGV);
           }));
  });
  check("a_fork_has_it_too", [] {
    CHECK(register_area(&g_area) == 0);
    CHECK(status_of_child(
              [] { _exit(register_area(&g_area) == EBUSY && unregister(&g_area) == 0 ? 0 : 1); }) == 0);
    CHECK(register_area(&g_area) == EBUSY);
  });
  check("who_shares_the_memory_has_not", [] {
    static int in_child = -1;
    const pid_t child = vfork();
    if (child == 0) {
      in_child = register_area(&g_area);
      _exit(0);
    }
    CHECK(waitpid(child, nullptr, 0) == child && in_child == 0);
    CHECK(unregister(&g_area) == 0);
  });
  check("nor_has_who_executes", [argv] {
    const int status = with_area([argv] {
      char tunables[] = "GLIBC_TUNABLES=glibc.pthread.rseq=0";
      char* environment[] = {tunables, nullptr};
      execle(argv[0], argv[0], "again", nullptr, environment);
      _exit(9);
    });
    CHECK(status == 0);
  });
  check("barriers", [] {
    const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK((commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) != 0);
    CHECK((commands & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) != 0);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0), EPERM);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 9999) == 0);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 2, 0), EINVAL);
  });
  return finish();
}
