#include "hv-mm/nested/nested_tables.h"

namespace nopte::hv {

Result<u64> make_nested_tables(BootMemory& own, PhysicalSpan memory) {
  auto map = LinearMap::create(own, pt::Privilege::kUser);
  if (!map) return Fail(map.error());
  // The processor walks nested tables with user accesses.
  const pt::Entry leaf = pt::Entry::leaf(pt::Frame(), kPermRWX, pt::Privilege::kUser, Access::kWrite);
  NOPTE_TRY(map->map(0, memory.begin, memory.bytes, leaf));
  return map->root();
}

}  // namespace nopte::hv
