// A file system that is full: half of the guest's memory. Its writer is told so and lives, programs still
// start, and files can be removed. On another machine it would fill the disk: it runs in the guest only.
#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

#include "checks.h"

namespace {

const char* g_self;
constexpr char kFile[] = "/full";
constexpr size_t kPiece = 100'000;
char g_piece[kPiece];

long memory_bytes() {
  struct sysinfo info;
  CHECK(sysinfo(&info) == 0);
  return long(info.totalram) * info.mem_unit;
}

struct statfs space() {
  struct statfs info;
  CHECK(statfs("/", &info) == 0);
  return info;
}

// Writes until it fails; how many bytes.
long fill(int file) {
  long written = 0;
  ssize_t now;
  while ((now = write(file, g_piece, kPiece)) > 0) written += now;
  CHECK(now == -1 && errno == ENOSPC);
  return written;
}

bool programs_start() {
  const int status = status_of_child([] {
    execl(g_self, g_self, "child", nullptr);
    _exit(1);
  });
  return WIFEXITED(status) && WEXITSTATUS(status) == 33;
}

void writer_is_told() {
  const long free_before = long(space().f_bfree) * 4096;
  const int file = open(kFile, O_RDWR | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0);
  memset(g_piece, 'f', kPiece);
  const long written = fill(file);
  CHECK(written <= memory_bytes() / 2 && written > memory_bytes() / 4);
  CHECK(free_before - written >= 0 && free_before - written < 2 * 4096);
  CHECK(space().f_bfree == 0);
  // What is there can be written again.
  CHECK(pwrite(file, g_piece, kPiece, 12345) == ssize_t(kPiece));
  CHECK(close(file) == 0);
  const int another = open("/another", O_WRONLY | O_CREAT, 0600);
  CHECK(another < 0 ? errno == ENOSPC : fill(another) < 4096);
  close(another);
  unlink("/another");
}

// Room that was asked for is there, or it is refused whole.
void allocating_counts() {
  const int file = open("/room", O_RDWR | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0);
  const long before = long(space().f_bfree);
  CHECK(before > 1000);
  CHECK_ERRNO(fallocate(file, 0, 0, (before + 1000) * 4096), ENOSPC);
  CHECK(before - long(space().f_bfree) <= 1);
  CHECK(fallocate(file, 0, 0, 500 * 4096) == 0 && lseek(file, 0, SEEK_END) == 500 * 4096);
  CHECK(before - long(space().f_bfree) == 500);
  CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 400 * 4096, 200 * 4096) == 0);
  CHECK(before - long(space().f_bfree) == 600 && lseek(file, 0, SEEK_END) == 500 * 4096);
  char byte = 1;
  CHECK(pread(file, &byte, 1, 499 * 4096) == 1 && byte == 0);
  CHECK(ftruncate(file, 0) == 0 && before - long(space().f_bfree) <= 1);
  CHECK(close(file) == 0 && unlink("/room") == 0);
}

void rest_works() {
  CHECK(programs_start());
  char* memory = static_cast<char*>(malloc(4 << 20));
  CHECK(memory != nullptr);
  memset(memory, 1, 4 << 20);
  free(memory);
}

void truncating_makes_room() {
  CHECK(truncate(kFile, 3 << 20) == 0);
  const int file = open(kFile, O_WRONLY | O_APPEND);
  CHECK(file >= 0 && fill(file) > 4 << 20);
  CHECK(truncate(kFile, 0) == 0);
  CHECK(fill(file) > 4 << 20);
  CHECK(close(file) == 0);
}

void removing_makes_room() {
  CHECK(unlink(kFile) == 0);
  const int file = open(kFile, O_WRONLY | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0 && fill(file) > 8 << 20);
  CHECK(close(file) == 0);
  CHECK(programs_start());
  CHECK(unlink(kFile) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return 33;
  g_self = argv[0];
  check("allocating_counts", allocating_counts);
  check("writer_is_told", writer_is_told);
  check("rest_works", rest_works);
  check("truncating_makes_room", truncating_makes_room);
  check("removing_makes_room", removing_makes_room);
  return finish();
}
