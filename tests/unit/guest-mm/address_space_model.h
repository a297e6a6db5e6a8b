// The model of an address space: one entry per page. For the random test, which holds spaces against it.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "guest-mm/core/address_space.h"

namespace nopte::guest {

inline constexpr u64 kTotalPages = 128;  // of the machine: bigger requests are refused
inline constexpr u64 kArenaPages = 192;  // where fixed mappings go
inline constexpr u64 kHeapPages = 96;    // above it
// Page numbers.
inline constexpr u64 kArena = 0x1'0000;
inline constexpr u64 kHeap = kArena + kArenaPages;
inline constexpr u64 kStack = kHeap + 0x4000;  // the end of a stack below which are some hundred free pages

constexpr Gva address(u64 page) { return Gva{pages_to_bytes(page)}; }
constexpr VaRange pages(u64 first, u64 count) { return VaRange::of_pages(address(first), count); }

struct ModelPage {
  Perm perm;
  Sharing sharing;
  ObjectId object;
  u64 object_page;
  u32 flags;
  Usage usage{};
  friend bool operator==(const ModelPage&, const ModelPage&) = default;
};

inline bool continues(const ModelPage& low, const ModelPage& high) {
  return low.perm == high.perm && low.sharing == high.sharing && low.object == high.object &&
         low.flags == high.flags && low.usage == high.usage &&
         (low.object == ObjectId::kNone || low.object_page + 1 == high.object_page);
}

struct Listed {
  RegionSpec spec;
  u32 flags;
  friend bool operator==(const Listed&, const Listed&) = default;
};

struct Model {
  std::map<u64, ModelPage> pages;
  Gva brk{};
  Usage unasked{};
  u32 forks = 0;  // that came before what is mapped now, as kVmaFork counts them

  // A page of new memory without a file; what may be written tells of forks.
  [[nodiscard]] ModelPage anonymous(Perm perm, u32 flags) const {
    return {perm, Sharing::kPrivate, ObjectId::kNone, 0, flags | (perm.write() ? forks : 0), unasked};
  }
  [[nodiscard]] bool any(u64 first, u64 count) const {
    const auto it = pages.lower_bound(first);
    return it != pages.end() && it->first < first + count;
  }
  [[nodiscard]] bool has(u64 page) const { return pages.contains(page); }
  void erase(u64 first, u64 count) {
    pages.erase(pages.lower_bound(first), pages.lower_bound(first + count));
  }
  // Pages [first, result) lie in the region that contains `first`.
  [[nodiscard]] u64 region_end(u64 first) const {
    auto it = pages.find(first);
    u64 end = first + 1;
    for (auto high = std::next(it);
         high != pages.end() && high->first == end && continues(it->second, high->second); it = high++) {
      ++end;
    }
    return end;
  }
  [[nodiscard]] std::vector<Listed> list() const {
    std::vector<Listed> out;
    const ModelPage* last = nullptr;
    for (const auto& [number, page] : pages) {
      if (last != nullptr && out.back().spec.range.end == address(number) && continues(*last, page)) {
        out.back().spec.range.end += kPageBytes;
      } else {
        out.push_back({{.range = nopte::guest::pages(number, 1),
                        .perm = page.perm,
                        .sharing = page.sharing,
                        .usage = page.usage,
                        .object = page.object,
                        .object_page = page.object_page},
                       page.flags});
      }
      last = &page;
    }
    return out;
  }
};

inline std::vector<Listed> listed(const AddressSpace& space) {
  std::vector<Listed> out;
  for (const RegionNode* node = space.tree().first(); node != nullptr; node = space.tree().next(*node)) {
    out.push_back({node->spec, node->tag});
  }
  return out;
}

}  // namespace nopte::guest
