// Mappings that move and are advised, as a program sees them: mremap, madvise, msync, mlock. The same on
// Linux.
#include "tests/boot/programs/memory_checks.h"

namespace {

// --- mremap --------------------------------------------------------------------------------------------

void mremap_in_place() {
  char* at = map(8);
  memset(at, 5, 8 * kPage);
  CHECK(mremap(at, 8 * kPage, 4 * kPage, 0) == at);
  CHECK(!readable(at + 4 * kPage));
  CHECK(mremap(at, 4 * kPage, 6 * kPage, 0) == at);
  CHECK(at[4 * kPage - 1] == 5 && zero(at + 4 * kPage, 2 * kPage));
  unmap(at, 6);
}

void mremap_moves_the_contents() {
  char* at = map(8);
  for (size_t i = 0; i < 8; ++i) at[i * kPage] = char(i + 1);
  // Pages 2 to 4 go; page 5 is in the way of growing in place.
  CHECK_ERRNO(mremap(at + 2 * kPage, 3 * kPage, 5 * kPage, 0), ENOMEM);
  void* moved = mremap(at + 2 * kPage, 3 * kPage, 5 * kPage, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED);
  const char* to = static_cast<char*>(moved);
  CHECK(to[0] == 3 && to[kPage] == 4 && to[2 * kPage] == 5);
  CHECK(zero(to + 3 * kPage, 2 * kPage));
  CHECK(!readable(at + 2 * kPage) && !readable(at + 4 * kPage));
  CHECK(at[kPage] == 2 && at[5 * kPage] == 6);
  unmap(static_cast<char*>(moved), 5);
  unmap(at, 8);
}

void mremap_to_a_fixed_place() {
  char* at = map(2);
  memset(at, 6, 2 * kPage);
  char* target = map(3);
  memset(target, 1, 3 * kPage);
  CHECK(mremap(at, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
  CHECK(target[0] == 6 && target[2 * kPage] == 1);
  CHECK(!readable(at));
  unmap(target, 3);
}

void mremap_that_keeps_its_source() {
  char* at = map(4);
  memset(at, 5, 4 * kPage);
  CHECK_ERRNO(mremap(at, kPage, kPage, MREMAP_DONTUNMAP), EINVAL);
  CHECK_ERRNO(mremap(at, kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
  const int kKeep = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
  char* to = static_cast<char*>(mremap(at + kPage, 2 * kPage, 2 * kPage, kKeep, nullptr));
  CHECK(to != MAP_FAILED && to[0] == 5 && to[2 * kPage - 1] == 5);
  CHECK(zero(at + kPage, 2 * kPage) && at[0] == 5 && at[3 * kPage] == 5);
  at[kPage] = 6;
  CHECK(to[0] == 5);
  char* place = map(3);
  CHECK(mremap(to, 2 * kPage, 2 * kPage, kKeep | MREMAP_FIXED, place) == place);
  CHECK(place[0] == 5 && zero(to, 2 * kPage));
  unmap(place, 3);
  unmap(to, 2);
  unmap(at, 4);
  int file = new_file(2);
  char* shared = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* other = static_cast<char*>(mremap(shared, 2 * kPage, 2 * kPage, kKeep, nullptr));
  CHECK(other != MAP_FAILED && other[0] == 'a' && shared[kPage] == 'b');
  other[0] = 'z';
  CHECK(shared[0] == 'z');
  unmap(other, 2);
  unmap(shared, 2);
  end_file(file);
}

void mremap_of_nothing_maps_again() {
  char* at = map(2);
  CHECK_ERRNO(mremap(at, 0, kPage, MREMAP_MAYMOVE), EINVAL);
  unmap(at, 2);
  int file = new_file(3);
  char* shared = map_file(file, 3, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK_ERRNO(mremap(shared, 0, kPage, 0), ENOMEM);
  char* again = static_cast<char*>(mremap(shared + kPage, 0, 2 * kPage, MREMAP_MAYMOVE));
  CHECK(again != MAP_FAILED && again[0] == 'b' && again[kPage] == 'c' && shared[kPage] == 'b');
  again[0] = 'y';
  CHECK(shared[kPage] == 'y');
  unmap(again, 2);
  unmap(shared, 3);
  end_file(file);
}

void mremap_moves_over_several_mappings() {
  char* at = map(8);
  for (size_t i = 0; i < 8; ++i) at[i * kPage] = char(i + 1);
  CHECK(mprotect(at + 2 * kPage, kPage, PROT_READ) == 0);
  unmap(at + 4 * kPage, 1);
  char* to = map(6);
  memset(to, 9, 6 * kPage);
  CHECK(mremap(at + kPage, 6 * kPage, 6 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  // Pages 1 to 6, of which page 4 was a hole: what was at its place stays.
  CHECK(to[0] == 2 && to[kPage] == 3 && to[2 * kPage] == 4 && to[3 * kPage] == 9 && to[4 * kPage] == 6);
  CHECK(to[5 * kPage] == 7 && fault_of_write(to + kPage).signal == SIGSEGV);
  CHECK(at[0] == 1 && at[7 * kPage] == 8);
  for (size_t i = 1; i < 7; ++i) CHECK(!readable(at + i * kPage));
  CHECK_ERRNO(mremap(at + 6 * kPage, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, to), EFAULT);
  CHECK(to[0] == 2);
  unmap(to, 6);
  unmap(at, 8);
}

void mremap_errors() {
  char* at = map(4);
  CHECK_ERRNO(mremap(at + 1, kPage, kPage, 0), EINVAL);
  CHECK_ERRNO(mremap(at, kPage, 0, 0), EINVAL);
  CHECK_ERRNO(mremap(at, kPage, kPage, 0x100), EINVAL);
  CHECK_ERRNO(mremap(at, kPage, kPage, MREMAP_FIXED, at), EINVAL);
  CHECK_ERRNO(mremap(at, 2 * kPage, 2 * kPage, MREMAP_FIXED | MREMAP_MAYMOVE, at + kPage), EINVAL);
  unmap(at + 3 * kPage, 1);
  CHECK_ERRNO(mremap(at + 3 * kPage, kPage, 2 * kPage, MREMAP_MAYMOVE), EFAULT);
  CHECK_ERRNO(mremap(at, 4 * kPage, 8 * kPage, MREMAP_MAYMOVE), EFAULT);
  unmap(at, 3);
}

// --- madvise, msync, mlock -----------------------------------------------------------------------------

void dontneed_drops_private_memory() {
  char* at = map(3);
  memset(at, 4, 3 * kPage);
  CHECK(madvise(at + kPage, kPage, MADV_DONTNEED) == 0);
  CHECK(at[0] == 4 && zero(at + kPage) && at[2 * kPage] == 4);
  unmap(at, 3);
  char* shared = map(1, PROT_READ | PROT_WRITE, MAP_SHARED);
  shared[0] = 4;
  CHECK(madvise(shared, kPage, MADV_DONTNEED) == 0);
  CHECK(shared[0] == 4);
  unmap(shared, 1);
  int file = new_file(1);
  char* copy = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  copy[0] = 4;
  CHECK(madvise(copy, kPage, MADV_DONTNEED) == 0);
  CHECK(copy[0] == 'a');
  unmap(copy, 1);
  end_file(file);
}

void madvise_arguments() {
  char* at = map(3);
  CHECK(madvise(at, 3 * kPage, MADV_WILLNEED) == 0);
  CHECK(madvise(at, 3 * kPage, MADV_NORMAL) == 0);
  CHECK(madvise(at, 0, MADV_DONTNEED) == 0);
  CHECK_ERRNO(madvise(at, kPage, 9999), EINVAL);
  CHECK_ERRNO(madvise(at + 1, kPage, MADV_DONTNEED), EINVAL);
  at[0] = 1;
  at[2 * kPage] = 1;
  unmap(at + kPage, 1);
  CHECK_ERRNO(madvise(at, 3 * kPage, MADV_DONTNEED), ENOMEM);
  CHECK(at[0] == 0 && at[2 * kPage] == 0);
  unmap(at, 3);
}

void free_memory_reads_zero_or_old() {
  char* at = map(2);
  memset(at, 3, 2 * kPage);
  CHECK(madvise(at, 2 * kPage, MADV_FREE) == 0);
  CHECK(at[0] == 0 || at[0] == 3);
  at[0] = 8;
  CHECK(at[0] == 8);
  unmap(at, 2);
}

void sync_and_lock() {
  char* at = map(3);
  unmap(at + 2 * kPage, 1);
  CHECK(msync(at, 2 * kPage, MS_SYNC) == 0);
  CHECK_ERRNO(msync(at, 3 * kPage, MS_ASYNC), ENOMEM);
  CHECK_ERRNO(msync(at, kPage, MS_ASYNC | MS_SYNC), EINVAL);
  CHECK_ERRNO(msync(at + 1, kPage, MS_SYNC), EINVAL);
  CHECK(mlock(at + 5, 10) == 0);
  CHECK_ERRNO(mlock(at, 3 * kPage), ENOMEM);
  CHECK(munlock(at, 2 * kPage) == 0);
  CHECK(munlockall() == 0);
  unmap(at, 2);
}

}  // namespace

int main() {
  start();
  check("mremap_in_place", mremap_in_place);
  check("mremap_moves_the_contents", mremap_moves_the_contents);
  check("mremap_to_a_fixed_place", mremap_to_a_fixed_place);
  check("mremap_that_keeps_its_source", mremap_that_keeps_its_source);
  check("mremap_of_nothing_maps_again", mremap_of_nothing_maps_again);
  check("mremap_moves_over_several_mappings", mremap_moves_over_several_mappings);
  check("mremap_errors", mremap_errors);
  check("dontneed_drops_private_memory", dontneed_drops_private_memory);
  check("madvise_arguments", madvise_arguments);
  check("free_memory_reads_zero_or_old", free_memory_reads_zero_or_old);
  check("sync_and_lock", sync_and_lock);
  return finish();
}
