// MADV_GUARD_INSTALL and MADV_GUARD_REMOVE (Linux 6.13). The same on Linux.
#include <sys/uio.h>

#include "tests/boot/programs/smaps_checks.h"

namespace {

constexpr int kInstall = 102;
constexpr int kRemove = 103;

// Where rights forbid the access anyway, they are what it fails of.
bool guarded(char* at, int write_code = SEGV_MAPERR) {
  return segv(fault_of_read(at), SEGV_MAPERR, at) && segv(fault_of_write(at), write_code, at);
}

void guards_fault_and_go() {
  char* at = apart(6);
  memset(at, 7, 6 * kPage);
  CHECK(madvise(at + kPage, 2 * kPage, kInstall) == 0 && madvise(at + 2 * kPage, kPage, kInstall) == 0);
  CHECK(at[0] == 7 && guarded(at + kPage) && guarded(at + 2 * kPage) && at[3 * kPage] == 7);
  CHECK(is(mapping_of(at), at, 6) && is(mapping_of(at + kPage), at, 6));
  CHECK(madvise(at, 2 * kPage, kRemove) == 0 && at[0] == 7 && zero(at + kPage) && guarded(at + 2 * kPage));
  at[kPage] = 1;
  CHECK(madvise(at, 6 * kPage, kRemove) == 0 && at[kPage] == 1 && zero(at + 2 * kPage) && at[5 * kPage] == 7);
  CHECK(is(mapping_of(at), at, 6));
  unmap_apart(at, 6);
}

void guards_outlive_what_is_done_to_the_mapping() {
  char* at = apart(4);
  memset(at, 7, 4 * kPage);
  CHECK(madvise(at + kPage, kPage, kInstall) == 0);
  CHECK(mprotect(at, 4 * kPage, PROT_READ) == 0 && is(mapping_of(at + kPage), at, 4));
  CHECK(guarded(at + kPage, SEGV_ACCERR));
  CHECK(mprotect(at, 4 * kPage, PROT_READ | PROT_WRITE) == 0 && guarded(at + kPage) && at[2 * kPage] == 7);
  CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0 && is(mapping_of(at + kPage), at + kPage, 1));
  CHECK(guarded(at + kPage, SEGV_ACCERR));
  CHECK(mprotect(at + kPage, kPage, PROT_READ | PROT_WRITE) == 0 && is(mapping_of(at), at, 4));
  CHECK(madvise(at, 4 * kPage, MADV_DONTNEED) == 0 && guarded(at + kPage) && zero(at));
  CHECK(in_child([&] { return guarded(at + kPage) && zero(at + 2 * kPage); }));
  char byte = 0;
  const int file = open("/proc/self/mem", O_RDONLY);
  CHECK_ERRNO(pread(file, &byte, 1, off_t(at + kPage)), EIO);
  CHECK(close(file) == 0);
  unsigned char there[4];
  CHECK(mincore(at, 4 * kPage, there) == 0 && (there[1] & 1) == 0);
  unmap(at + kPage, 1);
  CHECK(mmap(at + kPage, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        at + kPage);
  CHECK(zero(at + kPage));
  unmap_apart(at, 4);
}

void what_cannot_be_there() {
  char* at = apart(4);
  CHECK(madvise(at + kPage, kPage, kInstall) == 0);
  CHECK_ERRNO(madvise(at, 4 * kPage, MADV_POPULATE_WRITE), EFAULT);
  CHECK_ERRNO(madvise(at, 4 * kPage, MADV_POPULATE_READ), EFAULT);
  CHECK_ERRNO(mlock(at, 4 * kPage), ENOMEM);
  CHECK_ERRNO(madvise(at + 2 * kPage, kPage, kInstall), EINVAL);  // locked
  CHECK(munlock(at, 4 * kPage) == 0 && madvise(at + 2 * kPage, kPage, kInstall) == 0);
  CHECK(guarded(at + kPage) && guarded(at + 2 * kPage));
  unmap(at + 3 * kPage, 1);
  CHECK_ERRNO(madvise(at, 4 * kPage, kRemove), ENOMEM);
  CHECK(zero(at + kPage) && zero(at + 2 * kPage));
  CHECK_ERRNO(madvise(at, 4 * kPage, kInstall), ENOMEM);
  CHECK(guarded(at) && guarded(at + 2 * kPage));
  CHECK_ERRNO(madvise(at + 1, kPage, kInstall), EINVAL);
  CHECK(madvise(at, 0, kInstall) == 0);
  unmap(at - kPage, 6);
}

void stacks_of_one_mapping() {
  constexpr size_t kStacks = 8;
  char* at = apart(4 * kStacks);
  for (size_t i = 0; i < kStacks; ++i) CHECK(madvise(at + 4 * i * kPage, kPage, kInstall) == 0);
  for (size_t i = 0; i < kStacks; ++i) {
    CHECK(guarded(at + 4 * i * kPage) && zero(at + (4 * i + 1) * kPage, 3 * kPage));
  }
  CHECK(is(mapping_of(at + 5 * kPage), at, 4 * kStacks));
  unmap_apart(at, 4 * kStacks);
}

}  // namespace

int main() {
  start();
  check("guards fault and go", guards_fault_and_go);
  check("guards outlive what is done to the mapping", guards_outlive_what_is_done_to_the_mapping);
  check("what cannot be there", what_cannot_be_there);
  check("stacks of one mapping", stacks_of_one_mapping);
  return finish();
}
