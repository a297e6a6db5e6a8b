// Linux memory semantics as a program sees them: mmap, munmap, mprotect, mremap, madvise, brk, stack, copy on
// write, shared and private files, SIGSEGV and SIGBUS with their details. Prints "PASS name" per check and
// "ok" at the end; the first failure prints "FAIL name: ..." and ends with status 1. Runs the same on Linux:
//   g++ -std=c++20 -static -O2 memory.cc -o memory && ./memory
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t kPage = 4096;
const char* g_check = "";

[[noreturn]] void fail(const char* what, int line) {
  std::printf("FAIL %s: %s (line %d, errno %d)\n", g_check, what, line, errno);
  std::fflush(stdout);
  _exit(1);
}
#define EXPECT(condition)                         \
  do {                                            \
    if (!(condition)) fail(#condition, __LINE__); \
  } while (false)
#define EXPECT_ERRNO(call, expected) \
  do {                               \
    errno = 0;                       \
    EXPECT(long(call) == -1);        \
    EXPECT(errno == (expected));     \
  } while (false)

// --- faults --------------------------------------------------------------------------------------------

struct Fault {
  int signal = 0;
  int code = 0;
  void* address = nullptr;
};
sigjmp_buf g_return;
volatile sig_atomic_t g_signal;
volatile int g_code;
void* volatile g_address;

void on_fault(int signal, siginfo_t* info, void*) {
  g_signal = signal;
  g_code = info->si_code;
  g_address = info->si_addr;
  siglongjmp(g_return, 1);
}

void catch_faults() {
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  EXPECT(sigaction(SIGSEGV, &action, nullptr) == 0);
  EXPECT(sigaction(SIGBUS, &action, nullptr) == 0);
}

// What an access raised; signal 0: nothing.
template <class Access>
Fault fault_of(Access access) {
  g_signal = 0;
  if (sigsetjmp(g_return, 1) == 0) {
    access();
    return {};
  }
  return {g_signal, g_code, g_address};
}
Fault fault_of_read(const volatile char* at) {
  return fault_of([at] { (void)*at; });
}
Fault fault_of_write(volatile char* at) {
  return fault_of([at] { *at = 1; });
}
bool readable(const char* at) { return fault_of_read(at).signal == 0; }
bool segv(const Fault& fault, int code, const void* address) {
  return fault.signal == SIGSEGV && fault.code == code && fault.address == address;
}

// --- small tools ---------------------------------------------------------------------------------------

char* map(size_t pages, int prot = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE) {
  void* at = mmap(nullptr, pages * kPage, prot, flags | MAP_ANONYMOUS, -1, 0);
  EXPECT(at != MAP_FAILED);
  return static_cast<char*>(at);
}
void unmap(char* at, size_t pages) { EXPECT(munmap(at, pages * kPage) == 0); }
bool zero(const char* at, size_t bytes = kPage) {
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] != 0) return false;
  }
  return true;
}

