#include "hv-mm/bundle.h"

#include <cstring>

namespace nopte::hv {
namespace {

constexpr u64 kHeaderBytes = 16;

struct PartEntry {
  char name[16];
  u64 offset;
  u64 bytes;

  [[nodiscard]] std::string_view name_view() const { return {name, name_bytes()}; }
  [[nodiscard]] u64 name_bytes() const {
    u64 length = 0;
    while (length < sizeof(name) && name[length] != 0) {
      ++length;
    }
    return length;
  }
};
static_assert(sizeof(PartEntry) == 32);

template <class T>
T load(std::span<const u8> bytes, u64 offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

PartEntry entry(std::span<const u8> bytes, u32 index) {
  return load<PartEntry>(bytes, kHeaderBytes + u64{index} * sizeof(PartEntry));
}

bool name_is_padded(const PartEntry& e) {
  for (u64 i = e.name_bytes(); i < sizeof(e.name); ++i) {
    if (e.name[i] != 0) {
      return false;
    }
  }
  return e.name[0] != 0;
}

bool overlap(const PartEntry& a, const PartEntry& b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

}  // namespace

const char* Bundle::message(Error error) {
  switch (error) {
    case Error::kTooShort:
      return "the bundle is shorter than its header";
    case Error::kMagic:
      return "the module is not a bundle (bad magic)";
    case Error::kVersion:
      return "unknown bundle version";
    case Error::kCount:
      return "the bundle's number of entries is out of bounds";
    case Error::kName:
      return "a bundle entry has a malformed name";
    case Error::kDuplicate:
      return "two bundle entries have the same name";
    case Error::kOffset:
      return "a bundle entry's offset is not page-aligned or lies in the header";
    case Error::kTruncated:
      return "a bundle entry reaches past the end: the bundle is truncated";
    case Error::kOverlap:
      return "two bundle entries overlap";
  }
  return "malformed bundle";
}

std::expected<Bundle, Bundle::Error> Bundle::parse(std::span<const u8> bytes) {
  using Bad = std::unexpected<Error>;
  if (bytes.size() < kHeaderBytes) {
    return Bad(Error::kTooShort);
  }
  if (std::memcmp(bytes.data(), kBundleMagic.data(), kBundleMagic.size()) != 0) {
    return Bad(Error::kMagic);
  }
  if (load<u32>(bytes, 8) != kBundleVersion) {
    return Bad(Error::kVersion);
  }
  const u32 count = load<u32>(bytes, 12);
  if (count == 0 || count > kBundleMaxEntries) {
    return Bad(Error::kCount);
  }
  const u64 header_end = kHeaderBytes + u64{count} * sizeof(PartEntry);
  if (bytes.size() < header_end) {
    return Bad(Error::kTooShort);
  }
  for (u32 i = 0; i < count; ++i) {
    const PartEntry e = entry(bytes, i);
    if (!name_is_padded(e)) {
      return Bad(Error::kName);
    }
    if (e.offset % kPageBytes != 0 || e.offset < header_end) {
      return Bad(Error::kOffset);
    }
    if (e.offset > bytes.size() || e.bytes > bytes.size() - e.offset) {
      return Bad(Error::kTruncated);
    }
    for (u32 j = 0; j < i; ++j) {
      const PartEntry other = entry(bytes, j);
      if (e.name_view() == other.name_view()) {
        return Bad(Error::kDuplicate);
      }
      if (overlap(e, other)) {
        return Bad(Error::kOverlap);
      }
    }
  }
  return Bundle(bytes, count);
}

Result<std::span<const u8>> Bundle::find(std::string_view name) const {
  for (u32 i = 0; i < count_; ++i) {
    const PartEntry e = entry(bytes_, i);
    if (e.name_view() == name) {
      return bytes_.subspan(e.offset, e.bytes);
    }
  }
  return Fail(Status::kInvalid);
}

}  // namespace nopte::hv
