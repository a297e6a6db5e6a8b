// What a program finds in its segments' last pages: the file's bytes, and zeros from there to the page's end
// where the segment is longer in memory than in the file. The same on Linux.

#include "exec_checks.h"

namespace {

constexpr char kPath[] = "/tmp/exec-segments";
constexpr uint64_t kBase = 0x40'0000;
constexpr size_t kPage = 4096;
constexpr unsigned char kFill = 0xaa;

struct File {
  Elf64_Ehdr header;
  Elf64_Phdr segments[2];
  unsigned char code[16];
  unsigned char rest[kPage - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - 16];
  unsigned char data[kPage];
};
static_assert(sizeof(File) == 2 * kPage);

// Leaves with the byte at `offset` of the data page. The data segment begins with it.
File program(uint64_t file_bytes, uint64_t memory_bytes, uint32_t offset) {
  File file = {};
  memset(file.data, kFill, sizeof(file.data));
  file.header = elf_header(kBase + offsetof(File, code));
  file.segments[0] = {PT_LOAD, PF_R | PF_X, 0, kBase, kBase, kPage, kPage, kPage};
  file.segments[1] = {PT_LOAD,       PF_R | PF_W, kPage,        kBase + kPage,
                      kBase + kPage, file_bytes,  memory_bytes, kPage};
  // movzx edi, byte [address]; mov eax, 60; syscall
  const unsigned char code[15] = {0x0f, 0xb6, 0x3c, 0x25, 0, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
  memcpy(file.code, code, sizeof(code));
  const uint32_t address = uint32_t(kBase + kPage) + offset;
  memcpy(file.code + 4, &address, sizeof(address));
  return file;
}

// The byte that the program finds there.
int found(uint64_t file_bytes, uint64_t memory_bytes, uint32_t offset) {
  const File image = program(file_bytes, memory_bytes, offset);
  write_program(kPath, &image, sizeof(image));
  const int status = run_program(kPath);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

int main() {
  check("file_bytes_are_there", [] { CHECK(found(100, 200, 99) == kFill); });
  check("memory_after_them_is_zero", [] { CHECK(found(100, 200, 100) == 0 && found(100, 200, 199) == 0); });
  check("so_is_the_rest_of_the_page",
        [] { CHECK(found(100, 200, 200) == 0 && found(100, 101, kPage - 1) == 0); });
  check("and_the_next_page",
        [] { CHECK(found(100, 5000, kPage - 1) == 0 && found(100, 5000, kPage + 1) == 0); });
  check("equal_lengths_show_the_file", [] { CHECK(found(100, 100, 100) == kFill); });
  unlink(kPath);
  return finish();
}
