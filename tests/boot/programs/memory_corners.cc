// Corners of mmap, munmap, mprotect, mremap, madvise, mincore, msync, mlock and memfd_create: which error
// comes first, what ends of ranges mean. Prints each answer: the same on Linux.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/memory_checks.h"

namespace {

void say(const char* what, long answer) {
  if (answer == -1) {
    printf("%s: %s\n", what, strerrorname_np(errno));
  } else {
    // An address says no more than that there is one.
    printf("%s: %ld\n", what, answer > 0xffff ? 1 : answer);
  }
}
#define SAY(call) (errno = 0, say(#call, long(call)))

constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int kBoth = PROT_READ | PROT_WRITE;
constexpr unsigned long kTop = 0x7fff'ffff'f000;

char* at;
char* const nowhere = reinterpret_cast<char*>(0x100000);
int file;

// mmap as the kernel has it: nothing is checked before.
long mapped(unsigned long address, unsigned long bytes, int prot, long flags, int descriptor,
            unsigned long offset) {
  return syscall(SYS_mmap, address, bytes, prot, flags, descriptor, offset);
}

void mapping() {
  SAY(mapped(0, 0, 3, kAnonymous, -1, 0));
  SAY(mapped(0, ~0ul, 3, kAnonymous, -1, 0));
  SAY(mapped(0, ~0ul - 4095, 3, kAnonymous, -1, 0));
  SAY(mapped(0, 1ul << 47, 3, kAnonymous, -1, 0));
  SAY(mapped(0, 4096, 3, kAnonymous, -1, 1));
  SAY(mapped(0, 4096, 3, kAnonymous, -1, ~0ul - 4095));
  SAY(mapped(0, 8192, 3, kAnonymous, -1, ~0ul - 4095));
  SAY(mapped(0, 8192, 3, MAP_SHARED | MAP_ANONYMOUS, -1, ~0ul - 4095));
  SAY(mapped(0, 4096, 3, MAP_ANONYMOUS, -1, 0));
  SAY(mapped(0, 4096, 3, MAP_ANONYMOUS | 3, -1, 0));
  SAY(mapped(0, 4096, 3, MAP_ANONYMOUS | 4, -1, 0));
  SAY(mapped(0, 4096, 3, MAP_ANONYMOUS | 15, -1, 0));
  SAY(mapped(0, 4096, 0xff, kAnonymous, -1, 0));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, -1, 0));
  SAY(mapped(0, 0, 3, MAP_PRIVATE, -1, 0));
  SAY(mapped(0, 0, 3, MAP_PRIVATE, file, 0));
  SAY(mapped(0, 4096, 3, 0, file, 0));
  SAY(mapped(0, 4096, 3, 4, file, 0));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, file, 1));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, file, 1ul << 62));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, file, (1ul << 63) - 8192));
  SAY(mapped(0, 8192, 3, MAP_PRIVATE, file, (1ul << 63) - 8192));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, file, 1ul << 63));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE, file, ~0ul - 4095));
  SAY(mapped(0, 8192, 3, MAP_PRIVATE, file, ~0ul - 4095));
  SAY(mapped(0, 4096, 3, MAP_SHARED_VALIDATE, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED_VALIDATE | 0x80000, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED_VALIDATE | 0x80000000l, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED_VALIDATE | 0x400, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED_VALIDATE | MAP_POPULATE | MAP_NORESERVE | MAP_STACK, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED | 0x400, file, 0));
  SAY(mapped(0, 4096, 3, MAP_PRIVATE | MAP_GROWSDOWN, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED | MAP_GROWSDOWN, file, 0));
  SAY(mapped(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
}

void at_fixed_places() {
  const long fixed = kAnonymous | MAP_FIXED;
  const long unused = kAnonymous | MAP_FIXED_NOREPLACE;
  SAY(mapped(4096 + 1, 4096, 3, fixed, -1, 0));
  SAY(mapped(kTop, 4096, 3, fixed, -1, 0));
  SAY(mapped(kTop + 1, 4096, 3, fixed, -1, 0));
  SAY(mapped(~0ul - 4095, 4096, 3, fixed, -1, 0));
  SAY(mapped(~0ul - 4095, 4096, 3, kAnonymous, -1, 0));
  SAY(mapped(~0ul, 4096, 3, kAnonymous, -1, 0));
  SAY(mapped(1, 4096, 3, kAnonymous, -1, 0));
  SAY(mapped(kTop, 4096, 3, unused, -1, 0));
  SAY(mapped(reinterpret_cast<long>(at), 4096, 3, unused, -1, 0));
  SAY(mapped(reinterpret_cast<long>(at) - 4096, 8192, 3, unused, -1, 0));
  SAY(mapped(reinterpret_cast<long>(at) + 1, 4096, 3, unused, -1, 0));
  SAY(mapped(reinterpret_cast<long>(at), 4096, 3, MAP_FIXED, -1, 0));
  SAY(mapped(reinterpret_cast<long>(at), 0, 3, fixed, -1, 0));
  CHECK(at[0] == 'A');
}

void unmapping() {
  SAY(munmap(at + 1, kPage));
  SAY(munmap(at, 0));
  SAY(munmap(nullptr, 0));
  SAY(munmap(nullptr, kPage));
  SAY(munmap(nowhere, kPage));
  SAY(munmap(at, ~0ul));
  SAY(munmap(at, ~0ul - 4095));
  SAY(munmap(reinterpret_cast<char*>(kTop), kPage));
  SAY(munmap(reinterpret_cast<char*>(kTop), 1));
  SAY(munmap(reinterpret_cast<char*>(kTop - kPage), kPage));
  SAY(munmap(reinterpret_cast<char*>(~0ul - 4095), kPage));
}

void protecting() {
  SAY(mprotect(at + 1, kPage, PROT_READ));
  SAY(mprotect(at + 1, 0, PROT_READ));
  SAY(mprotect(nowhere, 0, PROT_READ));
  SAY(mprotect(nowhere, kPage, PROT_READ));
  SAY(mprotect(nullptr, kPage, PROT_READ));
  SAY(mprotect(nowhere, kPage, 0x10));
  SAY(mprotect(at, kPage, 0x10));
  SAY(mprotect(at, 0, 0x10));
  SAY(mprotect(at, kPage, kBoth | 8));
  SAY(mprotect(at, ~0ul, PROT_READ));
  SAY(mprotect(at, ~0ul - 4095, PROT_READ));
  SAY(mprotect(at, kPage, PROT_READ | PROT_GROWSDOWN));
  SAY(mprotect(at, kPage, PROT_READ | PROT_GROWSUP));
  SAY(mprotect(at, kPage, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
  SAY(mprotect(nowhere, kPage, PROT_READ | PROT_GROWSDOWN));
  char* holes = map(3);
  unmap(holes + kPage, 1);
  SAY(mprotect(holes, 3 * kPage, PROT_READ));
  printf("before the hole: %d, behind: %d\n", fault_of_write(holes).signal,
         fault_of_write(holes + 2 * kPage).signal);
  unmap(holes, 3);
  const int reader = open(g_path, O_RDONLY);
  char* shared = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, reader, 0));
  SAY(mprotect(shared, kPage, kBoth));
  SAY(mprotect(shared, kPage, PROT_READ | PROT_EXEC));
  SAY(mmap(nullptr, kPage, kBoth, MAP_SHARED, reader, 0));
  SAY(mmap(nullptr, kPage, kBoth, MAP_PRIVATE, reader, 0));
  const int writer = open(g_path, O_WRONLY);
  SAY(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, writer, 0));
  SAY(mmap(nullptr, kPage, PROT_WRITE, MAP_SHARED, writer, 0));
  SAY(mmap(nullptr, kPage, 0, MAP_SHARED, writer, 0));
  close(reader);
  close(writer);
  const int path = open(g_path, O_PATH);
  SAY(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, path, 0));
  close(path);
  const int directory = open("/", O_RDONLY);
  SAY(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, directory, 0));
  close(directory);
  int ends[2];
  CHECK(pipe(ends) == 0);
  SAY(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, ends[0], 0));
  SAY(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, ends[1], 0));
}

