// cachestat: how many of a file's pages are in memory; of tmpfs, as many as hold data. Prints the same on
// Linux.
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <vector>

#include "checks.h"

namespace {

constexpr unsigned long kPage = 4096;
constexpr char kFile[] = "/dev/shm/cachestat";
struct Range {
  unsigned long offset, bytes;
};
struct Counts {
  unsigned long cached = 99, dirty = 99, written_back = 99, evicted = 99, recently_evicted = 99;
};

long cachestat(int file, const void* range, void* counts, unsigned flags = 0) {
  return syscall(451, file, range, counts, flags);
}
unsigned long cached(int file, unsigned long offset = 0, unsigned long bytes = 0) {
  const Range range{offset, bytes};
  Counts counts;
  CHECK(cachestat(file, &range, &counts) == 0);
  CHECK(counts.dirty == 0 && counts.written_back == 0 && counts.evicted == 0 && counts.recently_evicted == 0);
  return counts.cached;
}
int new_file() {
  unlink(kFile);
  const int file = open(kFile, O_RDWR | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0);
  return file;
}

void what_was_written_counts() {
  const std::vector<char> page(kPage, 'a');
  for (int pages = 1; pages <= 512; pages *= 2) {
    const int file = new_file();
    CHECK(ftruncate(file, long(pages * kPage)) == 0);
    for (int done = 0; done < pages; ++done) CHECK(write(file, page.data(), kPage) == long(kPage));
    CHECK(cached(file) == size_t(pages) && cached(file, 0, pages * kPage) == size_t(pages));
    CHECK(close(file) == 0);
  }
}

void ranges_are_of_whole_pages() {
  const int file = new_file();
  const std::vector<char> some(10 * kPage, 'b');
  CHECK(write(file, some.data(), some.size()) == long(some.size()));
  CHECK(cached(file, 0, 1) == 1 && cached(file, 1, kPage - 1) == 1 && cached(file, 1, kPage) == 2);
  CHECK(cached(file, 3 * kPage + 7, 2 * kPage) == 3 && cached(file, 9 * kPage, kPage) == 1);
  CHECK(cached(file, 9 * kPage + 5) == 1 && cached(file, 10 * kPage) == 0 &&
        cached(file, 8 * kPage, 100 * kPage) == 2);
  CHECK(cached(file, 5 * kPage, ~0ul) == 0 && cached(file, 5 * kPage, -5 * kPage) == 5);
  CHECK(cached(file, ~0ul) == 0 && cached(file, ~0ul, ~0ul) == 0 && cached(file, 0, ~0ul) == 10);
  CHECK(ftruncate(file, long(2 * kPage) + 1) == 0 && cached(file) == 3);
  CHECK(ftruncate(file, 0) == 0 && cached(file) == 0);
  CHECK(close(file) == 0);
}

void holes_do_not_count() {
  const int file = new_file();
  CHECK(ftruncate(file, long(100 * kPage)) == 0 && cached(file) == 0);
  CHECK(pwrite(file, "c", 1, long(50 * kPage) + 3) == 1 && pwrite(file, "d", 1, long(99 * kPage)) == 1);
  CHECK(cached(file) == 2 && cached(file, 0, 50 * kPage) == 0 && cached(file, 50 * kPage, kPage) == 1);
  CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, long(98 * kPage), long(4 * kPage)) == 0);
  CHECK(cached(file) == 5 && cached(file, 100 * kPage) == 2);
  CHECK(close(file) == 0);
}

void what_has_no_pages() {
  const int folder = open("/", O_RDONLY | O_DIRECTORY);
  int ends[2];
  CHECK(folder >= 0 && pipe(ends) == 0 && write(ends[1], "e", 1) == 1);
  const int status = open("/proc/self/status", O_RDONLY);
  const int nothing = open("/dev/null", O_RDWR);
  CHECK(status >= 0 && nothing >= 0 && cached(status) == 0 && cached(nothing) == 0);
  CHECK(cached(ends[0]) == 0 && cached(ends[1]) == 0);
  for (const int file : {folder, ends[0], ends[1], status, nothing}) CHECK(close(file) == 0);
}

void errors_in_their_order() {
  const int file = new_file();
  const Range range{0, 0};
  Counts counts;
  void* const bad = reinterpret_cast<void*>(8);
  CHECK_ERRNO(cachestat(-1, bad, bad, 1), EBADF);
  CHECK_ERRNO(cachestat(file, bad, bad, 1), EFAULT);
  CHECK_ERRNO(cachestat(file, &range, bad, 1), EINVAL);
  CHECK_ERRNO(cachestat(file, &range, &counts, ~0u), EINVAL);
  CHECK_ERRNO(cachestat(file, &range, bad), EFAULT);
  const int path = open(kFile, O_PATH);
  CHECK_ERRNO(cachestat(path, &range, &counts), EBADF);
  CHECK(close(path) == 0 && close(file) == 0);
}

// A file that one may read only is none's business.
void who_may_not_write_is_not_told() {
  const int file = new_file();
  CHECK(write(file, "f", 1) == 1 && fchmod(file, 0644) == 0);
  CHECK(status_of_child([&] {
          CHECK(setgroups(0, nullptr) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
          const int readable = open(kFile, O_RDONLY);
          const Range range{0, 0};
          Counts counts;
          CHECK(readable >= 0);
          CHECK_ERRNO(cachestat(readable, &range, &counts, 1), EPERM);
          CHECK(counts.cached == 99 && cached(file) == 1);
        }) == 0);
  CHECK(chown(kFile, 1000, 1000) == 0);
  CHECK(status_of_child([&] {
          CHECK(setgroups(0, nullptr) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
          CHECK(cached(open(kFile, O_RDONLY)) == 1);
        }) == 0);
  CHECK(close(file) == 0);
}

}  // namespace

int main() {
  check("what was written counts", what_was_written_counts);
  check("ranges are of whole pages", ranges_are_of_whole_pages);
  check("holes do not count", holes_do_not_count);
  check("what has no pages", what_has_no_pages);
  check("errors, in their order", errors_in_their_order);
  check("who may not write is not told", who_may_not_write_is_not_told);
  unlink(kFile);
  return finish();
}
