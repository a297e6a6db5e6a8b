// What the boot tests of execve share: an executable's header, a file of it, and a child that becomes it.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/boot/programs/checks.h"

extern char** environ;

// Of an executable whose two program headers follow it.
inline Elf64_Ehdr elf_header(uint64_t entry) {
  Elf64_Ehdr header = {};
  const unsigned char ident[7] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
  memcpy(header.e_ident, ident, sizeof(ident));
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_entry = entry;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  return header;
}

inline void write_program(const char* path, const void* bytes, size_t size) {
  unlink(path);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  CHECK(file >= 0);
  CHECK(write(file, bytes, size) == static_cast<ssize_t>(size));
  CHECK(close(file) == 0);
}

// The wait status of a child that executes the file; 128 + errno as exit status when it could not.
inline int run_program(const char* path) {
  return status_of_child([path] {
    char* argv[] = {const_cast<char*>(path), nullptr};
    execve(path, argv, environ);
    _exit(128 + errno);
  });
}
