// The guest's ELF image, checked field by field before anything of it is used: loadable segments and the
// note that announces the 64-bit entry (pvops/abi/boot_block.h). Source: System V ABI, chapter 5 (ELF64).
#pragma once

#include <array>
#include <span>

#include "pvops/abi/boot_block.h"
#include "pvops/base/addr.h"
#include "pvops/base/perm.h"
#include "pvops/base/result.h"

namespace nopte::hv {

// A loadable segment: file_bytes from the image, then zeros up to memory_bytes.
struct GuestSegment {
  Gva va;
  u64 guest_physical = 0;
  std::span<const u8> file;
  u64 memory_bytes = 0;  // >= file.size(), not 0
  Perm perm;
  bool translation = false;  // holds the translation layer: left out in mode vma
};

class GuestImage {
 public:
  static constexpr u64 kMaxSegments = 16;

  // Checks headers, segments and note. Rules beyond ELF's: ELF64, little endian, x86-64, ET_EXEC; segments'
  // addresses page-congruent with nothing wrapping around, virtual ranges in kImageRange and disjoint,
  // physical ranges disjoint; entry_va in an executable segment. The error is a message for the user. The
  // bytes must outlive the image.
  [[nodiscard]] static std::expected<GuestImage, const char*> parse(std::span<const u8> bytes);

  [[nodiscard]] std::span<const GuestSegment> segments() const { return {segments_.data(), count_}; }
  [[nodiscard]] const abi::EntryNote& entry() const { return entry_; }
  // The highest guest-physical address that a segment takes, exclusive.
  [[nodiscard]] u64 physical_end() const;

 private:
  GuestImage() = default;

  std::array<GuestSegment, kMaxSegments> segments_{};
  u64 count_ = 0;
  abi::EntryNote entry_{};
};

}  // namespace nopte::hv
