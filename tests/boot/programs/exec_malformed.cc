// execve of ELF files with every header field broken: ENOEXEC where Linux refuses too; where Linux would run
// the file all the same, the child may end in any way, but the kernel goes on.
#include <sys/stat.h>

#include <initializer_list>

#include "exec_checks.h"

namespace {

constexpr char kPath[] = "/tmp/exec-malformed";
constexpr uint64_t kBase = 0x40'0000;

struct File {
  Elf64_Ehdr header;
  Elf64_Phdr segments[2];
  // exit(42)
  unsigned char code[12] = {0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
};

File good_file() {
  File file = {};
  const unsigned char code[12] = {0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
  memcpy(file.code, code, sizeof(code));
  file.header = elf_header(kBase + offsetof(File, code));
  file.segments[0] = {PT_LOAD, PF_R | PF_X, 0, kBase, kBase, sizeof(File), sizeof(File), 4096};
  file.segments[1] = {PT_LOAD, PF_R | PF_W, 0, kBase + 0x1000, kBase + 0x1000, 0, 0x2000, 4096};
  return file;
}

template <class Change>
int run_changed(Change change) {
  File file = good_file();
  change(file);
  write_program(kPath, &file, sizeof(file));
  return run_program(kPath);
}

template <class Change>
void refused(const char* name, Change change) {
  check(name, [&] { CHECK(WEXITSTATUS(run_changed(change)) == 128 + ENOEXEC); });
}

// Linux is not strict here.
template <class Change>
void survived(const char* name, Change change) {
  check(name, [&] { (void)run_changed(change); });
}

}  // namespace

int main() {
  check("good", [] { CHECK(WEXITSTATUS(run_changed([](File&) {})) == 42); });
  for (int byte = 0; byte < 4; ++byte) {
    static char name[32];
    snprintf(name, sizeof(name), "magic_%d", byte);
    refused(name, [byte](File& f) { f.header.e_ident[byte] ^= 1; });
  }
  refused("type_relocatable", [](File& f) { f.header.e_type = ET_REL; });
  refused("type_none", [](File& f) { f.header.e_type = 0; });
  refused("machine", [](File& f) { f.header.e_machine = EM_AARCH64; });
  refused("program_header_bytes", [](File& f) { f.header.e_phentsize = 55; });
  refused("no_program_headers", [](File& f) { f.header.e_phnum = 0; });
  refused("too_many_program_headers", [](File& f) { f.header.e_phnum = 0xffff; });
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4}, size_t{20}, sizeof(Elf64_Ehdr) - 1}) {
    static char name[32];
    snprintf(name, sizeof(name), "cut_at_%zu", size);
    check(name, [&] {
      const File file = good_file();
      write_program(kPath, &file, size);
      CHECK(WEXITSTATUS(run_program(kPath)) == 128 + ENOEXEC);
    });
  }
  survived("class", [](File& f) { f.header.e_ident[EI_CLASS] = ELFCLASS32; });
  survived("byte_order", [](File& f) { f.header.e_ident[EI_DATA] = ELFDATA2MSB; });
  survived("ident_version", [](File& f) { f.header.e_ident[EI_VERSION] = 9; });
  survived("version", [](File& f) { f.header.e_version = 0; });
  survived("header_bytes", [](File& f) { f.header.e_ehsize = 1; });
  survived("entry_zero", [](File& f) { f.header.e_entry = 0; });
  survived("entry_kernel", [](File& f) { f.header.e_entry = 0xffff'ffff'8000'0000; });
  survived("entry_noncanonical", [](File& f) { f.header.e_entry = 0x8000'0000'0000'0000; });
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{4000}, uint64_t{1} << 40,
                               uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 56}) {
    static char name[64];
    const auto each = [&](const char* field, auto change) {
      snprintf(name, sizeof(name), "%s_%llx", field, static_cast<unsigned long long>(value));
      survived(name, change);
    };
    each("phoff", [=](File& f) { f.header.e_phoff = value; });
    each("offset", [=](File& f) { f.segments[0].p_offset = value; });
    each("address", [=](File& f) { f.segments[0].p_vaddr = value; });
    each("file_bytes", [=](File& f) { f.segments[0].p_filesz = value; });
    each("memory_bytes", [=](File& f) { f.segments[0].p_memsz = value; });
    each("align", [=](File& f) { f.segments[0].p_align = value; });
    each("second_address", [=](File& f) { f.segments[1].p_vaddr = value; });
    each("second_memory_bytes", [=](File& f) { f.segments[1].p_memsz = value; });
    each("flags", [=](File& f) { f.segments[0].p_flags = static_cast<uint32_t>(value); });
    each("type", [=](File& f) { f.segments[0].p_type = static_cast<uint32_t>(value); });
  }
  survived("overlap", [](File& f) { f.segments[1].p_vaddr = kBase; });
  survived("descending", [](File& f) { f.segments[1].p_vaddr = kBase - 0x10000; });
  survived("interpreter", [](File& f) { f.segments[1].p_type = PT_INTERP; });
  check("good_again", [] { CHECK(WEXITSTATUS(run_changed([](File&) {})) == 42); });
  unlink(kPath);
  return finish();
}
