#include "hv-mm/boot/linear_map.h"

#include <cstring>

#include "native-fallback/tables/descend.h"
#include "pvops/base/panic.h"

namespace nopte::hv {
namespace {

Result<u64> new_table(BootMemory& memory) {
  const auto table = memory.take_pages(1);
  if (table) {
    std::memset(memory.pointer(*table), 0, kPageBytes);
  }
  return table;
}

}  // namespace

Result<LinearMap> LinearMap::create(BootMemory& memory, pt::Privilege privilege) {
  const auto root = new_table(memory);
  if (!root) {
    return Fail(root.error());
  }
  return LinearMap(memory, privilege, *root);
}

Result<void> LinearMap::map(u64 va, u64 physical, u64 bytes, pt::Entry leaf, Leaf size) {
  const auto leaf_level = static_cast<unsigned>(size);
  const pt::Entry sized = size == Leaf::kLarge ? leaf.with(pt::Entry::kLarge) : leaf;
  for (u64 done = 0; done < bytes; done += leaf_bytes(size)) {
    const Gva at(va + done);
    u64 lowest = root_;
    const auto step = [&](u64& table, unsigned, unsigned index) {
      u8* const entries = memory_->pointer(table);
      pt::Entry entry = pt::load_entry(entries, index);
      if (!entry.present()) {
        const auto lower = new_table(*memory_);
        if (!lower) return false;
        entry = pt::Entry::table(pt::Frame::at(pt::PhysAddr(*lower)), privilege_);
        pt::store_entry(entries, index, entry);
      }
      NOPTE_ASSERT(!entry.large());
      table = entry.frame().address().value();
      return true;
    };
    if (!pt::descend<pt::FourLevel>(lowest, at, leaf_level, step)) return Fail(Status::kNoMemory);
    pt::store_entry(memory_->pointer(lowest), pt::table_index(at, leaf_level),
                    sized.with_frame(pt::Frame::at(pt::PhysAddr(physical + done))));
  }
  return {};
}

}  // namespace nopte::hv
