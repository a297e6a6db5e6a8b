// As many small files as a source tree has: written, listed, read, mapped all at once, and removed. The same
// on Linux.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checks.h"

namespace {

constexpr int kFiles = 33'000;  // more than one directory of an id table has room for: 32,256
constexpr int kFolders = 100;
char g_root[] = "/tmp/many-files-XXXXXX";
void* g_mapped[kFiles];

const char* path_of(int number) {
  static char path[80];
  snprintf(path, sizeof(path), "%s/%d/%d.h", g_root, number % kFolders, number);
  return path;
}

// Between 10 and some 100 bytes, different in each.
int text_of(int number, char* text) {
  return sprintf(
      text, "file %d %.*s\n", number, number % 97,
      "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjj");
}

void write_all() {
  CHECK(mkdtemp(g_root) != nullptr);
  char text[200];
  for (int folder = 0; folder < kFolders; ++folder) {
    snprintf(text, sizeof(text), "%s/%d", g_root, folder);
    CHECK(mkdir(text, 0700) == 0);
  }
  for (int number = 0; number < kFiles; ++number) {
    const int file = open(path_of(number), O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0);
    const int bytes = text_of(number, text);
    CHECK(write(file, text, size_t(bytes)) == bytes);
    CHECK(close(file) == 0);
  }
}

void read_all() {
  char text[200], got[200];
  for (int number = 0; number < kFiles; ++number) {
    const int file = open(path_of(number), O_RDONLY);
    CHECK(file >= 0);
    const int bytes = text_of(number, text);
    CHECK(read(file, got, sizeof(got)) == bytes && memcmp(got, text, size_t(bytes)) == 0);
    CHECK(close(file) == 0);
  }
}

void map_all() {
  char text[200];
  for (int number = 0; number < kFiles; ++number) {
    const int file = open(path_of(number), O_RDWR);
    CHECK(file >= 0);
    void* const at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED);
    const int bytes = text_of(number, text);
    CHECK(memcmp(at, text, size_t(bytes)) == 0 && static_cast<char*>(at)[bytes] == 0);
    static_cast<char*>(at)[0] = 'F';
    g_mapped[number] = at;
    CHECK(close(file) == 0);
  }
  // What was written through a mapping is the file's.
  for (int number = 0; number < kFiles; number += 1000) {
    const int file = open(path_of(number), O_RDONLY);
    char first = 0;
    CHECK(read(file, &first, 1) == 1 && first == 'F');
    CHECK(close(file) == 0);
  }
  for (void* at : g_mapped) CHECK(munmap(at, 4096) == 0);
}

void remove_all() {
  for (int number = 0; number < kFiles; ++number) CHECK(unlink(path_of(number)) == 0);
  char folder[100];
  for (int number = 0; number < kFolders; ++number) {
    snprintf(folder, sizeof(folder), "%s/%d", g_root, number);
    CHECK(rmdir(folder) == 0);
  }
  CHECK(rmdir(g_root) == 0);
}

}  // namespace

int main() {
  check("write", write_all);
  check("read", read_all);
  check("map", map_all);
  check("remove", remove_all);
  return finish();
}
