#include "hv-mm/xen/guest_pointers.h"

#include <algorithm>
#include <cstring>

#include "native-fallback/tables/descend.h"

namespace nopte::hv {

using pt::Entry;

// What the entry above the table of level `last` leads to, if it and all above it have these bits.
[[gnu::always_inline]] inline std::optional<u64> GuestPointers::walk(Gva va, unsigned last, u64 bits) const {
  if (!pt::canonical(va) || abi::xen::is_reserved_slot(pt::table_index(va, pt::kLevels))) return std::nullopt;
  u64 frame = types_.base();
  const auto step = [&](u64& table, unsigned, unsigned index) {
    const Entry entry = pt::load_entry(types_.frames().pointer(table), index);
    table = entry.frame().number();
    return (entry.word() & bits) == bits;
  };
  if (!pt::descend<pt::FourLevel>(frame, va, last, step)) return std::nullopt;
  return frame;
}

std::optional<u64> GuestPointers::leaf_table(Gva va) const { return walk(va, 1, Entry::kPresent); }

u8* GuestPointers::find(Gva va, Access access) const {
  const auto frame = walk(va, 0, Entry::kPresent | (access == Access::kWrite ? Entry::kWritable : 0));
  if (!frame) return nullptr;
  return types_.frames().pointer(*frame) + va.page_offset();
}

bool GuestPointers::read(Gva va, void* to, u64 bytes) const {
  for (u64 done = 0; done < bytes;) {
    const u64 chunk = std::min(bytes - done, kPageBytes - va.page_offset());
    const u8* const from = find(va, Access::kRead);
    if (from == nullptr) return false;
    std::memcpy(static_cast<u8*>(to) + done, from, chunk);
    done += chunk;
    va += chunk;
  }
  return true;
}

}  // namespace nopte::hv
