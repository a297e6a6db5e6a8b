// What a RegionTree must hold, told page by page: the model of region_tree_model_test.cc.
#pragma once

#include <absl/container/btree_map.h>

#include <vector>

#include "pvops/regions/region_tree.h"

namespace nopte::test {

inline constexpr u64 kPages = 192;
inline constexpr VaRange kBounds{Gva{0x40'0000}, Gva{0x40'0000 + kPages * kPageBytes}};

// What a page shows.
struct ModelPage {
  Perm perm;
  Sharing sharing;
  Usage usage;
  u32 object;  // 0: anonymous
  u64 object_page;
  u32 tag;
  friend bool operator==(const ModelPage&, const ModelPage&) = default;
};
using Model = absl::btree_map<u64, ModelPage>;  // by page index from kBounds.begin

struct Listed {
  RegionSpec spec;
  u32 tag;
  friend bool operator==(const Listed&, const Listed&) = default;
};

// The canonical list: maximal runs of pages that continue.
inline std::vector<Listed> listed(const Model& model) {
  std::vector<Listed> list;
  for (const auto& [index, page] : model) {
    const Gva at = kBounds.begin + pages_to_bytes(index);
    if (!list.empty()) {
      Listed& last = list.back();
      const bool anonymous = page.object == 0;
      if (last.spec.range.end == at && last.tag == page.tag && last.spec.perm == page.perm &&
          last.spec.sharing == page.sharing && last.spec.usage == page.usage &&
          last.spec.object == ObjectId{page.object} &&
          (anonymous || last.spec.object_page + last.spec.range.pages() == page.object_page)) {
        last.spec.range.end += kPageBytes;
        continue;
      }
    }
    list.push_back({{.range = VaRange::of_pages(at, 1),
                     .perm = page.perm,
                     .sharing = page.sharing,
                     .usage = page.usage,
                     .object = ObjectId{page.object},
                     .object_page = page.object_page},
                    page.tag});
  }
  return list;
}

inline std::vector<Listed> listed(const RegionTree& tree) {
  std::vector<Listed> list;
  for (const RegionNode* node = tree.first(); node != nullptr; node = tree.next(*node)) {
    list.push_back({node->spec, node->tag});
  }
  return list;
}

}  // namespace nopte::test
