#include "pvops/regions/region_list.h"

#include <algorithm>
#include <iterator>

#include "pvops/base/work.h"
#include "pvops/regions/region_tree.h"

namespace nopte {

void RegionList::for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const {
  for (const RegionNode& node : regions_) {
    const VaRange part = shown(node, first_page, pages);
    if (!part.empty()) visit(node.tree->space(), part);
  }
}

bool RegionList::any(FunctionRef<bool(const RegionNode&)> which) const {
  for (const RegionNode& node : regions_) {
    if (which(node)) return true;
  }
  return false;
}

VaRange RegionList::shown(const RegionNode& node, u64 first_page, u64 pages) {
  const u64 past = pages > ~first_page ? ~u64{0} : first_page + pages;
  const u64 node_first = node.spec.object_page;
  const u64 node_past = node_first + node.spec.range.pages();
  const u64 low = node_first > first_page ? node_first : first_page;
  const u64 high = node_past < past ? node_past : past;
  if (low >= high) return {};
  return VaRange::of_pages(node.spec.range.begin + pages_to_bytes(low - node_first), high - low);
}

bool RegionList::visit(From from, u64 first_page, u64 pages,
                       FunctionRef<Stopped(SpaceId, VaRange)> step) const {
  if (from == From::kStart || disturbed_) {
    next_ = regions_.empty() ? nullptr : &regions_.front();
    next_page_ = first_page;
  }
  disturbed_ = false;
  for (; next_ != nullptr; next_ = after(*next_), next_page_ = first_page) {
    const u64 done = next_page_ > first_page ? std::min(next_page_ - first_page, pages) : 0;
    const VaRange part = shown(*next_, first_page + done, pages - done);
    if (const Stopped stopped = step(next_->tree->space(), part)) {
      // By page: what the region shows may be cut or grow at either end meanwhile.
      const RegionSpec& region = next_->spec;
      if (!part.empty()) next_page_ = region.object_page + (*stopped - region.range.begin) / kPageBytes;
      return false;
    }
    work::did(work::Unit::kRegion);
  }
  return true;
}

const RegionNode* RegionList::after(const RegionNode& node) const {
  const auto next = std::next(regions_.iterator_to(node));
  return next == regions_.end() ? nullptr : &*next;
}

void RegionList::step_over(const RegionNode& node) {
  next_ = after(node);
  next_page_ = 0;
}

}  // namespace nopte
