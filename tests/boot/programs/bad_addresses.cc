// Every kind of bad user address in every kind of system call: the answer is EFAULT, and the kernel goes on.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace {

struct BadAddress {
  const char* what;
  long value;
};

int g_file = -1;
int g_pipe[2] = {-1, -1};

void report(const char* call, const BadAddress& bad, long result) {
  const bool refused = result == -1 && errno == EFAULT;
  std::printf("%-16s %-14s %s\n", call, bad.what,
              refused        ? "EFAULT"
              : result == -1 ? std::strerror(errno)
                             : "accepted");
}

// Calls that read what the address shows.
void read_by_kernel(const BadAddress& bad) {
  const long at = bad.value;
  report("open", bad, syscall(SYS_open, at, O_RDONLY, 0));
  report("stat path", bad, [&] {
    struct stat found{};
    return syscall(SYS_stat, at, &found);
  }());
  report("write pipe", bad, syscall(SYS_write, g_pipe[1], at, 16));
  report("write file", bad, syscall(SYS_write, g_file, at, 16));
  report("writev", bad, syscall(SYS_writev, g_pipe[1], at, 1));
  report("execve path", bad, syscall(SYS_execve, at, nullptr, nullptr));
  report("execve argv", bad, syscall(SYS_execve, "/bin/busybox", at, nullptr));
  report("chdir", bad, syscall(SYS_chdir, at));
  report("unlink", bad, syscall(SYS_unlink, at));
  report("nanosleep", bad, syscall(SYS_nanosleep, at, nullptr));
  report("sigaction new", bad, syscall(SYS_rt_sigaction, SIGUSR1, at, nullptr, 8));
  report("sigprocmask new", bad, syscall(SYS_rt_sigprocmask, SIG_BLOCK, at, nullptr, 8));
}

// Calls that write to the address.
void written_by_kernel(const BadAddress& bad) {
  const long at = bad.value;
  lseek(g_file, 0, SEEK_SET);
  report("read file", bad, syscall(SYS_read, g_file, at, 16));
  report("read pipe", bad, syscall(SYS_read, g_pipe[0], at, 4));
  report("stat result", bad, syscall(SYS_stat, "/", at));
  report("fstat", bad, syscall(SYS_fstat, g_file, at));
  report("getcwd", bad, syscall(SYS_getcwd, at, 64));
  report("pipe", bad, syscall(SYS_pipe, at));
  report("uname", bad, syscall(SYS_uname, at));
  report("clock_gettime", bad, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, at));
  report("sigaction old", bad, syscall(SYS_rt_sigaction, SIGUSR1, nullptr, at, 8));
  report("sigprocmask old", bad, syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, at, 8));
}

}  // namespace

int main() {
  constexpr size_t kPage = 4096;
  g_file = open("/tmp/bad_addresses.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (g_file < 0 || pipe(g_pipe) != 0) return 1;
  if (write(g_file, "0123456789abcdef", 16) != 16 || write(g_pipe[1], "0123456789abcdef", 16) != 16) return 1;
  char* hole = static_cast<char*>(mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* constant = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* gone = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(gone, kPage);

  const BadAddress bad[] = {
      {"low", 8},
      {"no region", reinterpret_cast<long>(gone)},
      {"no access", reinterpret_cast<long>(hole)},
      {"end of users'", 0x7fff'ffff'f000},
      {"not canonical", 0x8000'0000'0000},
      {"kernel's half", static_cast<long>(0xffff'8000'0000'0000)},
      {"kernel's text", static_cast<long>(0xffff'ffff'8000'0000)},
      {"last page", static_cast<long>(0xffff'ffff'ffff'f000)},
  };
  for (const BadAddress& address : bad) {
    read_by_kernel(address);
    written_by_kernel(address);
  }
  written_by_kernel({"read-only", reinterpret_cast<long>(constant)});

  // The pipe has lost nothing to the calls that failed.
  char text[17] = {};
  std::printf("the pipe holds %zd bytes\n", read(g_pipe[0], text, 16));
  std::printf("done\n");
  unlink("/tmp/bad_addresses.data");
  return 0;
}
