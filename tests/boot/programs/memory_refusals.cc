// What Linux answers about hardware that is not there (more nodes, protection keys, reserved large pages),
// and of mseal and remap_file_pages. Prints each answer: the same on Linux.
#include <sys/syscall.h>

#include "tests/boot/programs/memory_checks.h"

namespace {

void say(const char* what, long answer) {
  if (answer == -1) {
    printf("%s: %s\n", what, strerrorname_np(errno));
  } else {
    printf("%s: %ld\n", what, answer);
  }
}
#define SAY(call) (errno = 0, say(#call, long(call)))

long call(long number, auto... arguments) { return syscall(number, arguments...); }

unsigned long mask[16];
int mode;
char* at;
char* const nowhere = reinterpret_cast<char*>(0x100000);
void* const bad = reinterpret_cast<void*>(8);

void set(unsigned long nodes) { mask[0] = nodes; }
long policy(int policy_mode, void* nodes, unsigned long bits) {
  return call(SYS_set_mempolicy, policy_mode, nodes, bits);
}
long told(void* nodes, unsigned long bits, void* address, int flags) {
  return call(SYS_get_mempolicy, &mode, nodes, bits, address, flags);
}
long bind(void* address, size_t bytes, int policy_mode, void* nodes, unsigned long bits, int flags) {
  return call(SYS_mbind, address, bytes, policy_mode, nodes, bits, flags);
}

void policies() {
  SAY(told(mask, 1024, nullptr, 0));
  printf("mode %d, nodes %lx\n", mode, mask[0]);
  SAY(told(mask, 0, nullptr, 0));
  SAY(told(mask, 1024, nullptr, 4));
  printf("allowed %lx\n", mask[0]);
  SAY(told(mask, 1024, at, 2));
  SAY(told(mask, 1024, at, 3));
  SAY(told(mask, 1024, at, 0));
  SAY(told(nullptr, 0, nullptr, 8));
  SAY(told(nullptr, 0, nowhere, 2));
  SAY(told(bad, 1024, nullptr, 0));
  set(1);
  for (int number = -1; number <= 9; ++number) {
    if (number == 6) continue;  // newer than 6.8
    printf("mode %d\n", number);
    SAY(policy(number, mask, 64));
    SAY(policy(number, nullptr, 0));
  }
  SAY(policy(2, mask, 64));
  SAY(told(mask, 1024, nullptr, 0));
  printf("mode %d, nodes %lx\n", mode, mask[0]);
  CHECK(in_child([] { return told(nullptr, 0, nullptr, 0) == 0 && mode == 2; }));
  set(2);
  SAY(policy(2, mask, 64));
  set(3);
  SAY(policy(2, mask, 64));
  set(0);
  SAY(policy(2, mask, 64));
  SAY(policy(2, bad, 64));
  set(1);
  SAY(policy(0x8002, mask, 64));
  SAY(policy(0xc002, mask, 64));
  SAY(policy(0x4002, mask, 64));
  SAY(told(mask, 1024, nullptr, 0));
  printf("mode %x, nodes %lx\n", unsigned(mode), mask[0]);
  SAY(policy(0, nullptr, 0));
  SAY(bind(at, kPage, 2, mask, 64, 0));
  SAY(told(mask, 1024, at, 2));
  printf("mode %d, nodes %lx\n", mode, mask[0]);
  SAY(told(mask, 1024, at + kPage, 2));
  printf("mode %d, nodes %lx\n", mode, mask[0]);
  set(1);
  SAY(bind(at, kPage, 2, mask, 64, 7));
  SAY(bind(at, kPage, 2, mask, 64, 8));
  SAY(bind(at + 1, kPage, 2, mask, 64, 0));
  SAY(bind(at, kPage, 9, mask, 64, 0));
  SAY(bind(at, kPage, 2, nullptr, 0, 0));
  SAY(bind(at, kPage, 0, mask, 64, 0));
  SAY(bind(at, kPage, 0, nullptr, 0, 0));
  SAY(bind(at, 0, 2, mask, 64, 0));
  SAY(bind(at, size_t(-4096), 2, mask, 64, 0));
  SAY(bind(nowhere, kPage, 2, mask, 64, 0));
  SAY(bind(at, kPage, 2, bad, 64, 0));
  SAY(bind(at, kPage, 2, mask, 1 << 26, 0));
}

void moving_between_nodes() {
  at[0] = 1;
  void* pages[3] = {at, at + 30 * kPage, nowhere};
  int nodes[3] = {0, 0, 0};
  int status[3] = {9, 9, 9};
  SAY(call(SYS_move_pages, 0, 3, pages, nullptr, status, 0));
  printf("%d %d %d\n", status[0], status[1], status[2]);
  SAY(call(SYS_move_pages, 0, 3, pages, nodes, status, 2));
  printf("%d %d %d\n", status[0], status[1], status[2]);
  nodes[2] = 1;
  SAY(call(SYS_move_pages, 0, 3, pages, nodes, status, 2));
  SAY(call(SYS_move_pages, 0, 1, pages, nodes, status, 8));
  SAY(call(SYS_move_pages, 999999, 1, pages, nodes, status, 2));
  SAY(call(SYS_move_pages, 0, 0, pages, nodes, status, 2));
  SAY(call(SYS_move_pages, 0, 1, bad, nodes, status, 2));
  SAY(call(SYS_move_pages, 0, 1, pages, bad, status, 2));
  SAY(call(SYS_move_pages, 0, 1, pages, nullptr, bad, 2));
  unsigned long from = 1;
  unsigned long to = 1;
  SAY(call(SYS_migrate_pages, 0, 64, &from, &to));
  to = 2;
  SAY(call(SYS_migrate_pages, 0, 64, &from, &to));
  SAY(call(SYS_migrate_pages, 99999999, 64, &from, &from));
  SAY(call(SYS_migrate_pages, 0, 64, bad, bad));
}

constexpr int kDroppable = 8;  // MAP_DROPPABLE, 6.11

void keys_and_large_pages() {
  SAY(call(SYS_pkey_alloc, 0, 0));
  SAY(call(SYS_pkey_alloc, 1, 0));
  SAY(call(SYS_pkey_free, 0));
  SAY(call(SYS_pkey_free, 99));
  SAY(call(SYS_pkey_mprotect, at, kPage, 3, -1));
  SAY(call(SYS_pkey_mprotect, at, kPage, 3, 1));
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
  SAY(mmap(nullptr, kPage, 3, kAnonymous, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, kAnonymous | 21 << 26, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, kAnonymous | 20 << 26, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, kAnonymous | 16 << 26, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, MAP_ANONYMOUS | MAP_HUGETLB | MAP_SHARED_VALIDATE, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, MAP_ANONYMOUS | MAP_HUGETLB | kDroppable, -1, 0));
  SAY(mmap(nullptr, 2 << 20, 3, MAP_ANONYMOUS | MAP_HUGETLB, -1, 0));
  const int file = new_file(1);
  SAY(mmap(nullptr, 2 << 20, 3, MAP_PRIVATE | MAP_HUGETLB, file, 0));
  end_file(file);
}

void what_may_go() {
  SAY(mmap(nullptr, kPage, 3, MAP_ANONYMOUS | kDroppable | MAP_LOCKED, -1, 0));
  SAY(mmap(nullptr, kPage, 3, MAP_ANONYMOUS | kDroppable | MAP_GROWSDOWN, -1, 0));
  SAY(mmap(nullptr, kPage, 3, kDroppable, -1, 0));
  const int file = new_file(1);
  SAY(mmap(nullptr, kPage, 3, kDroppable, file, 0));
  end_file(file);
  void* const may_go = mmap(nullptr, 2 * kPage, 3, MAP_ANONYMOUS | kDroppable, -1, kPage);
  CHECK(may_go != MAP_FAILED);
  *static_cast<char*>(may_go) = 5;
  CHECK(status_of_child([&] { CHECK(*static_cast<char*>(may_go) == 0); }) == 0);
  CHECK(munmap(may_go, 2 * kPage) == 0);
}

void sealing() {
  char* sealed = map(3);
  const auto seal = [](void* from, size_t bytes, unsigned long flags) {
    return call(462, from, bytes, flags);
  };
  SAY(seal(sealed, kPage, 1));
  SAY(seal(sealed + 1, kPage, 0));
  SAY(seal(sealed, size_t(-4096), 0));
  SAY(seal(sealed, size_t(-1), 0));
  SAY(seal(sealed, 0, 0));
  SAY(seal(nowhere, kPage, 0));
  SAY(seal(sealed, kPage, 0));
  SAY(seal(sealed, kPage, 0));
  SAY(munmap(sealed, kPage));
  SAY(munmap(sealed, 3 * kPage));
  SAY(mprotect(sealed, 2 * kPage, PROT_READ));
  printf("the second is writable: %d\n", fault_of_write(sealed + kPage).signal == 0);
  CHECK(mremap(sealed, kPage, 2 * kPage, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
  CHECK(mmap(sealed, kPage, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED &&
        errno == EPERM);
  SAY(madvise(sealed, kPage, MADV_DONTNEED));
  char* read_only = map(1, PROT_READ);
  SAY(seal(read_only, kPage, 0));
  SAY(madvise(read_only, kPage, MADV_DONTNEED));
  SAY(madvise(read_only, kPage, MADV_WILLNEED));
  SAY(munmap(sealed + kPage, kPage));
}

void remapping_file_pages() {
  const int file = new_file(4);
  char* shown = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  SAY(call(SYS_remap_file_pages, shown, kPage, 0, 3, 0));
  printf("%c%c\n", shown[0], shown[kPage]);
  SAY(call(SYS_remap_file_pages, shown + kPage, 2 * kPage, 0, 2, 0));
  printf("%c%c%c%c\n", shown[0], shown[kPage], shown[2 * kPage], shown[3 * kPage]);
  SAY(call(SYS_remap_file_pages, shown, kPage, PROT_READ, 0, 0));
  SAY(call(SYS_remap_file_pages, shown, 0, 0, 0, 0));
  SAY(call(SYS_remap_file_pages, at, kPage, 0, 0, 0));
  SAY(call(SYS_remap_file_pages, nowhere, kPage, 0, 0, 0));
  SAY(call(SYS_remap_file_pages, shown, kPage, 0, ~size_t{0}, 0));
  unmap(shown, 4);
  end_file(file);
}

}  // namespace

int main() {
  start();
  at = map(64);
  check("policies", policies);
  check("moving between nodes", moving_between_nodes);
  check("keys and large pages", keys_and_large_pages);
  check("what may go", what_may_go);
  check("sealing", sealing);
  check("remapping file pages", remapping_file_pages);
  return finish();
}
