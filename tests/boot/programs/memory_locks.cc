// Memory that is locked, and what a child gets of its parent's: the mlock family, madvise(2)'s DONTFORK,
// WIPEONFORK and DONTDUMP, MADV_POPULATE and MADV_REMOVE's refusals. The same on Linux.
#include <sys/resource.h>

#include <initializer_list>

#include "tests/boot/programs/smaps_checks.h"

namespace {

long locked_kib() {
  static char line[256];
  long kib = -1;
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != nullptr);
  while (fgets(line, sizeof line, file) != nullptr) sscanf(line, "VmLck: %ld kB", &kib);
  CHECK(fclose(file) == 0);
  return kib;
}
bool resident(char* at, size_t pages) {
  unsigned char there[64];
  CHECK(pages <= sizeof there && mincore(at, pages * kPage, there) == 0);
  for (size_t i = 0; i < pages; ++i) {
    if ((there[i] & 1) == 0) return false;
  }
  return true;
}

void locked_memory_is_there_and_said_so() {
  char* at = apart(6);
  CHECK(mlock(at + kPage + 5, kPage) == 0);
  CHECK(resident(at + kPage, 2) && !resident(at + 3 * kPage, 1));
  CHECK(is(mapping_of(at + kPage), at + kPage, 2) && flagged(at + kPage, "lo"));
  CHECK(!flagged(at, "lo") && locked_kib() == 8);
  CHECK(mlock2(at + 3 * kPage, kPage, MLOCK_ONFAULT) == 0);
  CHECK(!resident(at + 3 * kPage, 1) && flagged(at + 3 * kPage, "lf") && locked_kib() == 12);
  CHECK(munlock(at, 6 * kPage) == 0);
  CHECK(is(mapping_of(at), at, 6) && !flagged(at, "lo") && locked_kib() == 0);
  unmap_apart(at, 6);
}

void locking_goes_as_far_as_memory_goes() {
  char* at = apart(6);
  unmap(at + 3 * kPage, 1);
  CHECK_ERRNO(mlock(at, 6 * kPage), ENOMEM);
  CHECK(flagged(at, "lo") && !flagged(at + 4 * kPage, "lo") && !resident(at, 1));
  CHECK_ERRNO(munlock(at, 6 * kPage), ENOMEM);
  CHECK(!flagged(at, "lo"));
  CHECK_ERRNO(mlock(at + 3 * kPage, kPage), ENOMEM);
  CHECK(mprotect(at + kPage, kPage, PROT_NONE) == 0);
  CHECK_ERRNO(mlock(at, 3 * kPage), ENOMEM);
  CHECK(flagged(at + 2 * kPage, "lo") && resident(at, 1));
  CHECK_ERRNO(mlock2(at, kPage, 2), EINVAL);
  CHECK(mlock(at, 0) == 0 && munlock(at + 3 * kPage, 0) == 0);
  unmap_apart(at, 6);
}

void locked_memory_is_not_dropped() {
  char* at = apart(3);
  memset(at, 7, 3 * kPage);
  CHECK(mlock(at + kPage, kPage) == 0);
  for (int advice : {MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT}) {
    CHECK_ERRNO(madvise(at + kPage, kPage, advice), EINVAL);
  }
  CHECK_ERRNO(madvise(at, 3 * kPage, MADV_DONTNEED), EINVAL);
  CHECK(at[0] == 0 && at[kPage] == 7 && at[2 * kPage] == 7);
  CHECK(madvise(at + kPage, kPage, 24 /* MADV_DONTNEED_LOCKED */) == 0 && at[kPage] == 0);
  CHECK_ERRNO(msync(at, 3 * kPage, MS_SYNC | MS_INVALIDATE), EBUSY);
  CHECK(msync(at, kPage, MS_SYNC | MS_INVALIDATE) == 0);
  unmap_apart(at, 3);
}

void a_mapping_can_come_locked_and_grow_so() {
  void* mapped =
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
  CHECK(mapped != MAP_FAILED);
  char* at = static_cast<char*>(mapped);
  CHECK(flagged(at, "lo") && resident(at, 2));
  void* moved = mremap(at, 2 * kPage, 4 * kPage, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED);
  at = static_cast<char*>(moved);
  CHECK(flagged(at, "lo") && resident(at, 4));
  unmap(at, 4);
  CHECK(locked_kib() == 0);
}

void all_memory_can_be_locked_now_and_later() {
  CHECK_ERRNO(mlockall(0), EINVAL);
  CHECK_ERRNO(mlockall(8), EINVAL);
  CHECK_ERRNO(mlockall(MCL_ONFAULT), EINVAL);
  char* before = apart(2);
  CHECK(mlockall(MCL_FUTURE) == 0);
  CHECK(!flagged(before, "lo"));
  char* later = apart(3);
  CHECK(flagged(later, "lo"));
  char* plain = map(2);
  CHECK(flagged(plain, "lo") && resident(plain, 2));
  CHECK(mlockall(MCL_CURRENT | MCL_ONFAULT) == 0);
  CHECK(flagged(before, "lo") && flagged(before, "lf") && !resident(before, 1));
  char* after = map(2);
  CHECK(!flagged(after, "lo"));
  CHECK(munlockall() == 0);
  CHECK(locked_kib() == 0);
  unmap(after, 2);
  unmap(plain, 2);
  unmap_apart(later, 3);
  unmap_apart(before, 2);
}

