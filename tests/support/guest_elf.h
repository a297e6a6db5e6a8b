// A guest image as a file: two segments, of one page and of three, the second the translation layer's, and
// the note of the entry.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "hv-mm/boot/guest_image.h"

namespace nopte::hv::testing {

class GuestElf {
 public:
  static constexpr u64 kBase = 0xffff'ffff'8010'0000;  // where it is linked
  static constexpr u64 kPages = 4;
  static constexpr u64 kHeaders = 64;

  // Field positions in a program header.
  enum : u64 {
    kType = 0,
    kFlags = 4,
    kOffset = 8,
    kVa = 16,
    kPhysical = 24,
    kFileBytes = 32,
    kMemoryBytes = 40,
    kAlign = 48
  };

  explicit GuestElf(u64 physical = 0x10'0000) : bytes_(0x4000) {
    const u8 ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    std::memcpy(bytes_.data(), ident, 16);
    put16(16, 2), put16(18, 62), put32(20, 1), put64(24, kBase), put64(32, kHeaders);
    put16(52, 64), put16(54, 56), put16(56, 3);
    header(0, 1, 5, 0x1000, kBase, physical, 0x800, 0x1000);
    header(1, 1, 0x10'0006, 0x2000, kBase + 0x1000, physical + 0x1000, 0x1000, 0x3000);
    header(2, 4, 4, 0x3000, 0, 0, 40, 40);
    put32(0x3000, 6), put32(0x3004, 16), put32(0x3008, 1);
    std::memcpy(bytes_.data() + 0x300c, "nopte\0\0", 8);
    put64(0x3014, kBase + 0x20), put64(0x301c, physical + 0x1000);
  }
  void put16(u64 at, u16 value) { std::memcpy(bytes_.data() + at, &value, 2); }
  void put32(u64 at, u32 value) { std::memcpy(bytes_.data() + at, &value, 4); }
  void put64(u64 at, u64 value) { std::memcpy(bytes_.data() + at, &value, 8); }
  void segment32(u64 index, u64 field, u32 value) { put32(kHeaders + index * 56 + field, value); }
  void segment64(u64 index, u64 field, u64 value) { put64(kHeaders + index * 56 + field, value); }
  std::vector<u8>& bytes() { return bytes_; }

  [[nodiscard]] std::string error() const {
    const auto image = GuestImage::parse(bytes_);
    return image ? "" : image.error();
  }

 private:
  void header(u64 index, u32 type, u32 flags, u64 offset, u64 va, u64 physical, u64 file, u64 memory) {
    segment32(index, kType, type), segment32(index, kFlags, flags), segment64(index, kOffset, offset);
    segment64(index, kVa, va), segment64(index, kPhysical, physical), segment64(index, kFileBytes, file);
    segment64(index, kMemoryBytes, memory), segment64(index, kAlign, 0x1000);
  }
  std::vector<u8> bytes_;
};

}  // namespace nopte::hv::testing
