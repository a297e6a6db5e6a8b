// Where two errors meet, what lies past the end of an object, the names of memfds, advice to other processes.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <initializer_list>

#include "tests/boot/programs/memory_checks.h"
#include "tests/boot/programs/show.h"

namespace {

constexpr int kData = PROT_READ | PROT_WRITE;

void* map_at(void* at, size_t bytes, int flags, int file) {
  return mmap(at, bytes, PROT_READ, MAP_FIXED_NOREPLACE | flags, file, 0);
}

// The mappings of memfds in /proc/self/maps, without addresses.
void show_maps() {
  FILE* const maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  char line[512];
  while (fgets(line, sizeof line, maps) != nullptr) {
    const char* const name = strstr(line, "/memfd:");
    unsigned long offset = 0;
    char rights[8];
    if (name != nullptr && sscanf(line, "%*x-%*x %7s %lx", rights, &offset) == 2) {
      printf("%s %lx %s", rights, offset, name);
    }
  }
  fclose(maps);
}

void show_link(int file) {
  char path[32], text[512] = {};
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  SHOW(readlink(path, text, sizeof text - 1));
  printf("-> %s\n", text);
}

void past_the_end() {
  const int file = memfd_create("one page", 0);
  CHECK(ftruncate(file, 4096) == 0);
  char* const shared = static_cast<char*>(mmap(nullptr, 16384, kData, MAP_SHARED, file, 0));
  SHOW(mlock(shared, 16384));
  SHOW(mlock(shared, 4096));
  SHOW(mlock(shared + 8192, 4096));
  SHOW(syscall(SYS_mlock2, shared, 16384, 1 /* MLOCK_ONFAULT */));
  SHOW(munlock(shared, 16384));
  char* const own = static_cast<char*>(mmap(nullptr, 16384, kData, MAP_PRIVATE, file, 0));
  SHOW(mlock(own, 16384));
  SHOW(munlock(own, 16384));
  char* const read_only = static_cast<char*>(mmap(nullptr, 16384, PROT_READ, MAP_PRIVATE, file, 0));
  SHOW(mlock(read_only, 16384));
  for (int rights = 0; rights < 8; ++rights) {
    auto* const code = static_cast<char*>(mmap(nullptr, 8192, rights, MAP_SHARED, file, 0));
    for (const int at : {0, 4096}) {
      const Fault fault = fault_of([&] { reinterpret_cast<void (*)()>(code + at)(); });
      printf("executing with rights %d at %d: signal %d, code %d\n", rights, at, fault.signal, fault.code);
    }
    munmap(code, 8192);
  }
  show_maps();
  show_link(file);
  close(file);
}

void names() {
  static char name[300];
  memset(name, 'n', 249);
  const int longest = memfd_create(name, 0);
  show_link(longest);
  name[249] = 'n';
  SHOW(memfd_create(name, 0));
  show_link(memfd_create("", 0));
}

void what_is_there() {
  void* const there = map(1);
  const int file = memfd_create("file", 0);
  const int write_only = open("/dev/null", O_WRONLY);
  SHOW(map_at(there, 4096, MAP_ANONYMOUS, -1));
  SHOW(map_at(there, 4096, MAP_ANONYMOUS | MAP_PRIVATE, -1));
  SHOW(map_at(there, 4096, 15, file));
  SHOW(map_at(there, 4096, MAP_PRIVATE, 999));
  SHOW(map_at(there, 4096, MAP_PRIVATE, write_only));
  SHOW(map_at(static_cast<char*>(there) + 1, 4096, MAP_ANONYMOUS | MAP_PRIVATE, -1));
  SHOW(map_at(reinterpret_cast<void*>(0x7ffffffff000), 8192, MAP_ANONYMOUS | MAP_PRIVATE, -1));
}

long advise(int whom, const iovec* ranges, size_t count, int advice, unsigned flags = 0) {
  return syscall(SYS_process_madvise, whom, ranges, count, advice, flags);
}
int descriptor_of(pid_t pid) { return int(syscall(SYS_pidfd_open, pid, 0)); }

void advice_to_others() {
  const int self = descriptor_of(getpid());
  char* const at = map(4);
  iovec ranges[] = {{at, 4096}, {at + 4096, 8192}, {at + 4096, 4096}};
  SHOW(advise(self, ranges, 3, MADV_COLD));
  SHOW(advise(self, ranges, 3, MADV_PAGEOUT));
  SHOW(advise(self, ranges, 3, MADV_WILLNEED));
  at[4096] = 1;
  SHOW(advise(self, ranges, 3, MADV_DONTNEED));
  SHOW(at[4096]);
  SHOW(advise(self, ranges, 3, 77));
  SHOW(advise(self, ranges, 3, MADV_COLD, 1));
  SHOW(advise(999, ranges, 3, MADV_COLD));
  SHOW(advise(1, ranges, 3, MADV_COLD));
  SHOW(advise(self, nullptr, 3, MADV_COLD));
  SHOW(advise(self, ranges, 1025, MADV_COLD));
  SHOW(advise(self, ranges, 0, MADV_COLD));
  SHOW(advise(self, ranges, 0, 77));
  SHOW(advise(999, ranges, 0, MADV_COLD));
  munmap(at + 8192, 4096);
  SHOW(advise(self, ranges, 3, MADV_COLD));
  ranges[0] = {at + 1, 4096};
  SHOW(advise(self, ranges, 3, MADV_COLD));
  ranges[0] = {at, 100};
  SHOW(advise(self, ranges, 1, MADV_COLD));
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const int other = descriptor_of(child);
  ranges[0] = {at, 4096};
  SHOW(advise(other, ranges, 1, MADV_COLD));
  SHOW(advise(other, ranges, 1, MADV_DONTNEED));
  SHOW(advise(other, ranges, 1, 77));
  kill(child, SIGKILL);
  await_state(child, 'Z');
  SHOW(advise(other, ranges, 1, MADV_COLD));
  waitpid(child, nullptr, 0);
  SHOW(advise(other, ranges, 1, MADV_COLD));
}

}  // namespace

int main() {
  start();
  show_lines();
  check("past the end of a file", past_the_end);
  check("names of memfds", names);
  check("a place that is taken", what_is_there);
  check("advice to other processes", advice_to_others);
  return finish();
}
