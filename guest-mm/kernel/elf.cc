#include "guest-mm/kernel/elf.h"

#include <algorithm>
#include <cstring>

#include "pvops/mm_ops.h"

namespace nopte::guest::elf {

namespace {

constexpr u16 kTypeExec = 2, kTypeDyn = 3, kMachineX86 = 62;
// A program must leave room for its stack and mappings.
constexpr u64 kHighestImage = 0x7fff'0000'0000;

// begin + bytes without wrap-around, at most `limit`.
bool fits(u64 begin, u64 bytes, u64 limit) { return begin <= limit && bytes <= limit - begin; }

bool segment_ok(const ProgramHeader& segment, u64 file_bytes) {
  const bool aligned = segment.align <= 1 || (segment.align & (segment.align - 1)) == 0;
  return segment.memory_bytes != 0 && segment.file_bytes <= segment.memory_bytes && aligned &&
         fits(segment.offset, segment.file_bytes, file_bytes) &&
         fits(segment.address, segment.memory_bytes, kHighestImage) &&
         (segment.offset & kPageMask) == (segment.address & kPageMask);
}

}  // namespace

Check check_header(const FileHeader& header, u64 file_bytes) {
  static constexpr u8 kIdent[7] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little endian */, 1};
  const bool good =
      std::memcmp(header.ident, kIdent, sizeof(kIdent)) == 0 &&
      (header.type == kTypeExec || header.type == kTypeDyn) && header.machine == kMachineX86 &&
      header.version == 1 && header.header_bytes == sizeof(FileHeader) &&
      header.program_header_bytes == sizeof(ProgramHeader) && header.program_header_count != 0 &&
      header.program_header_count <= kMostProgramHeaders &&
      fits(header.program_headers, header.program_header_count * sizeof(ProgramHeader), file_bytes);
  return good ? Check::kGood : Check::kMalformed;
}

std::optional<PathInFile> interpreter_of(std::span<const ProgramHeader> headers) {
  const auto found = std::ranges::find(headers, kTypeInterpreter, &ProgramHeader::type);
  return found == headers.end() ? std::nullopt : std::optional(PathInFile{found->offset, found->file_bytes});
}

Layout check_program_headers(const FileHeader& header, std::span<const ProgramHeader> headers, u64 file_bytes,
                             Role role, const Places& places) {
  Layout layout;
  const bool movable = header.type == kTypeDyn;
  bool entry_found = false;
  bool any = false;
  u64 least = movable ? 0 : kUserRange.begin.value();
  u64 first = 0;
  u64 align = kPageBytes;
  std::optional<u64> headers_at;
  for (const ProgramHeader& segment : headers) {
    if (segment.type == kTypeStack) {
      layout.exec_stack = (segment.flags & 1) != 0;
    }
    if (segment.type != kTypeLoad) {
      continue;
    }
    if (!segment_ok(segment, file_bytes)) {
      return layout;
    }
    const u64 begin = Gva{segment.address}.page_base().value();
    const u64 end = segment.address + segment.memory_bytes;
    if (begin < least) {
      return layout;
    }
    if (!any) {
      first = begin;
    }
    any = true;
    align = std::max(align, segment.align);
    least = pages_to_bytes(bytes_to_pages(end));
    const u64 entry = header.entry;
    entry_found = entry_found || (segment_perm(segment).exec() && entry >= segment.address && entry < end);
    const u64 table_bytes = headers.size_bytes();
    if (header.program_headers >= segment.offset &&
        fits(header.program_headers - segment.offset, table_bytes, segment.file_bytes)) {
      headers_at = header.program_headers - segment.offset + segment.address;
    }
  }
  if (!any || !entry_found) {
    return layout;
  }
  if (movable) {
    const u64 top = places.mmap_top.value();
    const u64 wanted = role == Role::kProgram ? places.program.value() : least < top ? top - least : 0;
    layout.bias = wanted & ~(align - 1);
    if (layout.bias == 0 || !fits(layout.bias, least, role == Role::kProgram ? kHighestImage : top)) {
      return layout;
    }
  }
  layout.headers_at = headers_at ? *headers_at + layout.bias : 0;
  layout.span = {Gva{first}, Gva{least}};
  layout.check = Check::kGood;
  return layout;
}

}  // namespace nopte::guest::elf
