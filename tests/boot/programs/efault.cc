// Bad user addresses: every call that takes a pointer answers EFAULT for each kind of bad address.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "checks.h"

namespace {

enum class Use { kRead, kWrite };

struct Call {
  const char* name;
  Use use;
  long (*call)(long address);
};

int g_file, g_directory, g_pipe[2];
char g_buffer[64];

// Each is called with the bad address as one argument, the others good.
const Call kCalls[] = {
    {"read", Use::kWrite, [](long a) { return pread(g_file, (void*)a, 16, 0); }},
    {"write", Use::kRead, [](long a) { return pwrite(g_file, (void*)a, 16, 0); }},
    {"pipe_write", Use::kRead, [](long a) { return write(g_pipe[1], (void*)a, 16); }},
    {"readv", Use::kRead, [](long a) { return syscall(SYS_readv, g_file, a, 1); }},
    {"writev", Use::kRead, [](long a) { return syscall(SYS_writev, g_file, a, 1); }},
    {"open", Use::kRead, [](long a) { return syscall(SYS_open, a, O_RDONLY); }},
    {"openat", Use::kRead, [](long a) { return syscall(SYS_openat, AT_FDCWD, a, O_RDONLY); }},
    {"stat", Use::kRead, [](long a) { return syscall(SYS_stat, a, g_buffer); }},
    {"stat_buffer", Use::kWrite, [](long a) { return syscall(SYS_stat, "/", a); }},
    {"fstat_buffer", Use::kWrite, [](long a) { return syscall(SYS_fstat, g_file, a); }},
    {"newfstatat_buffer", Use::kWrite, [](long a) { return syscall(SYS_newfstatat, AT_FDCWD, "/", a, 0); }},
    {"access", Use::kRead, [](long a) { return syscall(SYS_access, a, 0); }},
    {"mkdir", Use::kRead, [](long a) { return syscall(SYS_mkdir, a, 0700); }},
    {"unlink", Use::kRead, [](long a) { return syscall(SYS_unlink, a); }},
    {"rename", Use::kRead, [](long a) { return syscall(SYS_rename, a, "/tmp/none"); }},
    {"chdir", Use::kRead, [](long a) { return syscall(SYS_chdir, a); }},
    {"readlink", Use::kRead, [](long a) { return syscall(SYS_readlink, a, g_buffer, sizeof(g_buffer)); }},
    {"getcwd", Use::kWrite, [](long a) { return syscall(SYS_getcwd, a, 64); }},
    {"getdents64", Use::kWrite,
     [](long a) {
       lseek(g_directory, 0, SEEK_SET);
       return syscall(SYS_getdents64, g_directory, a, 1024);
     }},
    {"pipe", Use::kWrite, [](long a) { return syscall(SYS_pipe, a); }},
    {"poll", Use::kRead, [](long a) { return syscall(SYS_poll, a, 1, 0); }},
    {"execve", Use::kRead, [](long a) { return syscall(SYS_execve, a, nullptr, nullptr); }},
    {"nanosleep", Use::kRead, [](long a) { return syscall(SYS_nanosleep, a, nullptr); }},
    {"clock_nanosleep", Use::kRead,
     [](long a) { return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, a, nullptr); }},
    {"clock_gettime", Use::kWrite, [](long a) { return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, a); }},
    {"clock_getres", Use::kWrite, [](long a) { return syscall(SYS_clock_getres, CLOCK_MONOTONIC, a); }},
    {"gettimeofday", Use::kWrite, [](long a) { return syscall(SYS_gettimeofday, a, nullptr); }},
    {"times", Use::kWrite, [](long a) { return syscall(SYS_times, a); }},
    {"getrusage", Use::kWrite, [](long a) { return syscall(SYS_getrusage, RUSAGE_SELF, a); }},
    {"getrlimit", Use::kWrite, [](long a) { return syscall(SYS_getrlimit, RLIMIT_STACK, a); }},
    {"prlimit64", Use::kWrite, [](long a) { return syscall(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, a); }},
    {"uname", Use::kWrite, [](long a) { return syscall(SYS_uname, a); }},
    {"sysinfo", Use::kWrite, [](long a) { return syscall(SYS_sysinfo, a); }},
    {"getrandom", Use::kWrite, [](long a) { return syscall(SYS_getrandom, a, 16, 0); }},
    {"sched_getaffinity", Use::kWrite, [](long a) { return syscall(SYS_sched_getaffinity, 0, 128, a); }},
    {"getresuid", Use::kWrite, [](long a) { return syscall(SYS_getresuid, a, g_buffer, g_buffer); }},
    {"rt_sigaction", Use::kRead, [](long a) { return syscall(SYS_rt_sigaction, SIGUSR1, a, nullptr, 8); }},
    {"rt_sigaction_old", Use::kWrite,
     [](long a) { return syscall(SYS_rt_sigaction, SIGUSR1, nullptr, a, 8); }},
    {"rt_sigprocmask", Use::kRead, [](long a) { return syscall(SYS_rt_sigprocmask, 0, a, nullptr, 8); }},
    {"rt_sigprocmask_old", Use::kWrite, [](long a) { return syscall(SYS_rt_sigprocmask, 0, nullptr, a, 8); }},
    {"rt_sigpending", Use::kWrite, [](long a) { return syscall(SYS_rt_sigpending, a, 8); }},
    {"rt_sigsuspend", Use::kRead, [](long a) { return syscall(SYS_rt_sigsuspend, a, 8); }},
    {"rt_sigtimedwait", Use::kRead,
     [](long a) { return syscall(SYS_rt_sigtimedwait, a, nullptr, nullptr, 8); }},
    {"sigaltstack", Use::kRead, [](long a) { return syscall(SYS_sigaltstack, a, nullptr); }},
    {"sigaltstack_old", Use::kWrite, [](long a) { return syscall(SYS_sigaltstack, nullptr, a); }},
    {"setitimer", Use::kRead, [](long a) { return syscall(SYS_setitimer, 0, a, nullptr); }},
    {"getitimer", Use::kWrite, [](long a) { return syscall(SYS_getitimer, 0, a); }},
    {"futex", Use::kRead, [](long a) { return syscall(SYS_futex, a & ~3L, 0, 0, nullptr); }},
    {"arch_prctl_get_fs", Use::kWrite, [](long a) { return syscall(SYS_arch_prctl, 0x1003, a); }},
    {"prctl_get_name", Use::kWrite, [](long a) { return syscall(SYS_prctl, 16, a); }},
    {"wait4_status", Use::kWrite,
     [](long a) {
       const pid_t child = fork();
       if (child == 0) _exit(0);
       const long result = syscall(SYS_wait4, child, a, 0, nullptr);
       const int error = errno;
       waitpid(child, nullptr, 0);
       errno = error;
       return result;
     }},
};

}  // namespace

