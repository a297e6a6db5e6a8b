// region_protect: rights given and taken, contents kept.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void read_only_refuses_writes(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 1) == kPermission);
}
void protect_takes_writing_away_at_once(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.store(0, 4) == kPermission);
  EXPECT(is(s.warm_load(0), 3));
}
void protect_gives_writing_back_warm(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.warm_store(0, 4) == kOk);
  EXPECT(is(s.warm_load(0), 4));
}
void protect_none_hides_and_keeps(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 2, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kPermission));
  EXPECT(s.store(1, 1) == kPermission);
  EXPECT(s.protect(a, 0, 2, kPermRW) == kOk);
  EXPECT(is(s.load(0), 3));
  EXPECT(is(s.load(1), 0));
}
void protect_of_the_middle(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, page) == kOk);
  EXPECT(s.protect(a, 1, 1, kPermR) == kOk);
  EXPECT(s.warm_store(0, 9) == kOk);
  EXPECT(s.store(1, 9) == kPermission);
  EXPECT(s.warm_store(2, 9) == kOk);
}
void protect_before_the_first_touch(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kPermission));
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(1, 1) == kPermission);
}
void protect_over_a_boundary_of_regions(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2, kPermR) == kOk);
  EXPECT(s.map(a, 2, 2, kPermRW) == kOk);
  EXPECT(s.protect(a, 1, 2, kPermRW) == kOk);
  EXPECT(s.store(0, 1) == kPermission);
  for (u64 page = 1; page < 4; ++page) EXPECT(s.store(page, 1) == kOk);
}

constexpr Case kProtectCases[] = {
    VIOLATION_CASE(read_only_refuses_writes),
    CASE(protect_takes_writing_away_at_once, region_protect),
    CASE(protect_gives_writing_back_warm, region_protect),
    CASE(protect_none_hides_and_keeps, region_protect),
    CASE(protect_of_the_middle, region_protect),
    CASE(protect_before_the_first_touch, region_protect),
    CASE(protect_over_a_boundary_of_regions, region_protect),
};

}  // namespace

std::span<const Case> protect_cases() { return kProtectCases; }

}  // namespace nopte::conformance
