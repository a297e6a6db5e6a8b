// A change to a RegionTree that has been checked and holds the memory it needs: committing it cannot fail,
// dropping it changes nothing.
#pragma once

#include <array>
#include <utility>

#include "pvops/base/panic.h"
#include "pvops/regions/region_node.h"

namespace nopte {

class [[nodiscard]] RegionPlan {
  enum class Kind : u8 { kInsert, kUnmap, kReplace, kProtect, kMove };

 public:
  // RegionTree's alone: nobody else can name a kind.
  RegionPlan(Kind kind, u64 version, RegionNodeSource& source)
      : kind_(kind), version_(version), source_(&source) {}
  RegionPlan(RegionPlan&& other) noexcept
      : kind_(other.kind_),
        changes_(other.changes_),
        tag_(other.tag_),
        version_(other.version_),
        spec_(other.spec_),
        to_(other.to_),
        list_(other.list_),
        first_(other.first_),
        source_(other.source_),
        spares_(std::exchange(other.spares_, {})) {}
  RegionPlan& operator=(RegionPlan&&) = delete;
  ~RegionPlan() {
    // A plan that was committed has used what it held, mostly.
    for (const RegionNode* node : spares_) {
      if (node != nullptr) [[unlikely]] {
        release_spares();
        break;
      }
    }
  }

  // False when committing would leave the tree as it is (nothing mapped there, the rights are there
  // already): the caller may skip its call.
  [[nodiscard]] bool changes() const { return changes_; }
  // How many regions committing can add at most.
  [[nodiscard]] unsigned nodes_held() const {
    unsigned count = 0;
    for (const RegionNode* node : spares_) count += node != nullptr;
    return count;
  }
  // Turns a replacement into the unmap that it begins with.
  void only_unmap() {
    if (kind_ == Kind::kReplace) kind_ = Kind::kUnmap;
  }

 private:
  friend class RegionTree;

  // Holds `count` more nodes, at most kMostSpares in all. False: no memory.
  [[nodiscard]] bool reserve(unsigned count) {
    for (RegionNode*& node : spares_) {
      if (count == 0) return true;
      if (node != nullptr) continue;
      node = source_->allocate();
      if (node == nullptr) return false;
      --count;
    }
    return count == 0;
  }
  RegionNode* take() {
    for (RegionNode*& node : spares_) {
      if (node != nullptr) return std::exchange(node, nullptr);
    }
    NOPTE_PANIC("a region plan ran out of nodes");
  }

  [[gnu::noinline, gnu::cold]] void release_spares() {
    for (RegionNode*& node : spares_) {
      if (node != nullptr) source_->release(std::exchange(node, nullptr));
    }
  }

  static constexpr unsigned kMostSpares = 2;

  Kind kind_;
  bool changes_ = true;
  u32 tag_ = 0;
  u64 version_;
  RegionSpec spec_{};  // its range is the range of every kind
  Gva to_{};
  RegionList* list_ = nullptr;
  RegionNode* first_ = nullptr;  // the first region that ends after spec_.range.begin
  RegionNode* below_ = nullptr;  // kInsert: the region below, null for none
  bool joins_below_ = false;     // kInsert: the new region continues it
  bool joins_above_ = false;     // kInsert: the region above continues the new one
  RegionNodeSource* source_;
  std::array<RegionNode*, kMostSpares> spares_{};
};

}  // namespace nopte