// Runs in a child; true when it returned true.
template <class Body>
bool in_child(Body body) {
  std::fflush(stdout);
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

char g_path[64];
// A file of `pages` pages; page n is filled with 'a' + n.
int new_file(size_t pages) {
  std::snprintf(g_path, sizeof g_path, "/tmp/memory-%d", int(getpid()));
  int file = open(g_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0) {
    std::snprintf(g_path, sizeof g_path, "/memory-%d", int(getpid()));
    file = open(g_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  }
  EXPECT(file >= 0);
  static char page[kPage];
  for (size_t i = 0; i < pages; ++i) {
    std::memset(page, int('a' + i), kPage);
    EXPECT(write(file, page, kPage) == ssize_t(kPage));
  }
  return file;
}
void end_file(int file) {
  EXPECT(close(file) == 0);
  EXPECT(unlink(g_path) == 0);
}
char* map_file(int file, size_t pages, int prot, int flags, size_t first_page = 0) {
  void* at = mmap(nullptr, pages * kPage, prot, flags, file, off_t(first_page * kPage));
  EXPECT(at != MAP_FAILED);
  return static_cast<char*>(at);
}

// The flags column of /proc/self/maps for an address; empty when it is not mapped.
bool maps_flags(const char* at, char flags[5]) {
  FILE* maps = std::fopen("/proc/self/maps", "r");
  EXPECT(maps != nullptr);
  char line[512];
  bool found = false;
  while (!found && std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin, end;
    EXPECT(std::sscanf(line, "%lx-%lx %4s", &begin, &end, flags) == 3);
    found = begin <= uintptr_t(at) && uintptr_t(at) < end;
  }
  std::fclose(maps);
  return found;
}

// --- mmap ----------------------------------------------------------------------------------------------

void anonymous_memory_is_zero() {
  char* at = map(3);
  EXPECT(zero(at, 3 * kPage));
  std::memset(at, 7, 3 * kPage);
  EXPECT(at[3 * kPage - 1] == 7);
  unmap(at, 3);
  at = map(3);
  EXPECT(zero(at, 3 * kPage));
  unmap(at, 3);
}

void mmap_errors() {
  const auto attempt = [](void* hint, size_t bytes, int flags, int file, off_t offset) {
    return mmap(hint, bytes, PROT_READ, flags, file, offset);
  };
  EXPECT_ERRNO(attempt(nullptr, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
  EXPECT_ERRNO(attempt(nullptr, kPage, MAP_ANONYMOUS, -1, 0), EINVAL);
  EXPECT_ERRNO(attempt(nullptr, kPage, MAP_PRIVATE, -1, 0), EBADF);
  EXPECT_ERRNO(syscall(SYS_mmap, 0, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 100), EINVAL);
  EXPECT_ERRNO(
      attempt(reinterpret_cast<void*>(0x10000001), kPage, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
      EINVAL);
  EXPECT_ERRNO(attempt(nullptr, SIZE_MAX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
  EXPECT_ERRNO(attempt(nullptr, size_t(1) << 47, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), ENOMEM);
  EXPECT_ERRNO(attempt(reinterpret_cast<void*>(0x7ffffffff000), 2 * kPage,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
               ENOMEM);
  EXPECT_ERRNO(attempt(reinterpret_cast<void*>(0xffff800000000000), kPage,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
               ENOMEM);
}

void fixed_replaces() {
  char* at = map(4);
  std::memset(at, 1, 4 * kPage);
  EXPECT(mmap(at + kPage, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) == at + kPage);
  EXPECT(at[0] == 1 && at[3 * kPage] == 1);
  EXPECT(zero(at + kPage, 2 * kPage));
  unmap(at, 4);
}

void fixed_noreplace_refuses() {
  char* at = map(3);
  unmap(at + kPage, 1);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  EXPECT_ERRNO(mmap(at + kPage, 2 * kPage, PROT_READ, flags, -1, 0), EEXIST);
  EXPECT(mmap(at + kPage, kPage, PROT_READ, flags, -1, 0) == at + kPage);
  unmap(at, 3);
}

void free_hint_is_taken() {
  char* at = map(8);
  unmap(at, 8);
  EXPECT(mmap(at + 2 * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at + 2 * kPage);
  void* other = mmap(at + 2 * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(other != MAP_FAILED && other != at + 2 * kPage);
  unmap(static_cast<char*>(other), 1);
  unmap(at + 2 * kPage, 1);
}

void populate() {
  void* at =
      mmap(nullptr, 64 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  EXPECT(at != MAP_FAILED);
  EXPECT(zero(static_cast<char*>(at), 64 * kPage));
  unsigned char resident[64];
  EXPECT(mincore(at, 64 * kPage, resident) == 0);
  for (unsigned char page : resident) EXPECT((page & 1) == 1);
  unmap(static_cast<char*>(at), 64);
  EXPECT_ERRNO(mincore(at, kPage, resident), ENOMEM);
}

void too_much_is_refused() {
  size_t total_kib = 0;
  if (FILE* info = std::fopen("/proc/meminfo", "r")) {
    char line[256];
    unsigned long kib;
    while (std::fgets(line, sizeof line, info) != nullptr) {
      if (std::sscanf(line, "MemTotal: %lu", &kib) == 1 || std::sscanf(line, "SwapTotal: %lu", &kib) == 1) {
        total_kib += kib;
      }
    }
    std::fclose(info);
  }
  EXPECT(total_kib != 0);
  int mode = 0;
  if (FILE* overcommit = std::fopen("/proc/sys/vm/overcommit_memory", "r")) {
    if (std::fscanf(overcommit, "%d", &mode) != 1) mode = 0;
    std::fclose(overcommit);
  }
  if (mode == 1) return;  // this system grants everything
  const size_t bytes = (total_kib << 10) + (size_t(1) << 30);
  EXPECT_ERRNO(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
  void* at = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(at != MAP_FAILED);
  EXPECT(munmap(at, bytes) == 0);
  // Each request alone is granted.
  void* parts[3];
  for (void*& part : parts) {
    part = mmap(nullptr, (total_kib << 10) / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(part != MAP_FAILED);
  }
  for (void* part : parts) EXPECT(munmap(part, (total_kib << 10) / 2) == 0);
}

void maps_tell_the_truth() {
  char* at = map(3);
  EXPECT(mprotect(at + kPage, kPage, PROT_READ) == 0);
  char flags[5];
  EXPECT(maps_flags(at, flags) && std::strcmp(flags, "rw-p") == 0);
  EXPECT(maps_flags(at + kPage, flags) && std::strcmp(flags, "r--p") == 0);
  unmap(at + 2 * kPage, 1);
  EXPECT(!maps_flags(at + 2 * kPage, flags));
  unmap(at, 2);
  at = map(1, PROT_READ, MAP_SHARED);
  EXPECT(maps_flags(at, flags) && std::strcmp(flags, "r--s") == 0);
  unmap(at, 1);
}

// --- munmap, mprotect ----------------------------------------------------------------------------------

void unmapped_pages_fault() {
  char* at = map(3);
  std::memset(at, 1, 3 * kPage);
  unmap(at + kPage, 1);
  EXPECT(segv(fault_of_read(at + kPage + 5), SEGV_MAPERR, at + kPage + 5));
  EXPECT(segv(fault_of_write(at + kPage), SEGV_MAPERR, at + kPage));
  EXPECT(at[kPage - 1] == 1 && at[2 * kPage] == 1);
  unmap(at, 3);
  EXPECT(!readable(at) && !readable(at + 2 * kPage));
}

void munmap_errors() {
  char* at = map(2);
  EXPECT_ERRNO(munmap(at + 1, kPage), EINVAL);
  EXPECT_ERRNO(munmap(at, 0), EINVAL);
  EXPECT_ERRNO(munmap(at, size_t(1) << 48), EINVAL);
  unmap(at, 2);
  unmap(at, 2);
}

void every_other_page() {
  constexpr size_t kPages = 64;
  char* at = map(kPages);
  for (size_t i = 0; i < kPages; ++i) at[i * kPage] = char(i);
  for (size_t i = 1; i < kPages; i += 2) unmap(at + i * kPage, 1);
  for (size_t i = 0; i < kPages; ++i) {
    if (i % 2 == 0) {
      EXPECT(at[i * kPage] == char(i));
    } else {
      EXPECT(!readable(at + i * kPage));
    }
  }
  EXPECT(mmap(at, kPages * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
  EXPECT(zero(at, kPages * kPage));
  unmap(at, kPages);
}

void protection_faults() {
  char* at = map(3);
  std::memset(at, 9, 3 * kPage);
  EXPECT(mprotect(at + kPage, kPage, PROT_READ) == 0);
  EXPECT(at[kPage] == 9);
  EXPECT(segv(fault_of_write(at + kPage + 8), SEGV_ACCERR, at + kPage + 8));
  EXPECT(fault_of_write(at + 2 * kPage).signal == 0);
  EXPECT(mprotect(at + kPage, kPage, PROT_NONE) == 0);
  EXPECT(segv(fault_of_read(at + kPage), SEGV_ACCERR, at + kPage));
  EXPECT(mprotect(at + kPage, kPage, PROT_READ | PROT_WRITE) == 0);
  EXPECT(at[kPage] == 9);
  EXPECT(fault_of_write(at + kPage).signal == 0);
  unmap(at, 3);
}

void mprotect_errors() {
  char* at = map(4);
  EXPECT_ERRNO(mprotect(at + 1, kPage, PROT_READ), EINVAL);
  EXPECT(mprotect(at, 0, PROT_READ) == 0);
  EXPECT_ERRNO(mprotect(at, kPage, 0x1000), EINVAL);
  unmap(at + 2 * kPage, 1);
  // What lies before the hole is changed.
  EXPECT_ERRNO(mprotect(at, 4 * kPage, PROT_READ), ENOMEM);
  EXPECT(fault_of_write(at).signal == SIGSEGV);
  EXPECT(fault_of_write(at + kPage).signal == SIGSEGV);
  EXPECT(fault_of_write(at + 3 * kPage).signal == 0);
  unmap(at, 4);
  EXPECT_ERRNO(mprotect(at, kPage, PROT_READ), ENOMEM);
}

void execution_needs_the_right() {
  constexpr unsigned char kReturn42[] = {0xb8, 42, 0, 0, 0, 0xc3};
  char* at = map(1);
  std::memcpy(at, kReturn42, sizeof kReturn42);
  const auto call = reinterpret_cast<int (*)()>(at);
  EXPECT(segv(fault_of([call] { call(); }), SEGV_ACCERR, at));
  EXPECT(mprotect(at, kPage, PROT_READ | PROT_EXEC) == 0);
  EXPECT(call() == 42);
  EXPECT(fault_of_write(at).signal == SIGSEGV);
  unmap(at, 1);
}

void bad_addresses_give_efault() {
  int file = new_file(1);
  char* at = map(3);
  EXPECT(mprotect(at + kPage, kPage, PROT_READ) == 0);
  unmap(at + 2 * kPage, 1);
  EXPECT_ERRNO(pread(file, at + kPage, 10, 0), EFAULT);
  EXPECT_ERRNO(pread(file, at + 2 * kPage, 10, 0), EFAULT);
  EXPECT_ERRNO(pwrite(file, at + 2 * kPage, 10, 0), EFAULT);
  EXPECT_ERRNO(pread(file, reinterpret_cast<void*>(0xffff800000000000), 10, 0), EFAULT);
  EXPECT_ERRNO(syscall(SYS_pread64, file, 0, 10, 0), EFAULT);
  EXPECT(pread(file, at, 10, 0) == 10 && at[9] == 'a');
  unmap(at, 2);
  end_file(file);
}

// --- mremap --------------------------------------------------------------------------------------------

void mremap_in_place() {
  char* at = map(8);
  std::memset(at, 5, 8 * kPage);
  EXPECT(mremap(at, 8 * kPage, 4 * kPage, 0) == at);
  EXPECT(!readable(at + 4 * kPage));
  EXPECT(mremap(at, 4 * kPage, 6 * kPage, 0) == at);
  EXPECT(at[4 * kPage - 1] == 5 && zero(at + 4 * kPage, 2 * kPage));
  unmap(at, 6);
}

void mremap_moves_the_contents() {
  char* at = map(8);
  for (size_t i = 0; i < 8; ++i) at[i * kPage] = char(i + 1);
  // Pages 2 to 4 go; page 5 is in the way of growing in place.
  EXPECT_ERRNO(mremap(at + 2 * kPage, 3 * kPage, 5 * kPage, 0), ENOMEM);
  void* moved = mremap(at + 2 * kPage, 3 * kPage, 5 * kPage, MREMAP_MAYMOVE);
  EXPECT(moved != MAP_FAILED);
  const char* to = static_cast<char*>(moved);
  EXPECT(to[0] == 3 && to[kPage] == 4 && to[2 * kPage] == 5);
  EXPECT(zero(to + 3 * kPage, 2 * kPage));
  EXPECT(!readable(at + 2 * kPage) && !readable(at + 4 * kPage));
  EXPECT(at[kPage] == 2 && at[5 * kPage] == 6);
  unmap(static_cast<char*>(moved), 5);
  unmap(at, 8);
}

void mremap_to_a_fixed_place() {
  char* at = map(2);
  std::memset(at, 6, 2 * kPage);
  char* target = map(3);
  std::memset(target, 1, 3 * kPage);
  EXPECT(mremap(at, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
  EXPECT(target[0] == 6 && target[2 * kPage] == 1);
  EXPECT(!readable(at));
  unmap(target, 3);
}

void mremap_errors() {
  char* at = map(4);
  EXPECT_ERRNO(mremap(at + 1, kPage, kPage, 0), EINVAL);
  EXPECT_ERRNO(mremap(at, kPage, 0, 0), EINVAL);
  EXPECT_ERRNO(mremap(at, kPage, kPage, 0x100), EINVAL);
  EXPECT_ERRNO(mremap(at, kPage, kPage, MREMAP_FIXED, at), EINVAL);
  EXPECT_ERRNO(mremap(at, 2 * kPage, 2 * kPage, MREMAP_FIXED | MREMAP_MAYMOVE, at + kPage), EINVAL);
  unmap(at + 3 * kPage, 1);
  EXPECT_ERRNO(mremap(at + 3 * kPage, kPage, 2 * kPage, MREMAP_MAYMOVE), EFAULT);
  EXPECT_ERRNO(mremap(at, 4 * kPage, 8 * kPage, MREMAP_MAYMOVE), EFAULT);
  unmap(at, 3);
}

// --- madvise, msync, mlock -----------------------------------------------------------------------------

void dontneed_drops_private_memory() {
  char* at = map(3);
  std::memset(at, 4, 3 * kPage);
  EXPECT(madvise(at + kPage, kPage, MADV_DONTNEED) == 0);
  EXPECT(at[0] == 4 && zero(at + kPage) && at[2 * kPage] == 4);
  unmap(at, 3);
  char* shared = map(1, PROT_READ | PROT_WRITE, MAP_SHARED);
  shared[0] = 4;
  EXPECT(madvise(shared, kPage, MADV_DONTNEED) == 0);
  EXPECT(shared[0] == 4);
  unmap(shared, 1);
  int file = new_file(1);
  char* copy = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  copy[0] = 4;
  EXPECT(madvise(copy, kPage, MADV_DONTNEED) == 0);
  EXPECT(copy[0] == 'a');
  unmap(copy, 1);
  end_file(file);
}

void madvise_arguments() {
  char* at = map(3);
  EXPECT(madvise(at, 3 * kPage, MADV_WILLNEED) == 0);
  EXPECT(madvise(at, 3 * kPage, MADV_NORMAL) == 0);
  EXPECT(madvise(at, 0, MADV_DONTNEED) == 0);
  EXPECT_ERRNO(madvise(at, kPage, 9999), EINVAL);
  EXPECT_ERRNO(madvise(at + 1, kPage, MADV_DONTNEED), EINVAL);
  at[0] = 1;
  at[2 * kPage] = 1;
  unmap(at + kPage, 1);
  EXPECT_ERRNO(madvise(at, 3 * kPage, MADV_DONTNEED), ENOMEM);
  EXPECT(at[0] == 0 && at[2 * kPage] == 0);
  unmap(at, 3);
}

void free_memory_reads_zero_or_old() {
  char* at = map(2);
  std::memset(at, 3, 2 * kPage);
  EXPECT(madvise(at, 2 * kPage, MADV_FREE) == 0);
  EXPECT(at[0] == 0 || at[0] == 3);
  at[0] = 8;
  EXPECT(at[0] == 8);
  unmap(at, 2);
}

void sync_and_lock() {
  char* at = map(3);
  unmap(at + 2 * kPage, 1);
  EXPECT(msync(at, 2 * kPage, MS_SYNC) == 0);
  EXPECT_ERRNO(msync(at, 3 * kPage, MS_ASYNC), ENOMEM);
  EXPECT_ERRNO(msync(at, kPage, MS_ASYNC | MS_SYNC), EINVAL);
  EXPECT_ERRNO(msync(at + 1, kPage, MS_SYNC), EINVAL);
  EXPECT(mlock(at + 5, 10) == 0);
  EXPECT_ERRNO(mlock(at, 3 * kPage), ENOMEM);
  EXPECT(munlock(at, 2 * kPage) == 0);
  EXPECT(munlockall() == 0);
  unmap(at, 2);
}

// --- brk, stack ----------------------------------------------------------------------------------------

void brk_grows_and_shrinks() {
  const auto set = [](uintptr_t end) { return uintptr_t(syscall(SYS_brk, end)); };
  const uintptr_t start = set(0);
  EXPECT(start != 0);
  EXPECT(set(start + 10 * kPage) == start + 10 * kPage);
  char* heap = reinterpret_cast<char*>((start + kPage - 1) & ~(kPage - 1));
  EXPECT(zero(heap, 9 * kPage));
  std::memset(heap, 2, 9 * kPage);
  EXPECT(set(start + 3 * kPage) == start + 3 * kPage);
  EXPECT(!readable(heap + 4 * kPage));
  EXPECT(set(start + 10 * kPage) == start + 10 * kPage);
  EXPECT(heap[kPage] == 2 && zero(heap + 4 * kPage, 5 * kPage));
  EXPECT(set(1) == start + 10 * kPage);
  EXPECT(set(start) == start);
}

[[gnu::noinline]] size_t use_stack(size_t pages) {
  volatile char frame[kPage];
  frame[0] = char(pages);
  const size_t deeper = pages == 0 ? 0 : use_stack(pages - 1);
  return deeper + (frame[0] == char(pages));
}

void the_stack_grows() { EXPECT(use_stack(1000) == 1001); }

void the_stack_ends() {
  std::fflush(stdout);
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    const rlimit limit{8 << 20, 8 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    _exit(use_stack(4000) != 0 ? 3 : 4);
  }
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child);
  EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void grows_down_mappings_grow() {
  char* at = map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN);
  EXPECT(fault_of_write(at - 1).signal == 0);
  EXPECT(fault_of_write(at - 2 * kPage).signal == 0);
  EXPECT(at[-1] == 1);
  unmap(at - 2 * kPage, 3);
}

// --- fork ----------------------------------------------------------------------------------------------

void copies_are_made_on_write() {
  char* at = map(2);
  at[0] = 1;
  at[kPage] = 2;
  EXPECT(in_child([at] {
    if (at[0] != 1 || at[kPage] != 2) return false;
    at[0] = 100;
    return at[0] == 100;
  }));
  EXPECT(at[0] == 1);
  // The other way round: the child sees what was there when it was made.
  int ready[2];
  EXPECT(pipe(ready) == 0);
  std::fflush(stdout);
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) _exit(2);
    _exit(at[0] == 1 && at[kPage] == 2 ? 0 : 1);
  }
  at[0] = 50;
  at[kPage] = 60;
  EXPECT(write(ready[1], "x", 1) == 1);
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(at[0] == 50);
  close(ready[0]);
  close(ready[1]);
  unmap(at, 2);
}

void a_grandchild_has_its_own_copy() {
  char* at = map(1);
  at[0] = 1;
  EXPECT(in_child([at] {
    at[0] = 2;
    const bool grandchild = in_child([at] {
      at[0] = 3;
      return true;
    });
    return grandchild && at[0] == 2;
  }));
  EXPECT(at[0] == 1);
  unmap(at, 1);
}

void shared_memory_is_shared() {
  char* at = map(2, PROT_READ | PROT_WRITE, MAP_SHARED);
  EXPECT(zero(at, 2 * kPage));
  EXPECT(in_child([at] {
    at[0] = 7;
    at[kPage] = 8;
    return true;
  }));
  EXPECT(at[0] == 7 && at[kPage] == 8);
  unmap(at, 2);
}

void a_childs_unmap_is_its_own() {
  char* at = map(3);
  std::memset(at, 1, 3 * kPage);
  EXPECT(in_child([at] {
    unmap(at + kPage, 1);
    if (mprotect(at, kPage, PROT_NONE) != 0) return false;
    return !readable(at + kPage) && !readable(at);
  }));
  EXPECT(at[0] == 1 && at[kPage] == 1);
  unmap(at, 3);
}

// --- files ---------------------------------------------------------------------------------------------

void private_file_mappings() {
  int file = new_file(3);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE, 1);
  EXPECT(at[0] == 'b' && at[kPage] == 'c');
  at[0] = 'X';
  char byte;
  EXPECT(pread(file, &byte, 1, kPage) == 1 && byte == 'b');
  unmap(at, 2);
  at = map_file(file, 1, PROT_READ, MAP_PRIVATE, 1);
  EXPECT(at[0] == 'b');
  unmap(at, 1);
  end_file(file);
}

void shared_file_mappings() {
  int file = new_file(2);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* again = map_file(file, 1, PROT_READ, MAP_PRIVATE, 1);
  at[kPage] = 'X';
  char byte;
  EXPECT(pread(file, &byte, 1, kPage) == 1 && byte == 'X');
  EXPECT(again[0] == 'X');
  EXPECT(pwrite(file, "Y", 1, 5) == 1);
  EXPECT(at[5] == 'Y');
  EXPECT(close(file) == 0);
  EXPECT(at[kPage] == 'X');
  unmap(at, 2);
  unmap(again, 1);
  file = open(g_path, O_RDONLY);
  EXPECT(file >= 0);
  EXPECT(pread(file, &byte, 1, kPage) == 1 && byte == 'X');
  end_file(file);
}

void an_unlinked_file_stays_mapped() {
  int file = new_file(1);
  char* at = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
  end_file(file);
  EXPECT(at[0] == 'a');
  at[0] = 'Z';
  EXPECT(at[0] == 'Z');
  unmap(at, 1);
}

void file_open_modes_are_respected() {
  int file = new_file(1);
  EXPECT(close(file) == 0);
  file = open(g_path, O_RDONLY);
  EXPECT(file >= 0);
  EXPECT_ERRNO(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EACCES);
  char* shared = map_file(file, 1, PROT_READ, MAP_SHARED);
  EXPECT_ERRNO(mprotect(shared, kPage, PROT_READ | PROT_WRITE), EACCES);
  char* copy = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  copy[0] = 'q';
  EXPECT(shared[0] == 'a');
  unmap(shared, 1);
  unmap(copy, 1);
  EXPECT(close(file) == 0);
  file = open(g_path, O_WRONLY);
  EXPECT(file >= 0);
  EXPECT_ERRNO(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, 0), EACCES);
  EXPECT_ERRNO(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, 0), EACCES);
  end_file(file);
}

void past_the_end_of_a_file() {
  int file = new_file(3);
  EXPECT(ftruncate(file, kPage + 100) == 0);
  char* at = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  EXPECT(at[kPage + 99] == 'b' && zero(at + kPage + 100, kPage - 100));
  Fault fault = fault_of_read(at + 2 * kPage);
  EXPECT(fault.signal == SIGBUS && fault.code == BUS_ADRERR && fault.address == at + 2 * kPage);
  EXPECT(ftruncate(file, 4 * kPage) == 0);
  EXPECT(zero(at + 2 * kPage, 2 * kPage));
  unmap(at, 4);
  end_file(file);
}

void truncation_takes_pages_away() {
  int file = new_file(4);
  char* shared = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* copy = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  shared[3 * kPage] = 'S';
  copy[3 * kPage] = 'C';
  copy[0] = 'D';
  EXPECT(ftruncate(file, kPage) == 0);
  EXPECT(fault_of_read(shared + 3 * kPage).signal == SIGBUS);
  EXPECT(fault_of_write(shared + kPage).signal == SIGBUS);
  EXPECT(fault_of_read(copy + 3 * kPage).signal == SIGBUS);
  EXPECT(shared[0] == 'a' && copy[0] == 'D');
  char buffer[8];
  EXPECT(ftruncate(file, 4 * kPage) == 0);
  EXPECT(pread(file, buffer, 8, 3 * kPage) == 8 && zero(buffer, 8));
  EXPECT(shared[3 * kPage] == 0);
  unmap(shared, 4);
  unmap(copy, 4);
  end_file(file);
}

void a_system_call_past_the_end_gives_efault() {
  int file = new_file(1);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  int out[2];
  EXPECT(pipe(out) == 0);
  EXPECT_ERRNO(write(out[1], at + kPage, 10), EFAULT);
  EXPECT(write(out[1], at, 10) == 10);
  close(out[0]);
  close(out[1]);
  unmap(at, 2);
  end_file(file);
}

void mappings_of_a_file_move() {
  int file = new_file(4);
  char* at = map_file(file, 2, PROT_READ, MAP_SHARED, 1);
  void* moved = mremap(at, 2 * kPage, 3 * kPage, MREMAP_MAYMOVE);
  EXPECT(moved != MAP_FAILED);
  const char* to = static_cast<char*>(moved);
  EXPECT(to[0] == 'b' && to[kPage] == 'c' && to[2 * kPage] == 'd');
  unmap(static_cast<char*>(moved), 3);
  end_file(file);
}

void dev_zero_is_anonymous_memory() {
  const int file = open("/dev/zero", O_RDWR);
  EXPECT(file >= 0);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  EXPECT(zero(at, 2 * kPage));
  at[0] = 1;
  EXPECT(at[0] == 1);
  EXPECT(close(file) == 0);
  unmap(at, 2);
}

struct Check {
  const char* name;
  void (*run)();
};
#define CHECK_ROW(function) {#function, function}
constexpr Check kChecks[] = {
    CHECK_ROW(anonymous_memory_is_zero),
    CHECK_ROW(mmap_errors),
    CHECK_ROW(fixed_replaces),
    CHECK_ROW(fixed_noreplace_refuses),
    CHECK_ROW(free_hint_is_taken),
    CHECK_ROW(populate),
    CHECK_ROW(too_much_is_refused),
    CHECK_ROW(maps_tell_the_truth),
    CHECK_ROW(unmapped_pages_fault),
    CHECK_ROW(munmap_errors),
    CHECK_ROW(every_other_page),
    CHECK_ROW(protection_faults),
    CHECK_ROW(mprotect_errors),
    CHECK_ROW(execution_needs_the_right),
    CHECK_ROW(bad_addresses_give_efault),
    CHECK_ROW(mremap_in_place),
    CHECK_ROW(mremap_moves_the_contents),
    CHECK_ROW(mremap_to_a_fixed_place),
    CHECK_ROW(mremap_errors),
    CHECK_ROW(dontneed_drops_private_memory),
    CHECK_ROW(madvise_arguments),
    CHECK_ROW(free_memory_reads_zero_or_old),
    CHECK_ROW(sync_and_lock),
    CHECK_ROW(brk_grows_and_shrinks),
    CHECK_ROW(the_stack_grows),
    CHECK_ROW(the_stack_ends),
    CHECK_ROW(grows_down_mappings_grow),
    CHECK_ROW(copies_are_made_on_write),
    CHECK_ROW(a_grandchild_has_its_own_copy),
    CHECK_ROW(shared_memory_is_shared),
    CHECK_ROW(a_childs_unmap_is_its_own),
    CHECK_ROW(private_file_mappings),
    CHECK_ROW(shared_file_mappings),
    CHECK_ROW(an_unlinked_file_stays_mapped),
    CHECK_ROW(file_open_modes_are_respected),
    CHECK_ROW(past_the_end_of_a_file),
    CHECK_ROW(truncation_takes_pages_away),
    CHECK_ROW(a_system_call_past_the_end_gives_efault),
    CHECK_ROW(mappings_of_a_file_move),
    CHECK_ROW(dev_zero_is_anonymous_memory),
};

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 4096);
  g_check = "catching faults";
  catch_faults();
  for (const Check& check : kChecks) {
    g_check = check.name;
    check.run();
    std::printf("PASS %s\n", check.name);
  }
  std::printf("ok\n");
  return 0;
}
