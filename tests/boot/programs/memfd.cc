// Files of memory: memfd_create(2), seals (fcntl(2)), and holes (fallocate(2), MADV_REMOVE). The same on
// Linux.
#include <sys/stat.h>

#include <string>

#include "tests/boot/programs/memory_checks.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8
#define MFD_EXEC 16
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

namespace {

int sealable(size_t pages) {
  const int file = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  CHECK(file >= 0 && ftruncate(file, off_t(pages * kPage)) == 0);
  return file;
}
int add(int file, int seals) { return fcntl(file, F_ADD_SEALS, seals); }

void creating() {
  CHECK_ERRNO(memfd_create("x", 0x20), EINVAL);
  CHECK_ERRNO(memfd_create("x", MFD_NOEXEC_SEAL | MFD_EXEC), EINVAL);
  CHECK_ERRNO(memfd_create(reinterpret_cast<const char*>(8), 0), EFAULT);
  CHECK_ERRNO(memfd_create(std::string(250, 'x').c_str(), 0), EINVAL);
  const int longest = memfd_create(std::string(249, 'x').c_str(), 0);
  CHECK(longest >= 0 && fcntl(longest, F_GET_SEALS) == F_SEAL_SEAL);
  CHECK(fcntl(longest, F_GETFD) == 0);
  CHECK_ERRNO(add(longest, F_SEAL_WRITE), EPERM);
  struct stat about;
  CHECK(fstat(longest, &about) == 0 && about.st_size == 0 && (about.st_mode & 07777) == 0777);
  close(longest);
  const int plain = memfd_create("", MFD_NOEXEC_SEAL);
  CHECK(plain >= 0 && fcntl(plain, F_GET_SEALS) == F_SEAL_EXEC);
  CHECK(fstat(plain, &about) == 0 && (about.st_mode & 07777) == 0666);
  CHECK_ERRNO(fchmod(plain, 0700), EPERM);
  CHECK(fchmod(plain, 0600) == 0);
  close(plain);
}

void what_is_no_seal() {
  const int file = sealable(1);
  CHECK(fcntl(file, F_GET_SEALS) == 0);
  CHECK_ERRNO(add(file, 0x100), EINVAL);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  const int reader = open(path, O_RDONLY);
  CHECK(reader >= 0);
  CHECK_ERRNO(add(reader, F_SEAL_GROW), EPERM);
  CHECK(fcntl(reader, F_GET_SEALS) == 0);
  close(reader);
  CHECK(add(file, F_SEAL_SEAL) == 0);
  CHECK_ERRNO(add(file, F_SEAL_GROW), EPERM);
  close(file);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK_ERRNO(add(ends[1], F_SEAL_GROW), EINVAL);
  CHECK_ERRNO(fcntl(ends[0], F_GET_SEALS), EINVAL);
  close(ends[0]);
  close(ends[1]);
}

void sizes_that_are_sealed() {
  int file = sealable(2);
  CHECK(add(file, F_SEAL_SHRINK) == 0 && fcntl(file, F_GET_SEALS) == F_SEAL_SHRINK);
  CHECK_ERRNO(ftruncate(file, kPage), EPERM);
  CHECK(ftruncate(file, 3 * kPage) == 0 && ftruncate(file, 3 * kPage) == 0);
  close(file);
  file = sealable(1);
  CHECK(ftruncate(file, kPage + 100) == 0 && add(file, F_SEAL_GROW) == 0);
  CHECK_ERRNO(ftruncate(file, 2 * kPage), EPERM);
  CHECK_ERRNO(fallocate(file, 0, 0, 2 * kPage), EPERM);
  static char bytes[3 * kPage];
  memset(bytes, 3, sizeof bytes);
  // Page by page: the first fits.
  CHECK(pwrite(file, bytes, 3 * kPage, 0) == ssize_t(kPage));
  CHECK_ERRNO(pwrite(file, bytes, 200, kPage), EPERM);
  CHECK(pwrite(file, bytes, 100, kPage) == 100);
  CHECK(ftruncate(file, kPage) == 0);
  close(file);
}

void bytes_that_are_sealed() {
  const int file = sealable(2);
  char* shared = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  shared[0] = 4;
  CHECK_ERRNO(add(file, F_SEAL_WRITE), EBUSY);
  CHECK(mprotect(shared, 2 * kPage, PROT_READ) == 0);
  CHECK_ERRNO(add(file, F_SEAL_WRITE), EBUSY);
  CHECK(fcntl(file, F_GET_SEALS) == 0);
  unmap(shared, 2);
  char* copy = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK(add(file, F_SEAL_WRITE) == 0);
  copy[1] = 5;
  unmap(copy, 2);
  CHECK_ERRNO(pwrite(file, "x", 1, 0), EPERM);
  CHECK_ERRNO(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EPERM);
  CHECK_ERRNO(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPage), EPERM);
  char byte = 0;
  CHECK(pread(file, &byte, 1, 0) == 1 && byte == 4);
  close(file);
}