void remapping() {
  const auto remapped = [](void* from, size_t old, size_t bytes, int flags, void* to = nullptr) {
    return syscall(SYS_mremap, from, old, bytes, flags, to);
  };
  SAY(remapped(at + 1, kPage, kPage, 0));
  SAY(remapped(at, kPage, 0, 0));
  SAY(remapped(at, kPage, kPage, 8));
  SAY(remapped(at, kPage, kPage, MREMAP_FIXED));
  SAY(remapped(at, kPage, kPage, MREMAP_FIXED | MREMAP_MAYMOVE, at));
  SAY(remapped(at, 2 * kPage, 2 * kPage, MREMAP_FIXED | MREMAP_MAYMOVE, at + kPage));
  SAY(remapped(at, kPage, kPage, MREMAP_FIXED | MREMAP_MAYMOVE, at + 1));
  SAY(remapped(at, kPage, kPage, MREMAP_FIXED | MREMAP_MAYMOVE, reinterpret_cast<char*>(kTop)));
  SAY(remapped(nowhere, kPage, 2 * kPage, MREMAP_MAYMOVE));
  SAY(remapped(nowhere, kPage, kPage, 0));
  SAY(remapped(nowhere, 2 * kPage, kPage, 0));
  SAY(remapped(at, 100 * kPage, 101 * kPage, MREMAP_MAYMOVE));
  SAY(remapped(at, kPage, 2 * kPage, 0));
  SAY(remapped(at, 0, kPage, MREMAP_MAYMOVE));
  SAY(remapped(at, 0, kPage, 0));
  SAY(remapped(at, kPage, ~0ul, MREMAP_MAYMOVE));
  SAY(remapped(at, kPage, 2 * kPage, 4 | MREMAP_MAYMOVE));
  SAY(remapped(at, kPage, kPage, 4));
  CHECK(at[0] == 'A');
}

