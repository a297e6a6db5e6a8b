// What a processor keeps of the tables that one address space identifier runs on (ASID; 0 is the host's or a
// machine's without guests): translations by page, and entries of the levels above in its paging-structure
// caches. Nothing is tagged by the root: who loads another one asks for what has to be forgotten.
//
// Forgotten is what both makers' manuals promise, and nothing else:
//
//   INVLPG        the page, global or not, and the entries on its way. (Intel drops all entries of its kind,
//                 SDM vol. 3A, 4.10.4.1; so does AMD, but with EFER.TCE only those: APM vol. 2, 3.1.7.)
//   a page fault  the same for the address that faulted (SDM 4.10.4.1; APM 5.5.3)
//   INVLPGA       the page, under the ASID that it names; of entries above the manual says nothing (APM 3)
//   MOV to CR3    all but global pages; all entries above (SDM 4.10.4.1; APM 5.5.3)
//   CR4.PGE       everything
//   tlb_control   at VMRUN (APM 15.16): everything, or as MOV to CR3
#pragma once

#include <array>
#include <optional>
#include <unordered_map>

#include "native-fallback/frames/phys.h"
#include "native-fallback/tables/entry.h"
#include "pvops/mm_ops.h"

namespace nopte::model {

using pt::Frame;

// A finished walk.
struct Walk {
  Frame frame;
  Perm perm;
  bool user;
  bool global;
  bool dirty;
  bool large = false;  // of all that one entry for leaf tables maps, from its first frame on
};

// An entry above the leaves: the table that it leads to, and what all entries down to it allow.
struct Way {
  u64 table;
  Perm perm;
  bool user;
};

inline constexpr unsigned kMostLevels = 5;

// The entries above the leaf on the way to one address, by level.
struct Ways {
  std::array<std::optional<Way>, kMostLevels + 1> at{};

  // The level of the lowest that is known, or 0.
  [[nodiscard]] unsigned lowest() const {
    for (unsigned level = 2; level <= kMostLevels; ++level) {
      if (at[level]) return level;
    }
    return 0;
  }
};

class Tlb {
 public:
  // `leaf_table_shift`: addresses that are equal above this bit have their leaves in one table. Each level
  // has nine bits more; where a level has more than that, it is the only one above the leaves.
  explicit Tlb(unsigned leaf_table_shift) : leaf_table_shift_(leaf_table_shift) {}

  // By a translation of the page alone or, first, by a large one: a processor may use either.
  [[nodiscard]] std::optional<Walk> page(Gva va) const {
    if (const auto known = large_.find(part(va, 2)); known != large_.end()) {
      Walk walk = known->second;
      walk.frame = walk.frame + offset(va);
      return walk;
    }
    const auto known = pages_.find(va.page());
    if (known == pages_.end()) return std::nullopt;
    return known->second;
  }
  [[nodiscard]] Ways ways(Gva va) const {
    Ways found;
    for (unsigned level = 2; level <= kMostLevels; ++level) {
      const auto known = ways_[level].find(part(va, level));
      if (known != ways_[level].end()) found.at[level] = known->second;
    }
    return found;
  }
  void keep(Gva va, const Walk& walk, const Ways& ways) {
    if (walk.large) {
      Walk& large = large_[part(va, 2)] = walk;
      large.frame = Frame(walk.frame.number() - offset(va));
    } else {
      pages_[va.page()] = walk;
    }
    for (unsigned level = 2; level <= kMostLevels; ++level) {
      if (ways.at[level]) ways_[level][part(va, level)] = *ways.at[level];
    }
  }

  void forget_page(Gva va) {
    pages_.erase(va.page());
    large_.erase(part(va, 2));
  }
  void forget_way(Gva va) {
    forget_page(va);
    for (unsigned level = 2; level <= kMostLevels; ++level) ways_[level].erase(part(va, level));
  }
  void forget_all_but_global() {
    std::erase_if(pages_, [](const auto& item) { return !item.second.global; });
    std::erase_if(large_, [](const auto& item) { return !item.second.global; });
    for (auto& level : ways_) level.clear();
  }
  void forget_everything() {
    pages_.clear();
    large_.clear();
    for (auto& level : ways_) level.clear();
  }

  // visit(va, walk) for each translation, with its first address; visit(va, level, way) for each entry above,
  // with its first address.
  template <class Visit>
  void for_each_page(Visit visit) const {
    for (const auto& [page, walk] : pages_) visit(Gva(page << kPageShift), walk);
    for (const auto& [part, walk] : large_) visit(Gva(part << leaf_table_shift_), walk);
  }
  template <class Visit>
  void for_each_way(Visit visit) const {
    for (unsigned level = 2; level <= kMostLevels; ++level) {
      for (const auto& [part, way] : ways_[level]) visit(Gva(part << shift(level)), level, way);
    }
  }

 private:
  [[nodiscard]] unsigned shift(unsigned level) const { return leaf_table_shift_ + 9 * (level - 2); }
  [[nodiscard]] u64 part(Gva va, unsigned level) const { return va.value() >> shift(level); }
  // In pages, from where a large translation begins.
  [[nodiscard]] u64 offset(Gva va) const {
    return va.page() & ((u64{1} << (leaf_table_shift_ - kPageShift)) - 1);
  }

  unsigned leaf_table_shift_;
  std::unordered_map<u64, Walk> pages_;                             // by page number
  std::unordered_map<u64, Walk> large_;                             // as ways_[2]
  std::array<std::unordered_map<u64, Way>, kMostLevels + 1> ways_;  // by address above the level's bits
};

}  // namespace nopte::model
