// The cpio "newc" archive format, as an initramfs has it. Pure: reads through a callback, trusts nothing.
//
//   header (110 bytes: magic 070701 or 070702, 13 fields of 8 hex digits), name with its terminator or
//   several, by which archives bring data to a page's beginning, padding to 4, data, padding to 4; ends with
//   the entry TRAILER!!!
//
// Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5).
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "pvops/base/function_ref.h"
#include "pvops/base/types.h"

namespace nopte::guest::files {

struct CpioEntry {
  u32 inode, mode, uid, gid, links, modified_s;
  u32 device_major, device_minor, node_major, node_minor;
  std::string_view name;  // without leading "/", "./" and the zeros behind it; valid until the next call
  u64 data_offset;        // in the archive; the data lies wholly inside
  u64 data_bytes;
};

class CpioReader {
 public:
  static constexpr u64 kHeaderBytes = 110;
  static constexpr u64 kNameLimit = 4096;  // with the terminator

  // False: that part of the archive cannot be read.
  using ReadBytes = FunctionRef<bool(u64 offset, void* to, u64 bytes)>;

  CpioReader(u64 archive_bytes, ReadBytes read) : bytes_(archive_bytes), read_(read) {}

  // The next entry, or nothing after the trailer, or what is wrong with the archive.
  std::expected<std::optional<CpioEntry>, const char*> next();
  // Where the entry that next() spoke of last begins.
  [[nodiscard]] u64 entry_offset() const { return entry_; }

 private:
  u64 bytes_;
  ReadBytes read_;
  u64 entry_ = 0;
  u64 next_ = 0;
  char name_[kNameLimit];
};

}  // namespace nopte::guest::files
