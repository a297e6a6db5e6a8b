#include "hv-mm/xen/guest_pointers.h"

#include <algorithm>
#include <cstring>

namespace nopte::hv {

using pt::Entry;

std::optional<u64> GuestPointers::leaf_table(Gva va) const {
  if (!pt::canonical(va) || pt::table_index(va, pt::kLevels) == abi::xen::kReservedSlot) return std::nullopt;
  u64 table = types_.base();
  for (unsigned level = pt::kLevels; level > 1; --level) {
    const Entry entry = pt::load_entry(types_.frames().window(table), pt::table_index(va, level));
    if (!entry.present()) return std::nullopt;
    table = entry.frame().number();
  }
  return table;
}

u8* GuestPointers::find(Gva va, Access access) const {
  if (!pt::canonical(va) || pt::table_index(va, pt::kLevels) == abi::xen::kReservedSlot) return nullptr;
  u64 frame = types_.base();
  u64 rights = Entry::kPresent | (access == Access::kWrite ? Entry::kWritable : 0);
  for (unsigned level = pt::kLevels; level != 0; --level) {
    const Entry entry = pt::load_entry(types_.frames().window(frame), pt::table_index(va, level));
    if ((entry.word() & rights) != rights) return nullptr;
    frame = entry.frame().number();
  }
  return types_.frames().window(frame) + va.page_offset();
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
