// An address space over a fake backend, for hosted tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "guest-mm/core/address_space.h"
#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {

inline constexpr Gva kPlace{0x1000'0000};
constexpr VaRange pages(u64 first, u64 count) {
  return VaRange::of_pages(kPlace + pages_to_bytes(first), count);
}

class AddressSpaceTest : public testing::Test {
 protected:
  AddressSpaceTest() { space = AddressSpace::create().value(); }
  ~AddressSpaceTest() override { check(); }

  using Specs = std::vector<RegionSpec>;
  static Specs list(const AddressSpace& of) {
    Specs specs;
    for (auto vma = of.at_or_after(Gva{0}); vma; vma = of.at_or_after(vma->range.end)) {
      specs.push_back(of.tree().find(vma->range.begin).value());
    }
    return specs;
  }
  // What the guest promised and what the backend was told are the same.
  void check() {
    if (!space) return;
    EXPECT_TRUE(space->tree().consistent());
    EXPECT_EQ(backend_view(list(*space)), fake.regions(space->id()));
  }
  // The backend does not know tags: regions that differ by them alone are one.
  static Specs backend_view(const Specs& specs) {
    Specs merged;
    for (const RegionSpec& spec : specs) {
      if (!merged.empty()) {
        RegionSpec expected = merged.back();
        expected.range = spec.range;
        if (spec.object != ObjectId::kNone) expected.object_page += merged.back().range.pages();
        if (merged.back().range.end == spec.range.begin && expected == spec) {
          merged.back().range.end = spec.range.end;
          continue;
        }
      }
      merged.push_back(spec);
    }
    return merged;
  }
  Result<Gva> map(u64 first, u64 count, Perm perm = kPermRW, u32 flags = 0) {
    return space->map({.hint = pages(first, count).begin,
                       .bytes = pages_to_bytes(count),
                       .perm = perm,
                       .placement = Placement::kFixed,
                       .flags = flags});
  }
  template <class T>
  static Status status(const Result<T>& result) {
    return result ? Status::kOk : result.error();
  }

  test::FakeMmOps fake{1 << 18};
  Ref<AddressSpace> space;
};

}  // namespace nopte::guest
