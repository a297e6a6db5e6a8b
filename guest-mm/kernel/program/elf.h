// What exec needs to know of an ELF64 file, a program or the interpreter that it names: checked headers,
// nothing else. Pure; tested hosted. Source: System V gABI, chapter 4 and 5; x86-64 psABI. What is refused,
// and when, is what Linux refuses (fs/binfmt_elf.c), which reads little of the headers.
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

// As many as fit into 64 KiB, as on Linux; and into a page, which is more than any linker makes.
inline constexpr u64 kMostProgramHeaders = 65536 / sizeof(ProgramHeader);
inline constexpr u64 kUsualProgramHeaders = kPageBytes / sizeof(ProgramHeader);

inline constexpr u32 kTypeLoad = 1, kTypeInterpreter = 3, kTypeStack = 0x6474'e551;

enum class Check : u8 {
  kGood,
  kMalformed,  // no program: exec answers so
  kFatal,      // what Linux finds when the old program is gone: SIGSEGV is all that is left
};

// Where it goes when it is position-independent: low, with room for the heap above; or right below mmap_top.
enum class Role : u8 { kProgram, kInterpreter };

// Whether exec looks further: the format, the processor and the size of the program headers.
[[nodiscard]] Check check_header(const FileHeader& header, Role role = Role::kProgram);

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

// What a load segment becomes in memory, without the bias; both ranges may be empty. Later segments replace
// what earlier ones have there.
struct SegmentMemory {
  VaRange file;   // shows the file, with segment_perm()
  VaRange zeros;  // may be read and written whatever the segment says
};
[[nodiscard]] constexpr SegmentMemory memory_of(const ProgramHeader& segment);

// Where a checked program wants to lie.
struct Layout {
  Check check = Check::kFatal;
  VaRange span{};      // page-aligned, without the bias; empty where nothing is loaded
  u64 bias = 0;        // added to every address, may wrap; 0 unless position-independent
  u64 headers_at = 0;  // address of the program headers in memory, biased; of 0 when not loaded
  bool exec_stack = false;
};
// Checks the program headers, kGood or kFatal: each load segment has at most as many bytes in the file as in
// memory, and as those lies in the user range, with its bias too. A position-independent program's bias is a
// multiple of every segment's alignment that is a power of two, apart from where the first one begins.
[[nodiscard]] Layout check_program_headers(const FileHeader& header, std::span<const ProgramHeader> headers,
                                           Role role = Role::kProgram, const Places& places = {});

// Whether there are bytes of a file, and memory behind them: most segments have none.
[[nodiscard]] constexpr bool has_zeros_behind_file(const ProgramHeader& segment) {
  return segment.type == kTypeLoad && segment.file_bytes != 0 && segment.memory_bytes > segment.file_bytes;
}
// Where to write zeros, unbiased: behind the file's bytes of the index'th header's segment, to their page's
// end. Empty where no such bytes are, where the segment may not be written, or a later one has the page.
[[nodiscard]] VaRange tail_of(std::span<const ProgramHeader> headers, u64 index);

[[nodiscard]] constexpr Perm segment_perm(const ProgramHeader& segment) {
  return Perm(static_cast<u8>((segment.flags & 4 ? Perm::kRead : 0) | (segment.flags & 2 ? Perm::kWrite : 0) |
                              (segment.flags & 1 ? Perm::kExec : 0)));
}

constexpr SegmentMemory memory_of(const ProgramHeader& segment) {
  const Gva begin = Gva{segment.address}.page_base();
  const Gva end{segment.address + segment.memory_bytes};
  const Gva file_end = segment.file_bytes == 0
                           ? begin
                           : Gva{pages_to_bytes(bytes_to_pages(segment.address + segment.file_bytes))};
  const Gva zeros_end = segment.memory_bytes == segment.file_bytes
                            ? file_end
                            : Gva{pages_to_bytes(bytes_to_pages(end.value()))};
  return {.file = {begin, file_end}, .zeros = {file_end, zeros_end}};
}

}  // namespace nopte::guest::elf
