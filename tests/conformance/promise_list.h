// The promises of one space, ordered by address: the list that a caller of MmOps keeps. Written apart from
// pvops/regions, and simply, because the cases hold that against it.
#pragma once

#include <array>
#include <span>

#include "pvops/region_spec.h"

namespace nopte::conformance {

class PromiseList final : public RegionSource {
 public:
  static constexpr u64 kMost = 48;
  using RegionSource::find;
  [[nodiscard]] std::optional<RegionSpec> find(Gva va, RegionHint&) const override;
  [[nodiscard]] std::optional<RegionSpec> find_next(Gva va) const override;
  [[nodiscard]] std::span<const RegionSpec> list() const { return {specs_.data(), count_}; }
  void add(const RegionSpec& spec);
  void cut(VaRange range);  // takes out what lies in range, splitting at its ends
  void set_perm(VaRange range, Perm perm);
  void set_usage(VaRange range, UsageChange change);
  void move(VaRange from, Gva to);  // `from` lies in one region
  void clear() { count_ = 0; }
  void copy(const PromiseList& other) { specs_ = other.specs_, count_ = other.count_; }

 private:
  void split_at(Gva va);
  std::array<RegionSpec, kMost> specs_{};
  u64 count_ = 0;
};

}  // namespace nopte::conformance
