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
void protect_over_a_hole_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.map(a, 2, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 3, kPermR) == kNoRegion);
  EXPECT(s.protect(a, 2, 2, kPermR) == kNoRegion);
  EXPECT(s.warm_store(0, 2) == kOk);
  EXPECT(s.store(2, 2) == kOk);
}
void protect_to_what_it_is_changes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 2, kPermRW) == kOk);
  EXPECT(s.warm_store(0, 2) == kOk);
}
void protect_lets_what_was_only_read_be_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2, kPermR) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.protect(a, 0, 2, kPermRW) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(is(s.load(1), 0));
}
void protect_does_not_end_copy_on_write(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 2) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void protect_does_not_let_private_writes_reach_the_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 1, o, 0, Sharing::kPrivate, kPermR) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(is(s.load(10), 1));
  EXPECT(s.protect(a, 10, 1, kPermRW) == kOk);
  // No TLB remembers that it was read-only.
  s.activate(SpaceId::kKernel);
  s.activate(a);
  EXPECT(s.store(10, 2) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.warm_load(10), 2));
}
void protect_none_keeps_object_pages_and_private_copies(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 2, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(2, 2) == kOk);
  EXPECT(is(s.load(3), 0));
  EXPECT(s.protect(a, 0, 4, kPermNone) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(fails(s.load(page), kPermission));
  EXPECT(s.protect(a, 0, 4, kPermR) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(2), 2));
  EXPECT(is(s.load(3), 0));
}
void protect_of_one_mapping_leaves_the_other(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(10, 2) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.store(0, 3) == kPermission);
  EXPECT(s.warm_store(10, 4) == kOk);
  EXPECT(is(s.warm_load(0), 4));
}
void protect_in_a_clone_is_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.protect(b, 0, 1, kPermNone) == kOk);
  EXPECT(s.store(0, 2) == kOk);
  s.activate(b);
  EXPECT(fails(s.load(0), kPermission));
}
void protect_gives_and_takes_execution(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermRWX) == kOk);
  EXPECT(s.store(0, kTrapCode) == kOk);
  EXPECT(s.execute(0) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.execute(0) == kPermission);
  EXPECT(s.protect(a, 0, 1, kPermRX) == kOk);
  EXPECT(s.execute(0) == kOk);
  EXPECT(s.store(0, 1) == kPermission);
}
void protect_across_tables(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1200) == kOk);
  for (u64 page : {0, 1, 600, 1198, 1199}) EXPECT(s.store(page, page) == kOk);
  EXPECT(s.protect(a, 1, 1198, kPermR) == kOk);
  EXPECT(s.warm_store(0, 1) == kOk);
  for (u64 page : {1, 600, 1198}) EXPECT(s.store(page, 9) == kPermission);
  EXPECT(s.warm_store(1199, 1) == kOk);
  EXPECT(is(s.warm_load(600), 600));
}
void protect_of_a_huge_range(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, u64{1} << 32) == kOk);
  EXPECT(s.store(7, 1) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.protect(a, 0, u64{1} << 32, kPermR) == kOk);
  EXPECT(s.free_pages() == before);
  EXPECT(s.store(7, 1) == kPermission);
  EXPECT(s.store(u64{1} << 31, 1) == kPermission);
}
void protect_of_a_malformed_range_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 0, kPermR) == kInvalid);
  EXPECT(s.protect_range(a, VaRange::of_pages(Scene::at(0) + 8, 1), kPermR) == kInvalid);
  EXPECT(s.protect_range(a, {Scene::at(0), Gva(0)}, kPermR) == kInvalid);
  EXPECT(s.protect_range(a, VaRange::of_pages(kKmemRange.begin, 1), kPermR) == kInvalid);
  EXPECT(s.warm_store(0, 2) == kOk);
}

constexpr Case kProtectCases[] = {
    VIOLATION_CASE(read_only_refuses_writes),
    CASE(protect_takes_writing_away_at_once, region_protect),
    CASE(protect_gives_writing_back_warm, region_protect),
    CASE(protect_none_hides_and_keeps, region_protect),
    CASE(protect_of_the_middle, region_protect),
    CASE(protect_before_the_first_touch, region_protect),
    CASE(protect_over_a_boundary_of_regions, region_protect),
    CASE(protect_over_a_hole_is_refused, region_protect),
    CASE(protect_to_what_it_is_changes_nothing, region_protect),
    CASE(protect_lets_what_was_only_read_be_written, region_protect),
    CASE(protect_does_not_end_copy_on_write, region_protect, space_clone),
    CASE(protect_does_not_let_private_writes_reach_the_object, region_protect),
    CASE(protect_none_keeps_object_pages_and_private_copies, region_protect),
    CASE(protect_of_one_mapping_leaves_the_other, region_protect),
    CASE(protect_in_a_clone_is_its_own, region_protect, space_clone),
    CASE(protect_gives_and_takes_execution, region_protect),
    CASE(protect_across_tables, region_protect),
    CASE(protect_of_a_huge_range, region_protect),
    CASE(protect_of_a_malformed_range_is_refused, region_protect),
};

}  // namespace

std::span<const Case> protect_cases() { return kProtectCases; }

}  // namespace nopte::conformance
