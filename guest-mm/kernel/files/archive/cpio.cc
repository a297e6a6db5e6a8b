#include "guest-mm/kernel/files/archive/cpio.h"

#include <algorithm>
#include <cstring>

namespace nopte::guest::files {

namespace {

constexpr u64 kFields = 13;

constexpr u64 aligned(u64 offset) { return (offset + 3) & ~u64{3}; }

constexpr u64 each_byte(u64 value) { return value * 0x0101'0101'0101'0101; }

// Eight hexadecimal digits, the highest first, all at once; nothing when there is another byte among them.
// A byte's high bit is set where a sum says that the digit is at least, or above, what was compared.
std::optional<u32> eight_digits(const char* text) {
  u64 bytes = 0;
  __builtin_memcpy(&bytes, text, sizeof(bytes));
  constexpr u64 kHigh = each_byte(0x80);
  if ((bytes & kHigh) != 0) {
    return std::nullopt;
  }
  const auto at_least = [&](u64 value, u64 least) { return value + each_byte(0x80 - least); };
  const u64 lower = bytes | each_byte(0x20);
  const u64 digits = at_least(bytes, '0') & ~at_least(bytes, '9' + 1);
  const u64 letters = at_least(lower, 'a') & ~at_least(lower, 'f' + 1);
  if (((digits | letters) & kHigh) != kHigh) {
    return std::nullopt;
  }
  const u64 nibbles = (bytes & each_byte(0x0f)) + ((letters & kHigh) >> 7) * 9;
  const u64 pairs = __builtin_bswap64(nibbles);  // the first digit is the highest
  u32 value = 0;
  for (int digit = 0; digit < 8; ++digit) {
    value |= static_cast<u32>(pairs >> (8 * digit) & 0x0f) << (4 * digit);
  }
  return value;
}

bool parse_fields(const char* text, u32 (&fields)[kFields]) {
  for (u32& field : fields) {
    const std::optional<u32> value = eight_digits(text);
    if (!value) {
      return false;
    }
    field = *value;
    text += 8;
  }
  return true;
}

// Names that bring data to a page's beginning have thousands of zeros behind them.
bool is_zero(std::string_view bytes) {
  constexpr u64 kWords = 4;
  u64 words[kWords];
  for (; bytes.size() >= sizeof(words); bytes.remove_prefix(sizeof(words))) {
    __builtin_memcpy(words, bytes.data(), sizeof(words));
    if ((words[0] | words[1] | words[2] | words[3]) != 0) {
      return false;
    }
  }
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

const char* magic_problem(std::string_view magic) {
  if (magic == "070707" || (magic[0] == '\x71' && magic[1] == '\xc7')) {
    return "an old cpio format, not newc (use cpio -H newc)";
  }
  if (magic[0] == '\x1f' && magic[1] == '\x8b') {
    return "compressed (gzip): unpack it first";
  }
  return "no cpio newc header";
}

std::string_view plain_name(std::string_view name) {
  for (;;) {
    if (name.starts_with('/')) {
      name.remove_prefix(1);
    } else if (name.starts_with("./")) {
      name.remove_prefix(2);
    } else {
      return name == "." ? std::string_view() : name;
    }
  }
}

}  // namespace

std::expected<std::optional<CpioEntry>, const char*> CpioReader::next() {
  entry_ = next_;
  if (entry_ > bytes_ || bytes_ - entry_ < kHeaderBytes) {
    return std::unexpected(entry_ == 0 ? "shorter than one cpio header" : "truncated: no TRAILER!!! entry");
  }
  char header[kHeaderBytes];
  if (!read_(entry_, header, kHeaderBytes)) {
    return std::unexpected("cannot be read");
  }
  const std::string_view magic(header, 6);
  if (magic != "070701" && magic != "070702") {
    return std::unexpected(magic_problem(magic));
  }
  u32 fields[kFields];
  if (!parse_fields(header + 6, fields)) {
    return std::unexpected("a header field is not a hexadecimal number");
  }
  const auto [inode, mode, uid, gid, links, modified, data_bytes, major, minor, node_major, node_minor,
              name_bytes, checksum] = fields;
  if (name_bytes == 0 || name_bytes > kNameLimit) {
    return std::unexpected("a name of impossible length");
  }
  const u64 name_offset = entry_ + kHeaderBytes;
  if (bytes_ - name_offset < name_bytes) {
    return std::unexpected("truncated inside a name");
  }
  if (!read_(name_offset, name_, name_bytes)) {
    return std::unexpected("cannot be read");
  }
  if (name_[name_bytes - 1] != 0) {
    return std::unexpected("a name without its terminator");
  }
  const std::string_view name(name_, std::strlen(name_));
  if (!is_zero({name_ + name.size(), name_bytes - name.size()})) {
    return std::unexpected("a name with a terminator inside");
  }
  const u64 data_offset = aligned(name_offset + name_bytes);
  if (data_offset > bytes_ ? data_bytes != 0 : bytes_ - data_offset < data_bytes) {
    return std::unexpected("truncated inside a file's data");
  }
  if (name == "TRAILER!!!") {
    return std::nullopt;
  }
  next_ = aligned(data_offset + data_bytes);
  return CpioEntry{inode,
                   mode,
                   uid,
                   gid,
                   links,
                   modified,
                   major,
                   minor,
                   node_major,
                   node_minor,
                   plain_name(name),
                   data_offset,
                   data_bytes};
}

}  // namespace nopte::guest::files
