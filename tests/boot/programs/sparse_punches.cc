// Holes punched into huge files cost what lies there, and others run meanwhile. Prints the same on Linux.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "tests/boot/programs/checks.h"

namespace {

constexpr off_t kHuge = off_t{1} << 36;
constexpr off_t kPlaces[] = {0, 4096, 1 << 20, 5000 << 20, kHuge / 2 - 8192, kHuge / 2 + 100, kHuge - 4096};

char byte_at(int file, off_t at) {
  char byte = 0;
  CHECK(pread(file, &byte, 1, at) == 1);
  return byte;
}
void put_all(int file) {
  for (const off_t at : kPlaces) {
    CHECK(pwrite(file, "x", 1, at) == 1);
  }
}
int punch(int file, off_t at, off_t bytes) {
  return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
}
void print_bytes(const char* what, int file) {
  printf("%s:", what);
  for (const off_t at : kPlaces) {
    printf(" %d", byte_at(file, at) == 'x');
  }
  printf("\n");
}

void not_mapped() {
  const int file = memfd_create("sparse", 0);
  CHECK(file >= 0 && ftruncate(file, kHuge) == 0);
  put_all(file);
  CHECK(punch(file, 4096, kHuge / 2) == 0);
  print_bytes("from the second page over the middle", file);
  put_all(file);
  CHECK(punch(file, kHuge / 2 - 8192, 4096) == 0 && punch(file, 0, 1) == 0);
  print_bytes("one page, one byte", file);
  for (int i = 0; i < 1000; ++i) {
    put_all(file);
    CHECK(punch(file, 0, kHuge) == 0);
  }
  print_bytes("all of it", file);
  CHECK(close(file) == 0);
}

void mapped() {
  const int file = memfd_create("sparse", 0);
  constexpr off_t kBytes = off_t{5} << 30;
  CHECK(file >= 0 && ftruncate(file, kBytes) == 0);
  auto* const shown =
      static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0));
  CHECK(shown != MAP_FAILED);
  shown[0] = shown[kBytes / 2] = shown[kBytes - 1] = 'x';
  CHECK(madvise(shown + 4096, kBytes - 4096, MADV_REMOVE) == 0);
  printf("mapped: %d %d %d\n", shown[0], shown[kBytes / 2], shown[kBytes - 1]);
  CHECK(close(file) == 0 && munmap(shown, kBytes) == 0);
}

// Another process may end one that punches, and time goes on for it.
void meanwhile() {
  const int status = status_of_child([] {
    const int file = memfd_create("sparse", 0);
    constexpr off_t kBytes = off_t{1} << 31;
    CHECK(file >= 0 && ftruncate(file, kBytes) == 0);
    void* const shown = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(shown != MAP_FAILED);
    const itimerval soon = {{0, 0}, {0, 20'000}};
    CHECK(setitimer(ITIMER_REAL, &soon, nullptr) == 0);
    for (;;) {
      CHECK(punch(file, 0, kBytes) == 0);
    }
  });
  printf("ended by %d\n", WTERMSIG(status));
}

// Once a file is sealed nothing of it changes, a hole that is being made included.
void sealed_meanwhile() {
  const int file = memfd_create("sparse", MFD_ALLOW_SEALING);
  constexpr off_t kBytes = off_t{1} << 31;
  CHECK(file >= 0 && ftruncate(file, kBytes) == 0);
  void* const shown = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(shown != MAP_FAILED && munmap(shown, 4096) == 0);
  CHECK(pwrite(file, "x", 1, kBytes - 4096) == 1);
  int ready[2];
  CHECK(pipe(ready) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    CHECK(write(ready[1], "", 1) == 1);
    _exit(punch(file, 0, kBytes) == 0 || errno == EPERM ? 0 : 1);
  }
  char byte = 0;
  CHECK(read(ready[0], &byte, 1) == 1);
  while (fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) != 0) CHECK(errno == EBUSY);
  const char sealed = byte_at(file, kBytes - 4096);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(byte_at(file, kBytes - 4096) == sealed);
  CHECK(close(file) == 0 && close(ready[0]) == 0 && close(ready[1]) == 0);
}

}  // namespace

int main() {
  check("not mapped", not_mapped);
  check("mapped", mapped);
  check("meanwhile", meanwhile);
  check("sealed meanwhile", sealed_meanwhile);
  return finish();
}
