#include "pvops/regions/region_list.h"

#include "pvops/regions/region_tree.h"

namespace nopte {

void RegionList::for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const {
  const u64 past = pages > ~first_page ? ~u64{0} : first_page + pages;
  for (const RegionNode& node : regions_) {
    const u64 node_first = node.spec.object_page;
    const u64 node_past = node_first + node.spec.range.pages();
    const u64 low = node_first > first_page ? node_first : first_page;
    const u64 high = node_past < past ? node_past : past;
    if (low < high) {
      visit(node.tree->space(),
            VaRange::of_pages(node.spec.range.begin + pages_to_bytes(low - node_first), high - low));
    }
  }
}

}  // namespace nopte
