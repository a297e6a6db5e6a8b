// prctl: what is kept and told, what makes writable memory and code exclude each other, and what is refused.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

constexpr int kRead = PROT_READ, kWrite = PROT_WRITE, kExec = PROT_EXEC;
constexpr int kSetWriteExec = 65, kGetWriteExec = 66, kSetMerge = 67, kGetMerge = 68;

long option(int number, unsigned long a = 0, unsigned long b = 0, unsigned long c = 0, unsigned long d = 0) {
  return syscall(SYS_prctl, number, a, b, c, d);
}

void slack() {
  SHOW(option(PR_GET_TIMERSLACK));
  SHOW(option(PR_SET_TIMERSLACK, 70'000));
  SHOW(option(PR_GET_TIMERSLACK));
  const int status = status_of_child([] {
    printf("inherited: %ld\n", option(PR_GET_TIMERSLACK));
    option(PR_SET_TIMERSLACK, 5);
    printf("changed: %ld\n", option(PR_GET_TIMERSLACK));
    option(PR_SET_TIMERSLACK, 0);
    printf("as at first: %ld\n", option(PR_GET_TIMERSLACK));
  });
  SHOW(status);
  const int file = open("/proc/thread-self/../../timerslack_ns", O_RDWR);
  char text[32] = {};
  CHECK(file >= 0 && read(file, text, sizeof text) == 6);
  SHOW(atol(text));
  SHOW(write(file, "123456", 6));
  SHOW(option(PR_GET_TIMERSLACK));
  SHOW(write(file, "x", 1));
  SHOW(write(file, "0", 1));
  CHECK(close(file) == 0);
  SHOW(option(PR_GET_TIMERSLACK));
  SHOW(option(PR_SET_TIMERSLACK, 0));
  SHOW(option(PR_GET_TIMERSLACK));
}

void kept() {
  SHOW(option(PR_MCE_KILL_GET));
  SHOW(option(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY));
  SHOW(option(PR_MCE_KILL_GET));
  SHOW(option(PR_MCE_KILL, PR_MCE_KILL_SET, 3));
  SHOW(option(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1));
  SHOW(option(PR_MCE_KILL, PR_MCE_KILL_CLEAR));
  SHOW(option(PR_MCE_KILL_GET));
  SHOW(option(PR_MCE_KILL, 5));
  SHOW(option(PR_MCE_KILL_GET, 1));
  SHOW(option(kGetMerge));
  SHOW(option(kSetMerge, 0));
  SHOW(option(kGetMerge, 1));
  SHOW(option(kSetMerge, 1, 1));
  int word = 0;
  SHOW(option(PR_GET_TSC, reinterpret_cast<unsigned long>(&word)));
  SHOW(word);
  SHOW(option(PR_SET_TSC, 3));
  SHOW(option(PR_SET_TSC, PR_TSC_ENABLE));
  SHOW(option(PR_GET_TSC, 8));
  int* there = nullptr;
  SHOW(option(PR_GET_TID_ADDRESS, reinterpret_cast<unsigned long>(&there)));
  SHOW(there != nullptr);
  SHOW(syscall(SYS_set_tid_address, &word) == getpid());
  SHOW(option(PR_GET_TID_ADDRESS, reinterpret_cast<unsigned long>(&there)));
  SHOW(there == &word);
  SHOW(option(PR_TASK_PERF_EVENTS_DISABLE));
  SHOW(option(PR_TASK_PERF_EVENTS_ENABLE));
  SHOW(option(PR_GET_SPECULATION_CTRL, 99));
  SHOW(option(PR_GET_SPECULATION_CTRL, 0, 1));
  SHOW(option(PR_GET_SPECULATION_CTRL, 0, 0, 1));
  SHOW(option(PR_SET_SPECULATION_CTRL, 99));
}

// Who asks and gets an answer may set it, too.
void seccomp_is_there_or_not() {
  const bool told = option(PR_GET_SECCOMP) == 0;
  CHECK(told || errno == EINVAL);
  CHECK(option(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0) == -1 && errno == (told ? EFAULT : EINVAL));
}

void without_rights() {
  const int status = status_of_child([] {
    CHECK(syscall(SYS_setuid, 12'345) == 0);
    SHOW(option(PR_SET_IO_FLUSHER, 1));
    SHOW(option(PR_GET_IO_FLUSHER));
    SHOW(option(PR_SET_MM, PR_SET_MM_BRK));
    SHOW(option(PR_SET_MM, PR_SET_MM_BRK, 0x10'0000, 1));
    SHOW(option(PR_SET_MM, PR_SET_MM_BRK, 0x10'0000, 0, 1));
    SHOW(option(PR_SET_MM, 99));
    unsigned bytes = 0;
    SHOW(option(PR_SET_MM, PR_SET_MM_MAP_SIZE, reinterpret_cast<unsigned long>(&bytes)));
    SHOW(bytes);
    SHOW(option(PR_SET_MM, PR_SET_MM_MAP, 8, 1));
  });
  SHOW(status);
}

void* fresh(int rights) { return mmap(nullptr, 4096, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

void write_or_execute() {
  SHOW(option(kGetWriteExec));
  SHOW(option(kSetWriteExec, 2));
  SHOW(option(kSetWriteExec, 4));
  SHOW(option(kSetWriteExec, 1, 1));
  SHOW(option(kGetWriteExec, 1));
  void* const code = fresh(kRead | kExec);
  void* const data = fresh(kRead | kWrite);
  void* const both = fresh(kRead | kWrite | kExec);
  SHOW(option(kSetWriteExec, 1));
  SHOW(option(kGetWriteExec));
  SHOW(option(kSetWriteExec, 0));
  SHOW(option(kSetWriteExec, 3));
  SHOW(option(kSetWriteExec, 1));
  SHOW(fresh(kRead | kWrite | kExec));
  SHOW(munmap(fresh(kRead | kExec), 4096));
  SHOW(mprotect(code, 4096, kRead | kExec));
  SHOW(mprotect(data, 4096, kRead | kExec));
  SHOW(mprotect(code, 4096, kRead | kWrite | kExec));
  SHOW(mprotect(both, 4096, kRead | kWrite | kExec));
  SHOW(mprotect(both, 4096, kRead | kExec));
  SHOW(mprotect(code, 4096, kRead | kWrite));
  SHOW(mprotect(code, 4096, kRead | kExec));
  const int status = status_of_child([] { printf("inherited: %ld\n", option(kGetWriteExec)); });
  SHOW(status);
}

void not_inherited() {
  const int status = status_of_child([] {
    printf("%ld", option(kSetWriteExec, 3));
    const int inner = status_of_child([] { printf(" inherited: %ld\n", option(kGetWriteExec)); });
    printf("%d\n", inner);
  });
  SHOW(status);
}

void refused() {
  SHOW(option(999));
  SHOW(option(-1));
  SHOW(syscall(SYS_arch_prctl, 0x1011, 0));
  SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
}

}  // namespace

int main() {
  show_lines();
  const rlimit no_core{0, 0};
  CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
  check("timer slack", slack);
  check("kept and told", kept);
  check("seccomp is there or not", seccomp_is_there_or_not);
  check("without rights", without_rights);
  check("not inherited", not_inherited);
  check("write or execute", write_or_execute);
  check("refused", refused);
  return finish();
}
