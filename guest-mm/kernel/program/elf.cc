#include "guest-mm/kernel/program/elf.h"

#include <algorithm>
#include <cstring>

#include "pvops/mm_ops.h"

namespace nopte::guest::elf {

namespace {

constexpr u16 kTypeExec = 2, kTypeDyn = 3, kMachineX86 = 62;
constexpr u64 kEnd = kUserRange.end.value();
constexpr u64 kBegin = kUserRange.begin.value();
// No file can be mapped from its 2^63rd byte on.
constexpr u64 kMostOffset = (u64{1} << 63) - kPageBytes;

// begin + bytes without wrap-around, at most `limit`.
bool fits(u64 begin, u64 bytes, u64 limit) { return begin <= limit && bytes <= limit - begin; }

bool power_of_two(u64 value) { return value != 0 && (value & (value - 1)) == 0; }

bool runs(const FileHeader& header) { return header.type == kTypeExec || header.type == kTypeDyn; }

bool segment_ok(const ProgramHeader& segment) {
  if (segment.address >= kEnd || segment.file_bytes > segment.memory_bytes ||
      !fits(segment.address, segment.memory_bytes, kEnd)) {
    return false;
  }
  const u64 page_offset = segment.address & kPageMask;
  return segment.file_bytes == 0 ||
         ((segment.offset & kPageMask) == page_offset &&
          fits(segment.offset - page_offset, pages_to_bytes(bytes_to_pages(page_offset + segment.file_bytes)),
               kMostOffset));
}

struct Extent {
  u64 lowest = ~u64{0};  // page
  u64 end = 0;           // of the highest

  void add(u64 begin, u64 segment_end) {
    lowest = std::min(lowest, begin);
    end = std::max(end, segment_end);
  }
  // Whether it lies in user space.
  [[nodiscard]] bool fits_at(u64 bias) const {
    return end == 0 || (lowest + bias >= kBegin && fits(lowest + bias, end - lowest, kEnd));
  }
};

// What the program headers say together.
struct Summary {
  bool interpreted = false;
  bool exec_stack = false;
  bool any = false;  // the rest is about load segments
  u64 first = 0;     // the page where the first one begins
  u64 align = kPageBytes;
  u64 headers_at = 0;
  Extent all;
  Extent used;  // those that have memory
};

void add_segment(Summary& summary, const ProgramHeader& segment, const FileHeader& header) {
  const u64 begin = Gva{segment.address}.page_base().value();
  const u64 end = segment.address + segment.memory_bytes;
  summary.first = summary.any ? summary.first : begin;
  summary.any = true;
  summary.all.add(begin, end);
  if (segment.memory_bytes != 0) {
    summary.used.add(begin, end);
  }
  if (segment.align > summary.align && power_of_two(segment.align)) {
    summary.align = segment.align;
  }
  if (segment.offset <= header.program_headers &&
      header.program_headers - segment.offset < segment.file_bytes) {
    summary.headers_at = header.program_headers - segment.offset + segment.address;
  }
}

// False: a load segment is bad.
bool summarize(const FileHeader& header, std::span<const ProgramHeader> headers, Summary& summary) {
  for (const ProgramHeader& segment : headers) {
    if (segment.type == kTypeLoad) {
      if (!segment_ok(segment)) {
        return false;
      }
      add_segment(summary, segment, header);
    } else if (segment.type == kTypeStack) {
      summary.exec_stack = (segment.flags & 1) != 0;
    } else if (segment.type == kTypeInterpreter) {
      summary.interpreted = true;
    }
  }
  return true;
}

// Where the first segment's page goes.
u64 place_of(const Summary& summary, bool interpreted, Role role, const Places& places) {
  const u64 bytes = pages_to_bytes(bytes_to_pages(summary.all.end - summary.all.lowest));
  const u64 top = places.mmap_top.value();
  const u64 program = places.program.value() & ~(summary.align - 1);
  // Who needs no interpreter goes where there is room, as the interpreter does.
  if (role == Role::kProgram && (interpreted || fits(program, bytes, top))) {
    return program;
  }
  return bytes < top ? (top - bytes) & ~(summary.align - 1) : 0;
}

}  // namespace

Check check_header(const FileHeader& header, Role role) {
  static constexpr u8 kMagic[4] = {0x7f, 'E', 'L', 'F'};
  const bool good = std::memcmp(header.ident, kMagic, sizeof(kMagic)) == 0 &&
                    (runs(header) || role == Role::kInterpreter) && header.machine == kMachineX86 &&
                    header.program_header_bytes == sizeof(ProgramHeader) &&
                    header.program_header_count != 0 && header.program_header_count <= kMostProgramHeaders;
  return good ? Check::kGood : Check::kMalformed;
}

std::optional<PathInFile> interpreter_of(std::span<const ProgramHeader> headers) {
  const auto found = std::ranges::find(headers, kTypeInterpreter, &ProgramHeader::type);
  return found == headers.end() ? std::nullopt : std::optional(PathInFile{found->offset, found->file_bytes});
}

Layout check_program_headers(const FileHeader& header, std::span<const ProgramHeader> headers, Role role,
                             const Places& places) {
  Layout layout;
  Summary summary;
  if (!runs(header) || !summarize(header, headers, summary) || (role == Role::kInterpreter && !summary.any)) {
    return layout;
  }
  const Extent& all = summary.all;
  const bool interpreted = summary.interpreted && role == Role::kProgram;
  if (header.type == kTypeDyn && summary.any) {
    if (all.end == all.lowest) {
      return layout;
    }
    layout.bias = place_of(summary, interpreted, role, places) - summary.first;
  }
  // Where an interpreter begins, the program's entry is its affair.
  if (!summary.used.fits_at(layout.bias) || (!interpreted && header.entry + layout.bias >= kEnd)) {
    return layout;
  }
  layout.exec_stack = summary.exec_stack;
  layout.headers_at = summary.headers_at + layout.bias;
  if (summary.any) {
    layout.span = {Gva{all.lowest}, Gva{pages_to_bytes(bytes_to_pages(all.end))}};
  }
  layout.check = Check::kGood;
  return layout;
}

VaRange tail_of(std::span<const ProgramHeader> headers, u64 index) {
  const ProgramHeader& segment = headers[index];
  if (!has_zeros_behind_file(segment) || !segment_perm(segment).write()) {
    return {};
  }
  const Gva begin{segment.address + segment.file_bytes};
  const VaRange tail{begin, memory_of(segment).file.end};
  if (tail.empty()) {
    return {};
  }
  const bool replaced = std::ranges::any_of(headers.subspan(index + 1), [&](const ProgramHeader& later) {
    const SegmentMemory memory = memory_of(later);
    return later.type == kTypeLoad &&
           VaRange{memory.file.begin, memory.zeros.end}.overlaps({begin.page_base(), tail.end});
  });
  return replaced ? VaRange{} : tail;
}

}  // namespace nopte::guest::elf
