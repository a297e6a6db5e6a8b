// The bundle: PVH hands over one module, so the guest image and its initramfs travel in one file.
//
//   offset 0   char magic[8]    "NOPTEBUN"
//          8   u32  version     1
//         12   u32  count       1 to 16
//         16   count entries of 32 bytes:
//                char name[16]  padded with zeros, at least one byte, unique: "guest", "initramfs"
//                u64  offset    from the start of the bundle, a multiple of 4096, behind the entries
//                u64  bytes     may be 0
//   payloads, in any order, not overlapping; what lies between them is ignored.
//
// All numbers are little endian. The bundle is input: nothing in it is believed before it is checked.
#pragma once

#include <span>
#include <string_view>

#include "pvops/base/result.h"

namespace nopte::hv {

inline constexpr std::string_view kBundleMagic = "NOPTEBUN";
inline constexpr u32 kBundleVersion = 1;
inline constexpr u32 kBundleMaxEntries = 16;

class Bundle {
 public:
  // What is wrong with a bundle; each has a message for the user.
  enum class Error : u8 {
    kTooShort,
    kMagic,
    kVersion,
    kCount,
    kName,
    kDuplicate,
    kOffset,
    kTruncated,
    kOverlap
  };
  [[nodiscard]] static const char* message(Error error);

  // Checks every field. The bytes must outlive the Bundle.
  [[nodiscard]] static std::expected<Bundle, Error> parse(std::span<const u8> bytes);

  // The payload of that name. Errors: kInvalid when there is none.
  [[nodiscard]] Result<std::span<const u8>> find(std::string_view name) const;

 private:
  explicit Bundle(std::span<const u8> bytes, u32 count) : bytes_(bytes), count_(count) {}

  std::span<const u8> bytes_;
  u32 count_;
};

}  // namespace nopte::hv
