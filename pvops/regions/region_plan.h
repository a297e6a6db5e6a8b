// A change to a RegionTree that has been checked and holds the memory it needs: committing it cannot fail,
// dropping it changes nothing.
#pragma once

#include <array>
#include <utility>

#include "pvops/base/panic.h"
#include "pvops/regions/region_node.h"

namespace nopte {

class [[nodiscard]] RegionPlan {
  enum class Kind : u8 { kInsert, kUnmap, kReplace, kProtect, kUse, kMark, kMove };

 public:
  // RegionTree's alone: nobody else can name a kind. The range of every kind is spec.range.
  RegionPlan(Kind kind, u64 version, RegionNodeSource& source, const RegionSpec& spec)
      : kind_(kind), version_(version), spec_(spec), source_(&source) {}
  RegionPlan(RegionPlan&& other) noexcept
      : kind_(other.kind_),
        changes_(other.changes_),
        joins_below_(other.joins_below_),
        joins_above_(other.joins_above_),
        held_(std::exchange(other.held_, u16{0})),
        use_(other.use_),
        tag_(other.tag_),
        tag_mask_(other.tag_mask_),
        version_(other.version_),
        spec_(other.spec_),
        to_(other.to_),
        list_(other.list_),
        first_(other.first_),
        source_(other.source_),
        spares_(other.spares_) {}
  RegionPlan& operator=(RegionPlan&&) = delete;
  // A plan that was committed has used what it held, mostly.
  ~RegionPlan() {
    if (held_ != 0) [[unlikely]] {
      release_spares();
    }
  }

  // False when committing would leave the tree as it is (nothing mapped there, the rights are there
  // already): the caller may skip its call.
  [[nodiscard]] bool changes() const { return changes_; }
  // How many regions committing can add at most.
  [[nodiscard]] unsigned nodes_held() const { return held_; }
  // Turns a replacement into the unmap that it begins with.
  void only_unmap() {
    if (kind_ == Kind::kReplace) kind_ = Kind::kUnmap;
  }
  // kProtect, kUse, kMark: where the first page is that changes. Precondition: changes().
  [[nodiscard]] Gva changes_from() const { return to_; }

  // What the plan is about, less what limits have cut off.
  [[nodiscard]] VaRange range() const { return spec_.range; }

  // An owner whose work may end half way takes what a prefix needs before it begins, and commits that prefix.
  // Nothing more is needed where it begins with whole regions and takes them out. False: no memory; the plan
  // is as before. Not for kUse, kMark.
  [[nodiscard]] bool hold_for_prefix() {
    const bool cuts_in = first_->spec.range.begin < spec_.range.begin;
    const unsigned needed = kind_ != Kind::kProtect                      ? cuts_in
                            : cuts_in && first_->spec.perm != spec_.perm ? 2
                                                                         : 1;
    return held_ >= needed || reserve(needed - held_);
  }
  // The plan is now for the part of its range below `end`. Precondition: hold_for_prefix(), or a replacement
  // that only_unmap() made an unmap; `end` lies inside the range.
  void shorten(Gva end) { spec_.range.end = end; }

 private:
  friend class RegionTree;

  // Holds memory for `count` more nodes, at most kMostSpares in all. False: no memory.
  [[nodiscard]] bool reserve(unsigned count) {
    for (; count != 0; --count) {
      NOPTE_ASSERT(held_ < kMostSpares);
      void* const memory = source_->allocate();
      if (memory == nullptr) return false;
      spares_[held_++] = memory;
    }
    return true;
  }
  void* take() {
    NOPTE_ASSERT(held_ != 0);
    return spares_[--held_];
  }

  [[gnu::noinline, gnu::cold]] void release_spares() {
    while (held_ != 0) source_->release(take());
  }

  static constexpr unsigned kMostSpares = 2;

  Kind kind_;
  bool changes_ = true;
  bool joins_below_ = false;  // kInsert: the new region continues the one below
  bool joins_above_ = false;  // kInsert: first_ continues the new region
  u16 held_ = 0;              // how many spares_ there are
  UsageChange use_{};         // kUse
  u32 tag_ = 0;               // kMark: the new bits among tag_mask_
  u32 tag_mask_ = 0;          // kMark
  u64 version_;
  RegionSpec spec_;
  Gva to_{};  // kMove: the target; kProtect, kUse, kMark: where the first change is
  RegionList* list_ = nullptr;
  RegionNode* first_ = nullptr;  // the first region that ends after spec_.range.begin
  RegionNodeSource* source_;
  std::array<void*, kMostSpares> spares_;  // memory for nodes
};

}  // namespace nopte