void a_child_has_nothing_locked() {
  char* at = apart(2);
  CHECK(mlock(at, 2 * kPage) == 0);
  CHECK(in_child([at] { return locked_kib() == 0 && !flagged(at, "lo"); }));
  CHECK(locked_kib() == 8);
  unmap_apart(at, 2);
}

void a_child_is_without_what_is_not_to_be_forked() {
  char* at = apart(6);
  memset(at, 5, 6 * kPage);
  CHECK(madvise(at + kPage, kPage, MADV_DONTFORK) == 0);
  CHECK(madvise(at + 3 * kPage, 2 * kPage, MADV_WIPEONFORK) == 0);
  CHECK(flagged(at + kPage, "dc") && flagged(at + 3 * kPage, "wf"));
  CHECK(in_child([at] {
    const bool right = !readable(at + kPage) && at[0] == 5 && at[2 * kPage] == 5 &&
                       zero(at + 3 * kPage, 2 * kPage) && at[5 * kPage] == 5 && flagged(at + 3 * kPage, "wf");
    at[3 * kPage] = 9;
    // And so on.
    return right && in_child([at] { return zero(at + 3 * kPage) && !readable(at + kPage); });
  }));
  CHECK(at[kPage] == 5 && at[3 * kPage] == 5);
  CHECK(madvise(at, 6 * kPage, MADV_DOFORK) == 0 && madvise(at, 6 * kPage, MADV_KEEPONFORK) == 0);
  CHECK(is(mapping_of(at), at, 6));
  CHECK(in_child([at] { return at[kPage] == 5 && at[4 * kPage] == 5; }));
  unmap_apart(at, 6);
}

void what_cannot_be_wiped() {
  char* shared = map(1, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK_ERRNO(madvise(shared, kPage, MADV_WIPEONFORK), EINVAL);
  CHECK(madvise(shared, kPage, MADV_DONTFORK) == 0);
  CHECK(in_child([shared] { return !readable(shared); }));
  unmap(shared, 1);
  int file = new_file(2);
  char* copy = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK_ERRNO(madvise(copy, kPage, MADV_WIPEONFORK), EINVAL);
  unmap(copy, 2);
  end_file(file);
  char* at = apart(4);
  unmap(at + kPage, 1);
  CHECK_ERRNO(madvise(at, 4 * kPage, MADV_WIPEONFORK), ENOMEM);
  CHECK(flagged(at, "wf") && flagged(at + 3 * kPage, "wf"));
  CHECK_ERRNO(madvise(at, 4 * kPage, MADV_DONTDUMP), ENOMEM);
  CHECK(flagged(at, "dd") && flagged(at + 3 * kPage, "dd"));
  unmap_apart(at, 4);
}

void populating_asks_for_rights() {
  char* at = apart(6);
  CHECK(mprotect(at + 2 * kPage, kPage, PROT_READ) == 0 && mprotect(at + 4 * kPage, kPage, PROT_NONE) == 0);
  CHECK_ERRNO(madvise(at, 6 * kPage, 23 /* MADV_POPULATE_WRITE */), EINVAL);
  CHECK(resident(at, 2) && !resident(at + 3 * kPage, 1));
  CHECK_ERRNO(madvise(at, 6 * kPage, 22 /* MADV_POPULATE_READ */), EINVAL);
  CHECK(resident(at, 4) && !resident(at + 5 * kPage, 1));
  unmap(at + kPage, 1);
  CHECK_ERRNO(madvise(at + kPage, kPage, 22), ENOMEM);
  unmap_apart(at, 6);
  int file = new_file(2);
  char* shared = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK(madvise(shared, 2 * kPage, 23) == 0);
  CHECK_ERRNO(madvise(shared, 4 * kPage, 23), EFAULT);
  CHECK_ERRNO(madvise(shared + 2 * kPage, kPage, 22), EFAULT);
  unmap(shared, 4);
  end_file(file);
}

}  // namespace

int main() {
  start();
  check("locked_memory_is_there_and_said_so", locked_memory_is_there_and_said_so);
  check("locking_goes_as_far_as_memory_goes", locking_goes_as_far_as_memory_goes);
  check("locked_memory_is_not_dropped", locked_memory_is_not_dropped);
  check("a_mapping_can_come_locked_and_grow_so", a_mapping_can_come_locked_and_grow_so);
  check("all_memory_can_be_locked_now_and_later", all_memory_can_be_locked_now_and_later);
  check("a_child_has_nothing_locked", a_child_has_nothing_locked);
  check("a_child_is_without_what_is_not_to_be_forked", a_child_is_without_what_is_not_to_be_forked);
  check("what_cannot_be_wiped", what_cannot_be_wiped);
  check("populating_asks_for_rights", populating_asks_for_rights);
  return finish();
}