void bytes_that_are_sealed_from_now_on() {
  const int file = sealable(1);
  char* shared = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK(add(file, F_SEAL_FUTURE_WRITE) == 0);
  shared[0] = 6;
  CHECK_ERRNO(pwrite(file, "x", 1, 0), EPERM);
  CHECK_ERRNO(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EPERM);
  char* seen = map_file(file, 1, PROT_READ, MAP_SHARED);
  CHECK(seen[0] == 6);
  CHECK_ERRNO(mprotect(seen, kPage, PROT_READ | PROT_WRITE), EACCES);
  unmap(seen, 1);
  unmap(shared, 1);
  close(file);
}

void executing_that_is_sealed() {
  int file = sealable(1);
  CHECK(add(file, F_SEAL_EXEC) == 0);
  CHECK(fcntl(file, F_GET_SEALS) ==
        (F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
  CHECK_ERRNO(fchmod(file, 0666), EPERM);
  close(file);
}

void holes_read_zero() {
  const int file = sealable(0);
  static char bytes[8 * kPage];
  memset(bytes, 7, sizeof bytes);
  CHECK(write(file, bytes, sizeof bytes) == ssize_t(sizeof bytes));
  const int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  CHECK_ERRNO(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, kPage), EOPNOTSUPP);
  CHECK_ERRNO(fallocate(file, FALLOC_FL_ZERO_RANGE, 0, kPage), EOPNOTSUPP);
  CHECK_ERRNO(fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, kPage), EOPNOTSUPP);
  CHECK_ERRNO(fallocate(file, kPunch, -1, kPage), EINVAL);
  CHECK_ERRNO(fallocate(file, kPunch, 0, 0), EINVAL);
  char* shared = map_file(file, 8, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* copy = map_file(file, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  copy[3 * kPage] = 9;
  CHECK(fallocate(file, kPunch, kPage + 100, 3 * kPage) == 0);
  CHECK(shared[kPage + 99] == 7 && zero(shared + kPage + 100, 3 * kPage) && shared[4 * kPage + 100] == 7);
  CHECK(copy[2 * kPage] == 0 && copy[3 * kPage] == 9);
  CHECK(fallocate(file, kPunch, 6 * kPage + 10, 20) == 0);
  CHECK(shared[6 * kPage + 9] == 7 && zero(shared + 6 * kPage + 10, 20) && shared[6 * kPage + 30] == 7);
  CHECK(fallocate(file, kPunch, 7 * kPage, 100 * kPage) == 0 && zero(shared + 7 * kPage));
  struct stat about;
  CHECK(fstat(file, &about) == 0 && about.st_size == off_t(8 * kPage));
  unmap(copy, 8);
  CHECK(madvise(shared, kPage, MADV_REMOVE) == 0 && zero(shared) && shared[kPage] == 7);
  shared[0] = 1;
  CHECK(pread(file, bytes, 2, 0) == 2 && bytes[0] == 1 && bytes[1] == 0);
  unmap(shared, 8);
  char* seen = map_file(file, 1, PROT_READ, MAP_PRIVATE);
  CHECK_ERRNO(madvise(seen, kPage, MADV_REMOVE), EACCES);
  unmap(seen, 1);
  close(file);
  char* own = map(1);
  CHECK_ERRNO(madvise(own, kPage, MADV_REMOVE), EINVAL);
  unmap(own, 1);
  char* anonymous = map(2, PROT_READ | PROT_WRITE, MAP_SHARED);
  memset(anonymous, 5, 2 * kPage);
  CHECK(mlock(anonymous, kPage) == 0);
  CHECK_ERRNO(madvise(anonymous, kPage, MADV_REMOVE), EINVAL);
  CHECK(munlock(anonymous, kPage) == 0 && madvise(anonymous, kPage, MADV_REMOVE) == 0);
  CHECK(zero(anonymous) && anonymous[kPage] == 5);
  unmap(anonymous, 2);
}

void holes_in_what_is_small() {
  const int file = sealable(0);
  CHECK(write(file, "abcdefgh", 8) == 8);
  CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3) == 0);
  char bytes[9] = "";
  CHECK(pread(file, bytes, 8, 0) == 8 && memcmp(bytes, "ab\0\0\0fgh", 8) == 0);
  CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6, 1000) == 0);
  CHECK(pread(file, bytes, 8, 0) == 8 && memcmp(bytes, "ab\0\0\0f\0\0", 8) == 0);
  close(file);
}

}  // namespace

int main() {
  start();
  check("creating", creating);
  check("what_is_no_seal", what_is_no_seal);
  check("sizes_that_are_sealed", sizes_that_are_sealed);
  check("bytes_that_are_sealed", bytes_that_are_sealed);
  check("bytes_that_are_sealed_from_now_on", bytes_that_are_sealed_from_now_on);
  check("executing_that_is_sealed", executing_that_is_sealed);
  check("holes_read_zero", holes_read_zero);
  check("holes_in_what_is_small", holes_in_what_is_small);
  return finish();
}