int main() {
  char name[] = "/tmp/efault-XXXXXX";
  g_file = mkstemp(name);
  CHECK(g_file >= 0);
  unlink(name);
  CHECK(write(g_file, g_buffer, 64) == 64);
  g_directory = open("/", O_RDONLY | O_DIRECTORY);
  CHECK(g_directory >= 0);
  CHECK(pipe(g_pipe) == 0);

  auto* pages =
      static_cast<char*>(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(pages != MAP_FAILED);
  CHECK(munmap(pages + 4096, 4096) == 0);
  CHECK(mprotect(pages + 8192, 4096, PROT_READ) == 0);
  auto* hidden = static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  memset(pages, 'x', 4096);

  const long addresses[] = {8,
                            reinterpret_cast<long>(pages + 4096),
                            reinterpret_cast<long>(hidden),
                            static_cast<long>(0x7fff'ffff'f000),
                            static_cast<long>(0x8000'0000'0000),
                            static_cast<long>(0x8000'0000'0000'0000),
                            static_cast<long>(0xffff'ffff'8000'0000),
                            -16,
                            -1};
  for (const Call& row : kCalls) {
    check(row.name, [&] {
      for (const long address : addresses) {
        errno = 0;
        const long result = row.call(address);
        if (result != -1 || errno != EFAULT) {
          printf("%s: address %lx gives %ld\n", row.name, static_cast<unsigned long>(address), result);
        }
        CHECK(result == -1 && errno == EFAULT);
      }
      if (row.use == Use::kWrite) {
        CHECK(row.call(reinterpret_cast<long>(pages + 8192)) == -1 && errno == EFAULT);
      }
    });
  }
  return finish();
}
