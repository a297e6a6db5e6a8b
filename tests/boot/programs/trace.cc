// Replays one seeded random trace of memory operations and prints everything that a program can observe: each
// call's result, each access's value or signal (number, code, address), and every 64 operations the promised
// list of the arena and a hash of its contents. The same seed must print the same text in every mode, and on
// Linux. Usage: trace [seed [operations]].
//
//   arena:  kArena ........................................ kArena + kPages pages
//   every mapping is placed by MAP_FIXED, so that no address is a kernel's choice
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPages = 192;
constexpr uint64_t kArena =
    0x2000'0000'0000 + 0x1fff'f000 - 64 * kPage;  // crosses a 2 MiB and a 1 GiB boundary
constexpr uint64_t kFilePages = 24;

uint64_t g_state;
uint64_t random_below(uint64_t bound) {  // xorshift64*
  g_state ^= g_state >> 12;
  g_state ^= g_state << 25;
  g_state ^= g_state >> 27;
  return (g_state * 0x2545f4914f6cdd1dULL >> 11) % bound;
}

sigjmp_buf g_escape;
volatile int g_signal, g_code;
volatile uint64_t g_address;
void on_fault(int number, siginfo_t* info, void*) {
  g_signal = number;
  g_code = info->si_code;
  g_address = reinterpret_cast<uint64_t>(info->si_addr);
  siglongjmp(g_escape, 1);
}

uint64_t at(uint64_t page) { return kArena + page * kPage; }
void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

// One access; true when it succeeded.
bool load(uint64_t address, uint64_t& value) {
  if (sigsetjmp(g_escape, 1)) return false;
  value = *static_cast<volatile uint64_t*>(pointer(address));
  return true;
}
bool store(uint64_t address, uint64_t value) {
  if (sigsetjmp(g_escape, 1)) return false;
  *static_cast<volatile uint64_t*>(pointer(address)) = value;
  return true;
}
void print_fault() {
  printf("signal %d code %d at %#lx\n", g_signal, g_code, static_cast<unsigned long>(g_address - kArena));
}

uint64_t fold(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x100000001b3ULL; }

// Three words of every page, or the signal that reading gave.
uint64_t hash_contents() {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (uint64_t page = 0; page < kPages; ++page) {
    for (uint64_t word : {uint64_t{0}, uint64_t{256}, uint64_t{511}}) {
      uint64_t value = 0;
      if (load(at(page) + word * 8, value)) {
        hash = fold(hash, value);
      } else {
        hash = fold(fold(hash, g_signal), g_code);
        break;
      }
    }
  }
  return hash;
}

// The arena's regions with equal neighbours joined (Linux keeps some apart for reasons of its own).
void print_promised() {
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == nullptr) {
    printf("no maps\n");
    return;
  }
  char line[512];
  unsigned long begin = 0, end = 0, offset = 0, inode = 0;
  char perm[8] = "";
  unsigned long last_begin = 0, last_end = 0, last_offset = 0;
  char last_perm[8] = "";
  bool last_file = false;
  auto flush = [&] {
    if (last_end != 0) {
      printf("  %lx-%lx %s %s %lx\n", last_begin - kArena, last_end - kArena, last_perm,
             last_file ? "object" : "zero", last_file ? last_offset : 0);
    }
  };
  while (fgets(line, sizeof line, maps) != nullptr) {
    unsigned major = 0, minor = 0;
    char name[256] = "";
    if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %255s", &begin, &end, perm, &offset, &major, &minor, &inode,
               name) < 7) {
      continue;
    }
    if (begin < kArena || begin >= at(kPages)) continue;
    const bool file = perm[3] == 's' || inode != 0;
    if (last_end == begin && strcmp(perm, last_perm) == 0 && file == last_file &&
        (!file || offset == last_offset + (last_end - last_begin))) {
      last_end = end;
      continue;
    }
    flush();
    last_begin = begin, last_end = end, last_offset = offset, last_file = file;
    strcpy(last_perm, perm);
  }
  flush();
  fclose(maps);
}

int random_perm() {
  static const int kPerms[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
                               PROT_READ | PROT_EXEC};
  return kPerms[random_below(5)];
}

struct Span {
  uint64_t page, pages;
};
Span random_span() {
  const uint64_t pages = 1 + random_below(random_below(4) == 0 ? 40 : 6);
  return {random_below(kPages - pages), pages};
}

void print_result(long result) {
  if (result == -1) {
    printf("errno %d\n", errno);
  } else {
    printf("ok\n");
  }
}

void child_work(int pipe_end) {
  for (int i = 0; i < 12; ++i) store(at(random_below(kPages)) + 8 * random_below(512), random_below(1 << 30));
  const uint64_t hash = hash_contents();
  if (write(pipe_end, &hash, sizeof hash) != sizeof hash) _exit(2);
  _exit(0);
}