void advising() {
  const auto advised = [](void* from, size_t bytes, int advice) {
    return syscall(SYS_madvise, from, bytes, advice);
  };
  for (const int advice : {0,  1,  2,  3,  4,  5,  8,  9,  10, 11, 12, 13,  14, 15,
                           16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 99, 104, -1}) {
    if (advice == 12 || advice == 13) continue;  // as it is configured
    printf("advice %d\n", advice);
    char* own = map(4);
    SAY(advised(own, kPage, advice));
    SAY(advised(own + 1, kPage, advice));
    SAY(advised(own, 0, advice));
    SAY(advised(own, ~0ul, advice));
    SAY(advised(own, ~0ul - 4095, advice));
    SAY(advised(nowhere, kPage, advice));
    SAY(advised(nowhere, 0, advice));
    unmap(own + kPage, 1);
    SAY(advised(own, 3 * kPage, advice));
    munmap(own, 4 * kPage);
    char* shared = map(1, kBoth, MAP_SHARED);
    SAY(advised(shared, kPage, advice));
    unmap(shared, 1);
    char* of_file = map_file(file, 1, PROT_READ, MAP_PRIVATE);
    SAY(advised(of_file, kPage, advice));
    unmap(of_file, 1);
    char* locked = map(1);
    CHECK(mlock(locked, kPage) == 0);
    SAY(advised(locked, kPage, advice));
    munlock(locked, kPage);
    unmap(locked, 1);
    char* without = map(1, PROT_NONE);
    SAY(advised(without, kPage, advice));
    unmap(without, 1);
  }
}

void print(const unsigned char* seen, int pages) {
  for (int i = 0; i < pages; ++i) putchar('0' + (seen[i] & 1));
  putchar('\n');
}

void looking_at_pages() {
  unsigned char seen[16] = {};
  char* own = map(8);
  SAY(mincore(own, 8 * kPage, seen));
  print(seen, 8);
  own[kPage] = 1;
  (void)*static_cast<volatile char*>(own + 3 * kPage);
  SAY(mincore(own, 8 * kPage, seen));
  print(seen, 8);
  CHECK(madvise(own, 4 * kPage, MADV_DONTNEED) == 0);
  SAY(mincore(own, 8 * kPage, seen));
  print(seen, 8);
  CHECK(mlock(own + 2 * kPage, 2 * kPage) == 0);
  SAY(mincore(own, 8 * kPage, seen));
  print(seen, 8);
  SAY(mincore(own + 1, kPage, seen));
  SAY(mincore(own, 0, seen));
  SAY(mincore(nowhere, 0, seen));
  SAY(mincore(nowhere, kPage, seen));
  SAY(mincore(own, ~0ul, seen));
  SAY(mincore(own, ~0ul - 4095, seen));
  SAY(mincore(own, kPage, nullptr));
  SAY(mincore(own, kPage, reinterpret_cast<unsigned char*>(~0ul - 100)));
  SAY(mincore(nowhere, kPage, nullptr));
  SAY(mincore(own, 0, nullptr));
  unmap(own, 8);
  char* of_file = map_file(file, 4, PROT_READ, MAP_PRIVATE);
  SAY(mincore(of_file, 4 * kPage, seen));
  print(seen, 4);
  unmap(of_file, 4);
  of_file = map_file(file, 4, kBoth, MAP_SHARED);
  SAY(mincore(of_file, 4 * kPage, seen));
  print(seen, 4);
  unmap(of_file, 4);
}

