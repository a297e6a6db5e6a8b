// Which mappings of a child join those that it inherited (mm/vma.c, is_mergeable_anon_vma). Prints the same
// on Linux.
#include <stdint.h>
#include <sys/mman.h>

#include "tests/boot/programs/checks.h"

namespace {

constexpr size_t kPage = 4096;

// How many mappings lie in the range, or overlap it.
int mappings(const void* begin, size_t pages) {
  FILE* const maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  const auto low = reinterpret_cast<uintptr_t>(begin);
  unsigned long from, to;
  int count = 0;
  char rest[512];
  while (fscanf(maps, "%lx-%lx%511[^\n]", &from, &to, rest) == 3) {
    count += from < low + pages * kPage && low < to ? 1 : 0;
  }
  CHECK(fclose(maps) == 0);
  return count;
}
int heaps() {
  FILE* const maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  char line[512];
  int count = 0;
  while (fgets(line, sizeof line, maps) != nullptr) {
    count += strstr(line, "[heap]") != nullptr ? 1 : 0;
  }
  CHECK(fclose(maps) == 0);
  return count;
}

// A place for so many pages with nothing around.
char* hole(size_t pages) {
  void* const at = mmap(nullptr, (pages + 2) * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED && munmap(at, (pages + 2) * kPage) == 0);
  return static_cast<char*>(at) + kPage;
}
char* map(char* at, size_t pages, int rights = PROT_READ | PROT_WRITE,
          int flags = MAP_PRIVATE | MAP_ANONYMOUS, int file = -1, off_t offset = 0) {
  void* const got = mmap(at, pages * kPage, rights, flags | MAP_FIXED_NOREPLACE, file, offset);
  CHECK(got == at);
  if ((rights & PROT_WRITE) != 0) memset(at, 1, pages * kPage);
  return at;
}

template <class Body>
void in_child(Body body) {
  CHECK(status_of_child([&] {
          body();
          fflush(stdout);
        }) == 0);
}

void anonymous() {
  char* const at = hole(12);
  map(at + 3 * kPage, 3);
  printf("one: %d\n", mappings(at, 12));
  in_child([&] {
    map(at + 6 * kPage, 2);
    printf("child, above: %d\n", mappings(at, 12));
    map(at + 8 * kPage, 1);
    printf("child, above that: %d\n", mappings(at, 12));
    map(at, 3);
    printf("child, below: %d\n", mappings(at, 12));
    in_child([&] {
      map(at + 9 * kPage, 1);
      printf("its child: %d\n", mappings(at, 12));
    });
    CHECK(mprotect(at + 4 * kPage, kPage, PROT_READ) == 0);
    printf("split: %d\n", mappings(at, 12));
    CHECK(mprotect(at + 4 * kPage, kPage, PROT_READ | PROT_WRITE) == 0);
    printf("joined: %d\n", mappings(at, 12));
    CHECK(mlockall(MCL_FUTURE) == 0 && munlockall() == 0);
    map(at + 9 * kPage, 1);
    printf("after locks: %d\n", mappings(at, 12));
  });
  map(at + 6 * kPage, 2);
  printf("parent: %d\n", mappings(at, 12));
}

void others() {
  char* const at = hole(4);
  map(at, 2, PROT_NONE);
  in_child([&] {
    map(at + 2 * kPage, 2, PROT_NONE);
    printf("child, without rights: %d\n", mappings(at, 4));
  });
  const int file = memfd_create("shared", 0);
  CHECK(file >= 0 && ftruncate(file, 4 * kPage) == 0);
  char* const shared = hole(4);
  map(shared, 2, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  char* const read = hole(4);
  map(read, 2, PROT_READ, MAP_PRIVATE, file);
  in_child([&] {
    map(shared + 2 * kPage, 2, PROT_READ | PROT_WRITE, MAP_SHARED, file, 2 * kPage);
    map(read + 2 * kPage, 2, PROT_READ, MAP_PRIVATE, file, 2 * kPage);
    printf("child, shared: %d, of a file: %d\n", mappings(shared, 4), mappings(read, 4));
  });
  CHECK(close(file) == 0);
}

void heap() {
  void* const before = sbrk(2 * kPage);
  CHECK(before != reinterpret_cast<void*>(-1));
  memset(before, 1, 2 * kPage);
  printf("heaps: %d\n", heaps());
  in_child([&] {
    void* const more = sbrk(2 * kPage);
    CHECK(more != reinterpret_cast<void*>(-1));
    memset(more, 1, 2 * kPage);
    printf("child's: %d\n", heaps());
    CHECK(sbrk(kPage) != reinterpret_cast<void*>(-1));
    printf("and more: %d\n", heaps());
    CHECK(brk(before) == 0);
  });
}

}  // namespace

int main() {
  check("anonymous", anonymous);
  check("others", others);
  check("heap", heap);
  return finish();
}