void fork_and_compare(int depth) {
  int ends[2];
  if (pipe(ends) != 0) {
    printf("pipe errno %d\n", errno);
    return;
  }
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (depth > 0) {
      const pid_t grandchild = fork();
      if (grandchild == 0) child_work(ends[1]);
      int status = 0;
      waitpid(grandchild, &status, 0);
    }
    child_work(ends[1]);
  }
  close(ends[1]);
  uint64_t hash = 0;
  while (read(ends[0], &hash, sizeof hash) == sizeof hash)
    printf("child %016lx ", static_cast<unsigned long>(hash));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  printf("status %x\n", static_cast<unsigned>(status));
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;
  const uint64_t operations = argc > 2 ? strtoull(argv[2], nullptr, 0) : 2000;
  g_state = seed * 0x9e3779b97f4a7c15ULL + 1;

  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);

  char name[] = "/tmp/nopte-trace-XXXXXX";
  const int file = mkstemp(name);
  if (file < 0) {
    printf("cannot make a file in /tmp: errno %d\n", errno);
    return 1;
  }
  unlink(name);
  for (uint64_t page = 0; page < kFilePages; ++page) {
    uint64_t words[kPage / 8];
    for (uint64_t i = 0; i < kPage / 8; ++i) words[i] = page << 32 | i;
    if (write(file, words, sizeof words) != static_cast<ssize_t>(sizeof words)) return 1;
  }

  for (uint64_t operation = 0; operation < operations; ++operation) {
    const Span span = random_span();
    printf("%lu ", static_cast<unsigned long>(operation));
    switch (random_below(16)) {
      case 0: {
        const int perm = random_perm();
        printf("map %lu+%lu perm %d: ", span.page, span.pages, perm);
        print_result(reinterpret_cast<long>(mmap(pointer(at(span.page)), span.pages * kPage, perm,
                                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
        break;
      }
      case 1:
      case 2: {
        const int perm = random_perm();
        const int sharing = random_below(2) ? MAP_SHARED : MAP_PRIVATE;
        const uint64_t offset = random_below(kFilePages + 4);
        printf("map file %lu+%lu perm %d sharing %d offset %lu: ", span.page, span.pages, perm, sharing,
               offset);
        print_result(reinterpret_cast<long>(mmap(pointer(at(span.page)), span.pages * kPage, perm,
                                                 sharing | MAP_FIXED, file, offset * kPage)));
        break;
      }
      case 3: {
        printf("unmap %lu+%lu: ", span.page, span.pages);
        print_result(munmap(pointer(at(span.page)), span.pages * kPage));
        break;
      }
      case 4: {
        const int perm = random_perm();
        printf("protect %lu+%lu perm %d: ", span.page, span.pages, perm);
        print_result(mprotect(pointer(at(span.page)), span.pages * kPage, perm));
        break;
      }
      case 5: {
        // Onto itself is EINVAL or EFAULT, depending on Linux's version.
        const uint64_t to = (span.page + 1 + random_below(kPages - 1)) % kPages;
        printf("move %lu to %lu: ", span.page, to);
        print_result(reinterpret_cast<long>(
            mremap(pointer(at(span.page)), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, pointer(at(to)))));
        break;
      }
      case 6: {
        printf("dontneed %lu+%lu: ", span.page, span.pages);
        print_result(madvise(pointer(at(span.page)), span.pages * kPage, MADV_DONTNEED));
        break;
      }
      case 7: {
        const uint64_t pages = random_below(kFilePages + 1);
        const uint64_t bytes = pages * kPage + (pages < kFilePages ? random_below(kPage) & ~uint64_t{7} : 0);
        printf("truncate %lu: ", bytes);
        print_result(ftruncate(file, bytes));
        break;
      }
      case 8: {
        if (random_below(4) != 0) {
          printf("skip\n");
          break;
        }
        printf("fork: ");
        fork_and_compare(static_cast<int>(random_below(2)));
        break;
      }
      case 9: {
        const uint64_t offset = random_below(kFilePages * kPage);
        const uint64_t bytes = random_below(3 * kPage);
        printf("pread %lu bytes %lu: ", offset, bytes);
        const ssize_t done = pread(file, pointer(at(span.page) + random_below(512) * 8), bytes, offset);
        if (done < 0) {
          printf("errno %d\n", errno);
        } else {
          printf("%ld\n", static_cast<long>(done));
        }
        break;
      }
      case 10: {
        printf("shared zero %lu+%lu: ", span.page, span.pages);
        print_result(reinterpret_cast<long>(mmap(pointer(at(span.page)), span.pages * kPage, random_perm(),
                                                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
        break;
      }
      case 11:
      case 12: {
        uint64_t value = 0;
        const uint64_t address = at(span.page) + 8 * random_below(512);
        printf("load %lx: ", address - kArena);
        if (load(address, value)) {
          printf("%lx\n", value);
        } else {
          print_fault();
        }
        break;
      }
      default: {
        const uint64_t address = at(span.page) + 8 * random_below(512);
        printf("store %lx: ", address - kArena);
        if (store(address, operation << 16 | 1)) {
          printf("ok\n");
        } else {
          print_fault();
        }
        break;
      }
    }
    if (operation % 64 == 63) {
      printf("promised:\n");
      print_promised();
      printf("contents %016lx\n", static_cast<unsigned long>(hash_contents()));
    }
  }
  printf("ok\n");
  return 0;
}