void writing_back_and_locking() {
  char* own = map(4);
  SAY(msync(own, kPage, 0));
  SAY(msync(own, kPage, 8));
  SAY(msync(own, kPage, MS_ASYNC | MS_SYNC));
  SAY(msync(own + 1, kPage, MS_SYNC));
  SAY(msync(own, ~0ul, MS_SYNC));
  SAY(msync(own, ~0ul - 4095, MS_SYNC));
  SAY(msync(nowhere, kPage, MS_SYNC));
  SAY(msync(nowhere, 0, MS_SYNC));
  SAY(mlock(nowhere, kPage));
  SAY(mlock(own, ~0ul));
  SAY(mlock(own, ~0ul - 8191));
  SAY(munlock(own, ~0ul));
  SAY(munlock(nowhere, kPage));
  SAY(mlock(own + 1, kPage));
  SAY(munlock(own + 1, 2 * kPage));
  SAY(mlock2(own, kPage, -1));
  unmap(own, 4);
}

void files_in_memory() {
  const auto made = [](const char* name, unsigned flags) { return syscall(SYS_memfd_create, name, flags); };
  static char name[252];
  memset(name, 'n', 251);
  SAY(made(name, 0));
  name[250] = 0;
  SAY(made(name, 0));
  name[249] = 0;
  SAY(made(name, 0));
  SAY(made("", 0));
  SAY(made(nullptr, 0));
  SAY(made("a", 0x20));
  SAY(made("a", 0x40));
  SAY(made("a", 1u << 26));
  SAY(made("a", 21u << 26));
  SAY(made("a", ~0u));
  SAY(made("a", 8 | 16));
  SAY(made(nullptr, 0x20));
  SAY(made("a", 4 | 16u << 26));
  SAY(made(nullptr, 4 | 16u << 26));
  SAY(made("a", 4 | 0x20));
}

void limits_of_memory() {
  const auto with = [](__rlimit_resource resource, rlim_t most, auto body) {
    return in_child([&] {
      const rlimit limit{most, most};
      CHECK(setrlimit(resource, &limit) == 0);
      body();
      return true;
    });
  };
  with(RLIMIT_AS, 0, [] {
    SAY(mapped(0, 4096, 3, kAnonymous, -1, 0));
    SAY(mapped(0, 4096, 0, kAnonymous, -1, 0));
    SAY(syscall(SYS_mremap, at, kPage, 100 * kPage, MREMAP_MAYMOVE));
    SAY(sbrk(kPage));
  });
  with(RLIMIT_DATA, 0, [] {
    SAY(mapped(0, 4096, 3, kAnonymous, -1, 0));
    SAY(mapped(0, 4096, 1, kAnonymous, -1, 0));
    SAY(mapped(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SAY(mapped(0, 4096, 3, kAnonymous | MAP_GROWSDOWN, -1, 0));
    SAY(sbrk(kPage));
  });
}

}  // namespace

int main() {
  start();
  at = map(4);
  at[0] = 'A';
  file = new_file(4);
  check("mapping", mapping);
  check("at fixed places", at_fixed_places);
  check("unmapping", unmapping);
  check("protecting", protecting);
  check("remapping", remapping);
  check("advising", advising);
  check("looking at pages", looking_at_pages);
  check("writing back and locking", writing_back_and_locking);
  check("files in memory", files_in_memory);
  check("limits of memory", limits_of_memory);
  end_file(file);
  return finish();
}
