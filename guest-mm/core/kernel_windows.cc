#include "guest-mm/core/kernel_windows.h"

#include <algorithm>
#include <bit>
#include <new>

#include "guest-mm/core/region_nodes.h"

namespace nopte::guest {

namespace {

// A fresh window has room for this many pages at least: address space is free, moving is not.
constexpr u64 kLeastPages = 16;

struct KernelSpace {
  GapIndex gaps;
  RegionTree tree{kWindowRange, heap_region_nodes(), &gaps};
};
// Never destroyed: the kernel does not end.
alignas(KernelSpace) constinit char g_storage[sizeof(KernelSpace)]{};
constinit KernelSpace* g_kernel_space = nullptr;

RegionSpec window_spec(const MemoryObject& object, VaRange range, u64 first_page) {
  return {.range = range,
          .perm = kPermRW,
          .sharing = Sharing::kShared,
          .object = object.id(),
          .object_page = first_page};
}

Result<void> map_window(MemoryObject& object, VaRange range, u64 first_page) {
  const RegionSpec spec = window_spec(object, range, first_page);
  auto plan = kernel_window_tree().prepare_insert(spec, 0, &object);
  if (!plan) return Fail(plan.error());
  NOPTE_TRY(mm_ops().region_map(SpaceId::kKernel, spec, 0));
  kernel_window_tree().commit(*plan);
  return {};
}

// A window is one region: taking it out needs no memory.
void unmap_window(VaRange range) {
  auto plan = kernel_window_tree().prepare_unmap(range);
  if (plan && mm_ops().region_unmap(SpaceId::kKernel, range)) kernel_window_tree().commit(*plan);
}

}  // namespace

RegionTree& kernel_window_tree() {
  if (g_kernel_space == nullptr) g_kernel_space = ::new (static_cast<void*>(g_storage)) KernelSpace;
  return g_kernel_space->tree;
}

const RegionSource& kernel_regions() { return kernel_window_tree(); }

Result<void> KernelWindow::open(MemoryObject& object) {
  if (is_open() && object.pages() <= range_.pages()) return {};
  NOPTE_TRY(object.materialize());
  const u64 wanted = std::max(kLeastPages, std::bit_ceil(object.pages() + object.pages() / 2));
  if (is_open()) {
    // In place when the addresses above are free.
    const VaRange more{range_.end, range_.begin + pages_to_bytes(wanted)};
    if (kWindowRange.contains(more) && kernel_window_tree().free(more)) {
      NOPTE_TRY(map_window(object, more, range_.pages()));
      range_.end = more.end;
      return {};
    }
  }
  const auto at = kernel_window_tree().find_gap(kWindowRange, wanted);
  if (!at) return Fail(at.error());
  const VaRange range = VaRange::of_pages(*at, wanted);
  NOPTE_TRY(map_window(object, range, 0));
  close();
  range_ = range;
  return {};
}

void KernelWindow::close() {
  if (!is_open()) return;
  const VaRange range = range_;
  range_ = {};  // the object may end here, and with it the window's owner
  unmap_window(range);
}

void KernelWindow::populate(u64 offset_bytes, u64 bytes, Access access) {
  if (bytes == 0 || offset_bytes >= range_.bytes()) return;
  const u64 end_bytes = offset_bytes + std::min(bytes, range_.bytes() - offset_bytes);
  const VaRange pages = VaRange::of_pages(range_.begin + (offset_bytes & ~kPageMask),
                                          bytes_to_pages(end_bytes) - (offset_bytes >> kPageShift));
  // A shortage shows when the page is touched.
  (void)mm_ops().region_advise(SpaceId::kKernel, pages,
                               access == Access::kWrite ? Advice::kPopulate : Advice::kWillNeed);
}

}  // namespace nopte::guest
