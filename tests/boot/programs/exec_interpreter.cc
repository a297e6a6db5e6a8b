// Programs that name an interpreter, and what execve answers where it is not there, or not what it should be;
// and what an interpreter is told in its auxiliary vector. The same on Linux.
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include <cstdint>
#include <initializer_list>

#include "exec_checks.h"

namespace {

constexpr char kPath[] = "/tmp/exec-interpreted";
constexpr char kInterpreter[] = "/tmp/exec-interpreter";
constexpr uint64_t kBase = 0x40'0000;
constexpr size_t kPage = 4096;

struct File {
  Elf64_Ehdr header;
  Elf64_Phdr segments[2];
  char name[64];
  unsigned char code[64];
};

// exit(status)
void leave_with(File& file, unsigned char status) {
  const unsigned char code[12] = {0xbf, status, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
  memcpy(file.code, code, sizeof(code));
}

File program() {
  File file = {};
  file.header = elf_header(kBase + offsetof(File, code));
  file.segments[0] = {PT_INTERP, PF_R, offsetof(File, name), 0, 0, sizeof(kInterpreter), sizeof(kInterpreter),
                      1};
  file.segments[1] = {PT_LOAD, PF_R | PF_X, 0, kBase, kBase, sizeof(File), sizeof(File), kPage};
  strcpy(file.name, kInterpreter);
  leave_with(file, 41);
  return file;
}

// Position-independent.
File interpreter() {
  File file = {};
  file.header = elf_header(offsetof(File, code));
  file.header.e_type = ET_DYN;
  file.segments[0] = {PT_LOAD, PF_R | PF_X, 0, 0, 0, sizeof(File), sizeof(File), kPage};
  file.segments[1] = {PT_NULL, 0, 0, 0, 0, 0, 0, 0};
  leave_with(file, 42);
  return file;
}

int run(const File& program, const File* interpreter, size_t interpreter_bytes = sizeof(File)) {
  write_program(kPath, &program, sizeof(program));
  if (interpreter != nullptr) {
    write_program(kInterpreter, interpreter, interpreter_bytes);
  } else {
    unlink(kInterpreter);
  }
  return run_program(kPath);
}

template <class Change>
void program_refused(const char* name, int error, Change change) {
  check(name, [&] {
    File file = program();
    change(file);
    const File loader = interpreter();
    CHECK(WEXITSTATUS(run(file, &loader)) == 128 + error);
  });
}

template <class Change>
void interpreter_refused(const char* name, int error, Change change) {
  check(name, [&] {
    File loader = interpreter();
    change(loader);
    CHECK(WEXITSTATUS(run(program(), &loader)) == 128 + error);
  });
}

// Linux notices these too late to answer.
template <class Change>
void killed(const char* name, Change change) {
  check(name, [&] {
    File loader = interpreter();
    change(loader);
    CHECK(WTERMSIG(run(program(), &loader)) == SIGSEGV);
  });
}

// The interpreter leaves with what `code` puts into edi. The auxiliary vector lies behind argc, one argument
// and the environment: rsi walks there.
constexpr unsigned char kFindAuxiliary[] = {
    0x48, 0x8d, 0x74, 0x24, 0x18,  // lea rsi, [rsp + 24]
    0x48, 0xad,                    // next: lodsq
    0x48, 0x85, 0xc0,              // test rax, rax
    0x75, 0xf9,                    // jnz next
};
// Finds the entry of type `type` and leaves with the low byte of its value >> shift.
File tells(unsigned char type, unsigned char shift) {
  File file = interpreter();
  const unsigned char rest[] = {
      0x48, 0xad,                  // again: lodsq
      0x48, 0x89, 0xc2,            // mov rdx, rax
      0x48, 0xad,                  // lodsq
      0x48, 0x83, 0xfa, type,      // cmp rdx, type
      0x75, 0xf3,                  // jne again
      0x48, 0xc1, 0xe8, shift,     // shr rax, shift
      0x0f, 0xb6, 0xf8,            // movzx edi, al
      0xb8, 60,   0,    0,     0,  // mov eax, 60
      0x0f, 0x05,                  // syscall
  };
  static_assert(sizeof(kFindAuxiliary) + sizeof(rest) <= sizeof(File::code));
  memcpy(file.code, kFindAuxiliary, sizeof(kFindAuxiliary));
  memcpy(file.code + sizeof(kFindAuxiliary), rest, sizeof(rest));
  return file;
}

int told(unsigned char type, unsigned char shift) {
  const File file = tells(type, shift);
  const int status = run(program(), &file);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

int main() {
  check("the_interpreter_runs", [] {
    const File loader = interpreter();
    CHECK(WEXITSTATUS(run(program(), &loader)) == 42);
  });
  check("of_a_fixed_address_too", [] {
    File loader = interpreter();
    loader.header.e_type = ET_EXEC;
    loader.header.e_entry += 0x5000'0000;
    loader.segments[0].p_vaddr = 0x5000'0000;
    CHECK(WEXITSTATUS(run(program(), &loader)) == 42);
  });
  check("it_is_told_of_the_program", [] {
    CHECK(told(AT_ENTRY, 0) == offsetof(File, code) && told(AT_ENTRY, 16) == kBase >> 16);
    CHECK(told(AT_PHDR, 0) == sizeof(Elf64_Ehdr) && told(AT_PHDR, 16) == kBase >> 16);
    CHECK(told(AT_PHNUM, 0) == 2 && told(AT_PHENT, 0) == sizeof(Elf64_Phdr));
    CHECK(told(AT_SECURE, 0) == 0 && told(AT_CLKTCK, 0) == 100 && told(AT_PAGESZ, 12) == 1);
  });
  check("and_where_it_lies_itself", [] { CHECK(told(AT_BASE, 0) == 0 && told(AT_BASE, 40) == 0x7f); });
  check("not_there", [] { CHECK(WEXITSTATUS(run(program(), nullptr)) == 128 + ENOENT); });
  check("not_executable", [] {
    const File file = program();
    const File loader = interpreter();
    write_program(kPath, &file, sizeof(file));
    write_program(kInterpreter, &loader, sizeof(loader));
    CHECK(chmod(kInterpreter, 0600) == 0);
    CHECK(WEXITSTATUS(run_program(kPath)) == 128 + EACCES);
  });
  check("a_folder", [] {
    const File file = program();
    write_program(kPath, &file, sizeof(file));
    CHECK(unlink(kInterpreter) == 0 && mkdir(kInterpreter, 0700) == 0);
    CHECK(WEXITSTATUS(run_program(kPath)) == 128 + EACCES);
    CHECK(rmdir(kInterpreter) == 0);
  });
  check("a_script", [] {
    File loader = {};
    memcpy(&loader, "#!/bin/sh\n", 10);
    CHECK(WEXITSTATUS(run(program(), &loader)) == 128 + ELIBBAD);
  });
  for (const size_t bytes : {size_t{0}, size_t{1}, sizeof(Elf64_Ehdr) - 1}) {
    static char name[32];
    snprintf(name, sizeof(name), "cut_at_%zu", bytes);
    check(name, [&] {
      const File loader = interpreter();
      CHECK(WEXITSTATUS(run(program(), &loader, bytes)) == 128 + EIO);
    });
  }
  check("cut_in_its_headers", [] {
    const File loader = interpreter();
    CHECK(WEXITSTATUS(run(program(), &loader, sizeof(Elf64_Ehdr) + 1)) == 128 + ELIBBAD);
  });
  program_refused("path_empty", ENOEXEC, [](File& f) { f.segments[0].p_filesz = 0; });
  program_refused("path_of_one_byte", ENOEXEC, [](File& f) { f.segments[0].p_filesz = 1; });
  program_refused("path_too_long", ENOEXEC, [](File& f) { f.segments[0].p_filesz = 4097; });
  program_refused("path_without_end", ENOEXEC, [](File& f) { f.segments[0].p_filesz = 4; });
  program_refused("path_past_the_end", EIO, [](File& f) { f.segments[0].p_offset = sizeof(File) - 1; });
  program_refused("path_far_past_the_end", EIO, [](File& f) { f.segments[0].p_offset = uint64_t{1} << 40; });
  program_refused("path_where_no_file_reaches", EINVAL,
                  [](File& f) { f.segments[0].p_offset = uint64_t{1} << 63; });
  check("path_of_the_most_bytes", [] {
    File file = program();
    file.segments[0].p_offset = sizeof(File);
    file.segments[0].p_filesz = 4096;
    static unsigned char bytes[sizeof(File) + 4096];
    memcpy(bytes, &file, sizeof(file));
    memset(bytes + sizeof(File), '/', 4095);
    memcpy(bytes + sizeof(bytes) - sizeof(kInterpreter), kInterpreter, sizeof(kInterpreter));
    write_program(kPath, bytes, sizeof(bytes));
    const File loader = interpreter();
    write_program(kInterpreter, &loader, sizeof(loader));
    CHECK(WEXITSTATUS(run_program(kPath)) == 42);
  });
  check("the_first_of_two_counts", [] {
    const File loader = interpreter();
    File file = program();
    file.segments[1] = {PT_INTERP, PF_R, 0, 0, 0, 1, 1, 1};
    CHECK(WEXITSTATUS(run(file, &loader)) == 42);
    file = program();
    file.segments[1] = file.segments[0];
    file.segments[0] = {PT_INTERP, PF_R, 0, 0, 0, 1, 1, 1};
    CHECK(WEXITSTATUS(run(file, &loader)) == 128 + ENOEXEC);
  });
  check("it_needs_no_entry_of_the_program", [] {
    const File loader = interpreter();
    File file = program();
    file.header.e_entry = ~uint64_t{0};
    CHECK(WEXITSTATUS(run(file, &loader)) == 42);
  });
  program_refused("path_of_a_file_that_is_no_folder", ENOTDIR, [](File& f) {
    strcpy(f.name, "/tmp/exec-interpreter/x");
    f.segments[0].p_filesz = strlen(f.name) + 1;
  });
  for (int byte = 0; byte < 4; ++byte) {
    static char name[32];
    snprintf(name, sizeof(name), "magic_%d", byte);
    interpreter_refused(name, ELIBBAD, [byte](File& f) { f.header.e_ident[byte] ^= 1; });
  }
  interpreter_refused("machine", ELIBBAD, [](File& f) { f.header.e_machine = EM_AARCH64; });
  interpreter_refused("program_header_bytes", ELIBBAD, [](File& f) { f.header.e_phentsize = 55; });
  interpreter_refused("no_program_headers", ELIBBAD, [](File& f) { f.header.e_phnum = 0; });
  interpreter_refused("too_many_program_headers", ELIBBAD, [](File& f) { f.header.e_phnum = 0xffff; });
  interpreter_refused("program_headers_past_the_end", ELIBBAD,
                      [](File& f) { f.header.e_phoff = uint64_t{1} << 40; });
  killed("type", [](File& f) { f.header.e_type = ET_REL; });
  killed("address", [](File& f) { f.segments[0].p_vaddr = uint64_t{1} << 63; });
  killed("not_congruent", [](File& f) { f.segments[0].p_offset = 1; });
  killed("more_in_the_file", [](File& f) { f.segments[0].p_filesz += 1; });
  killed("too_large", [](File& f) { f.segments[0].p_memsz = uint64_t{1} << 47; });
  killed("entry", [](File& f) { f.header.e_entry = uint64_t{1} << 62; });
  killed("nothing_to_load", [](File& f) { f.segments[0].p_type = PT_NULL; });
  unlink(kPath);
  unlink(kInterpreter);
  return finish();
}
