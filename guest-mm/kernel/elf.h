// What exec needs to know of an ELF64 file, a program or the interpreter that it names: checked headers,
// nothing else. Pure; tested hosted. Source: System V gABI, chapter 4 and 5; x86-64 psABI; Linux
// fs/binfmt_elf.c for where what is position-independent lies.
#pragma once

#include <optional>
#include <span>

#include "guest-mm/core/places.h"
#include "pvops/base/addr.h"
#include "pvops/base/perm.h"
#include "pvops/base/types.h"

namespace nopte::guest::elf {

struct FileHeader {
  u8 ident[16];
  u16 type, machine;
  u32 version;
  u64 entry, program_headers, section_headers;
  u32 flags;
  u16 header_bytes, program_header_bytes, program_header_count, section_header_bytes, section_header_count,
      section_names;
};
static_assert(sizeof(FileHeader) == 64);

struct ProgramHeader {
  u32 type, flags;
  u64 offset, address, physical, file_bytes, memory_bytes, align;
};
static_assert(sizeof(ProgramHeader) == 56);

// As many as fit into a page.
inline constexpr u64 kMostProgramHeaders = kPageBytes / sizeof(ProgramHeader);

inline constexpr u32 kTypeLoad = 1, kTypeInterpreter = 3, kTypeStack = 0x6474'e551;

enum class Check : u8 { kGood, kMalformed };

// Everything that can be wrong with the file header of an executable of `file_bytes` bytes.
[[nodiscard]] Check check_header(const FileHeader& header, u64 file_bytes);

// Where it goes when it is position-independent: low, with room for the heap above; or right below mmap_top.
enum class Role : u8 { kProgram, kInterpreter };

// Where the file has a path, with its terminator.
struct PathInFile {
  u64 offset = 0;
  u64 bytes = 0;
};
// Linux: PATH_MAX.
inline constexpr u64 kLongestInterpreter = 4096;
// The interpreter's, as the first header of that type has it: its length may be anything. Nothing: the
// program needs none.
[[nodiscard]] std::optional<PathInFile> interpreter_of(std::span<const ProgramHeader> headers);

// Where a checked program wants to lie.
struct Layout {
  Check check = Check::kMalformed;
  VaRange span{};      // page-aligned, without the bias
  u64 bias = 0;        // added to every address; 0 unless position-independent
  u64 headers_at = 0;  // address of the program headers in memory, biased; 0 when not loaded
  bool exec_stack = false;
};
// Checks the program headers: load segments inside the file and the user range, congruent, ascending and
// without a page in common; the entry in an executable one. A bias is a multiple of every segment's
// alignment.
[[nodiscard]] Layout check_program_headers(const FileHeader& header, std::span<const ProgramHeader> headers,
                                           u64 file_bytes, Role role = Role::kProgram,
                                           const Places& places = {});

[[nodiscard]] constexpr Perm segment_perm(const ProgramHeader& segment) {
  return Perm(static_cast<u8>((segment.flags & 4 ? Perm::kRead : 0) | (segment.flags & 2 ? Perm::kWrite : 0) |
                              (segment.flags & 1 ? Perm::kExec : 0)));
}

}  // namespace nopte::guest::elf
