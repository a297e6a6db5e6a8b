// Every file system call with arguments drawn from a table of nasty values: the kernel answers, whatever it
// is, and files work afterwards. For the guest alone: some calls would harm a host.
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/boot/programs/file_checks.h"

namespace {

constexpr int kRounds = 16;
constexpr int kCallsPerRound = 1500;

constexpr long kCalls[] = {
    SYS_read,      SYS_write,      SYS_open,         SYS_close,     SYS_stat,      SYS_fstat,
    SYS_lstat,     SYS_lseek,      SYS_ioctl,        SYS_pread64,   SYS_pwrite64,  SYS_readv,
    SYS_writev,    SYS_access,     SYS_pipe,         SYS_dup,       SYS_dup2,      SYS_sendfile,
    SYS_fcntl,     SYS_flock,      SYS_fsync,        SYS_truncate,  SYS_ftruncate, SYS_getcwd,
    SYS_chdir,     SYS_fchdir,     SYS_rename,       SYS_mkdir,     SYS_rmdir,     SYS_creat,
    SYS_link,      SYS_unlink,     SYS_symlink,      SYS_readlink,  SYS_chmod,     SYS_fchmod,
    SYS_chown,     SYS_fchown,     SYS_umask,        SYS_utime,     SYS_mknod,     SYS_statfs,
    SYS_fstatfs,   SYS_mount,      SYS_getdents64,   SYS_utimes,    SYS_openat,    SYS_mkdirat,
    SYS_mknodat,   SYS_fchownat,   SYS_newfstatat,   SYS_unlinkat,  SYS_renameat,  SYS_linkat,
    SYS_symlinkat, SYS_readlinkat, SYS_fchmodat,     SYS_faccessat, SYS_utimensat, SYS_fallocate,
    SYS_dup3,      SYS_pipe2,      SYS_preadv,       SYS_pwritev,   SYS_renameat2, SYS_statx,
    SYS_mmap,      SYS_poll,       SYS_memfd_create,
};

unsigned g_state = 1;
unsigned random_number() {
  g_state ^= g_state << 13;
  g_state ^= g_state >> 17;
  g_state ^= g_state << 5;
  return g_state;
}

// Half of the values are addresses: of names, of memory up to the edge of a hole, of the kernel.
std::vector<unsigned long> nasty_values() {
  char* const pages = static_cast<char*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(pages != MAP_FAILED && munmap(pages + 2 * kPage, kPage) == 0);
  memset(pages + kPage, 'x', kPage);
  std::vector<unsigned long> values = {0,       1,       2,          3,          4,          5,       6,
                                       8,       63,      64,         255,        1023,       1024,    4095,
                                       4096,    65536,   0x7fffffff, 0x80000000, 0xffffffff, ~0ul,    -100ul,
                                       1000000, 0x1000,  ~0ul >> 1,  1ul << 63,  0040755,    0100644, 0010644,
                                       0020666, 0120777, 0x5401,     0x5413};
  for (const unsigned long kernel : {0xffff800000000000, 0xffffc00000000000, 0xffffd00000000000,
                                     0xffffffff80000000, 0x7fffffffe000ul, 0x7ffffffff000ul}) {
    values.push_back(kernel);
  }
  int at = 0;
  for (const char* name : {"a", "b/../c", "/proc/self/fd", ".", "..", "link", "d/", "/proc/1/cmdline", "/",
                           "", "/dev/zero", "a/b", "/proc/self/fd/3"}) {
    strcpy(pages + at, name);
    values.push_back(reinterpret_cast<unsigned long>(pages + at));
    at += 64;
  }
  for (const unsigned long offset : {kPage, 2 * kPage - 1, 2 * kPage - 16, 2 * kPage - 200, 2 * kPage}) {
    values.push_back(reinterpret_cast<unsigned long>(pages) + offset);
  }
  return values;
}

// What is no test: reading from or printing on the console, and losing it.
bool skipped(long call, const unsigned long (&arguments)[6]) {
  const bool console = static_cast<unsigned>(arguments[0]) < 3;
  switch (call) {
    case SYS_dup2:
    case SYS_dup3:
      return static_cast<unsigned>(arguments[1]) < 3;
    case SYS_poll:
      return static_cast<int>(arguments[2]) < 0 || static_cast<int>(arguments[2]) > 10;
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_sendfile:
    case SYS_close:
    case SYS_ioctl:
      return console;
    case SYS_mmap:
      return (arguments[3] & MAP_FIXED) != 0;
    default:
      return false;
  }
}

void one_round(unsigned seed) {
  g_state = seed;
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
  // Nothing stays blocked.
  const itimerval timer = {{0, 1000}, {0, 1000}};
  CHECK(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
  const std::vector<unsigned long> values = nasty_values();
  for (int i = 0; i < kCallsPerRound; ++i) {
    const long call = kCalls[random_number() % std::size(kCalls)];
    unsigned long arguments[6];
    for (unsigned long& argument : arguments) {
      argument = values[random_number() % values.size()];
    }
    if (!skipped(call, arguments)) {
      syscall(call, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    }
  }
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  check("nasty arguments", [] {
    for (unsigned round = 0; round < kRounds; ++round) {
      CHECK(status_of_child([=] { one_round(round * 7919 + 12345); }) == 0);
    }
  });
  check("files still work", [] {
    const std::string text = pattern(100000);
    put("after", text);
    CHECK(contents("after") == text && unlink("after") == 0);
    CHECK(contents("/proc/self/comm") == "nasty_files\n");
  });
  return finish();
}
