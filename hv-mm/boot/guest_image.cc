#include "hv-mm/boot/guest_image.h"

#include <cstring>

#include "pvops/mm_ops.h"

namespace nopte::hv {
namespace {

using Bad = std::unexpected<const char*>;

struct FileHeader {
  u8 ident[16];
  u16 type, machine;
  u32 version;
  u64 entry, program_headers, section_headers;
  u32 flags;
  u16 header_bytes, program_header_bytes, program_header_count;
  u16 section_header_bytes, section_header_count, section_names;
};
static_assert(sizeof(FileHeader) == 64);

struct ProgramHeader {
  u32 type, flags;
  u64 offset, va, physical, file_bytes, memory_bytes, align;
};
static_assert(sizeof(ProgramHeader) == 56);

constexpr u32 kTypeLoad = 1;
constexpr u32 kTypeInterpreter = 3;
constexpr u32 kTypeNote = 4;
constexpr u32 kFlagExec = 1;
constexpr u32 kFlagWrite = 2;
constexpr u32 kFlagRead = 4;
// Guest-physical addresses of an image lie where the boot tables reach.
constexpr u64 kPhysicalLimit = u64{1} << 30;

template <class T>
T load(std::span<const u8> bytes, u64 offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

const char* check_file_header(std::span<const u8> bytes) {
  if (bytes.size() < sizeof(FileHeader)) {
    return "the guest image is shorter than an ELF header";
  }
  const auto h = load<FileHeader>(bytes, 0);
  if (std::memcmp(h.ident, "\177ELF", 4) != 0) {
    return "the guest image is not an ELF file (bad magic)";
  }
  if (h.ident[4] != 2 || h.ident[5] != 1) {
    return "the guest image is not a 64-bit little-endian ELF file";
  }
  if (h.ident[6] != 1 || h.version != 1) {
    return "the guest image has an unknown ELF version";
  }
  if (h.type != 2) {
    return "the guest image is not an ELF executable (ET_EXEC)";
  }
  if (h.machine != 62) {
    return "the guest image is not for x86-64";
  }
  if (h.header_bytes != sizeof(FileHeader)) {
    return "the guest image has an odd ELF header size";
  }
  if (h.program_header_bytes != sizeof(ProgramHeader)) {
    return "the guest image has an odd program header size";
  }
  if (h.program_header_count == 0 || h.program_header_count == 0xffff) {
    return "the guest image's number of program headers is out of bounds";
  }
  const u64 table_bytes = u64{h.program_header_count} * sizeof(ProgramHeader);
  if (h.program_headers > bytes.size() || table_bytes > bytes.size() - h.program_headers) {
    return "the guest image's program headers reach past its end";
  }
  return nullptr;
}

std::expected<GuestSegment, const char*> check_segment(std::span<const u8> bytes, const ProgramHeader& h) {
  if (h.offset > bytes.size() || h.file_bytes > bytes.size() - h.offset) {
    return Bad("a segment of the guest image reaches past its end: the image is truncated");
  }
  if (h.file_bytes > h.memory_bytes) {
    return Bad("a segment of the guest image has more bytes in the file than in memory");
  }
  if (h.align != 0 && (h.align & (h.align - 1)) != 0) {
    return Bad("a segment of the guest image has an alignment that is no power of two");
  }
  if ((h.va ^ h.physical) & kPageMask) {
    return Bad("a segment of the guest image differs in its virtual and physical page offset");
  }
  const u64 image_bytes = kImageRange.bytes();
  if (h.va < kImageRange.begin.value() || h.memory_bytes > image_bytes ||
      h.va - kImageRange.begin.value() > image_bytes - h.memory_bytes) {
    return Bad("a segment of the guest image lies outside the image range");
  }
  if (h.memory_bytes > kPhysicalLimit || h.physical > kPhysicalLimit - h.memory_bytes) {
    return Bad("a segment of the guest image lies above 1 GiB of guest-physical memory");
  }
  if (!(h.flags & kFlagRead)) {
    return Bad("a segment of the guest image is not readable");
  }
  const u8 perm =
      Perm::kRead | (h.flags & kFlagWrite ? Perm::kWrite : 0) | (h.flags & kFlagExec ? Perm::kExec : 0);
  return GuestSegment{Gva(h.va),      h.physical, bytes.subspan(h.offset, h.file_bytes),
                      h.memory_bytes, Perm(perm), (h.flags & abi::kSegmentTranslation) != 0};
}

// Whole pages: two segments with different rights must not share one.
bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes) {
  const u64 a_end = (a + a_bytes + kPageMask) & ~kPageMask;
  const u64 b_end = (b + b_bytes + kPageMask) & ~kPageMask;
  return (a & ~kPageMask) < b_end && (b & ~kPageMask) < a_end;
}

// Looks for the entry note in one note segment; true when `entry` was filled.
std::expected<bool, const char*> find_entry_note(std::span<const u8> notes, abi::EntryNote& entry) {
  constexpr const char* kMalformed = "the guest image has a malformed note";
  constexpr char kName[] = "nopte";
  u64 at = 0;
  while (notes.size() - at >= 12) {
    const u64 name_bytes = load<u32>(notes, at);
    const u64 descriptor_bytes = load<u32>(notes, at + 4);
    const u32 type = load<u32>(notes, at + 8);
    at += 12;
    const u64 left = notes.size() - at;
    const u64 name_padded = (name_bytes + 3) & ~u64{3};
    const u64 descriptor_padded = (descriptor_bytes + 3) & ~u64{3};
    if (name_padded > left || descriptor_bytes > left - name_padded) {
      return Bad(kMalformed);
    }
    if (type == abi::kEntryNoteType && name_bytes == sizeof(kName) &&
        std::memcmp(notes.data() + at, kName, sizeof(kName)) == 0) {
      if (descriptor_bytes != sizeof(abi::EntryNote)) {
        return Bad(kMalformed);
      }
      entry = load<abi::EntryNote>(notes, at + name_padded);
      return true;
    }
    if (descriptor_padded > left - name_padded) {
      break;
    }
    at += name_padded + descriptor_padded;
  }
  return false;
}

}  // namespace

std::expected<GuestImage, const char*> GuestImage::parse(std::span<const u8> bytes) {
  if (const char* error = check_file_header(bytes)) {
    return Bad(error);
  }
  const auto header = load<FileHeader>(bytes, 0);
  GuestImage image;
  bool has_entry = false;
  for (u64 i = 0; i < header.program_header_count; ++i) {
    const auto h = load<ProgramHeader>(bytes, header.program_headers + i * sizeof(ProgramHeader));
    if (h.type == kTypeInterpreter) {
      return Bad("the guest image asks for an interpreter");
    }
    if (h.type == kTypeNote && !has_entry) {
      if (h.offset > bytes.size() || h.file_bytes > bytes.size() - h.offset) {
        return Bad("a note of the guest image reaches past its end");
      }
      const auto found = find_entry_note(bytes.subspan(h.offset, h.file_bytes), image.entry_);
      if (!found) {
        return Bad(found.error());
      }
      has_entry = *found;
    }
    if (h.type != kTypeLoad || h.memory_bytes == 0) {
      continue;
    }
    const auto segment = check_segment(bytes, h);
    if (!segment) {
      return Bad(segment.error());
    }
    if (image.count_ == kMaxSegments) {
      return Bad("the guest image has too many segments");
    }
    for (const GuestSegment& other : image.segments()) {
      if (overlap(segment->va.value(), segment->memory_bytes, other.va.value(), other.memory_bytes) ||
          overlap(segment->guest_physical, segment->memory_bytes, other.guest_physical, other.memory_bytes)) {
        return Bad("two segments of the guest image overlap");
      }
    }
    image.segments_[image.count_++] = *segment;
  }
  if (image.count_ == 0) {
    return Bad("the guest image has no loadable segment");
  }
  if (!has_entry) {
    return Bad("the guest image has no nopte entry note: it cannot start under this hypervisor");
  }
  for (const GuestSegment& segment : image.segments()) {
    const u64 entry = image.entry_.entry_va;
    if (segment.perm.exec() && !segment.translation && entry >= segment.va.value() &&
        entry - segment.va.value() < segment.memory_bytes) {
      return image;
    }
  }
  return Bad("the guest image's entry is not in an executable segment");
}

u64 GuestImage::physical_end() const {
  u64 end = 0;
  for (const GuestSegment& segment : segments()) {
    const u64 segment_end = segment.guest_physical + segment.memory_bytes;
    end = segment_end > end ? segment_end : end;
  }
  return end;
}

}  // namespace nopte::hv
