// region_move: promises and pages at another address.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void move_carries_contents(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(1, 11) == kOk);
  EXPECT(s.store(3, 13) == kOk);
  EXPECT(s.move(a, 0, 4, 600) == kOk);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(is(s.load(601), 11));
  EXPECT(is(s.load(602), 0));
  EXPECT(is(s.load(603), 13));
}
void move_of_a_part(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(page, page + 1) == kOk);
  EXPECT(s.move(a, 1, 2, 100) == kOk);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(is(s.load(100), 2));
  EXPECT(is(s.load(101), 3));
  EXPECT(is(s.warm_load(3), 4));
}
void move_and_back(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.move(a, 0, 2, 50) == kOk);
  EXPECT(s.move(a, 50, 2, 0) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(fails(s.load(50), kNoRegion));
}
void move_by_whole_tables(Scene& s) {
  const SpaceId a = s.create_active();
  constexpr u64 kFirst = Scene::kAligned + 512;
  EXPECT(s.map(a, kFirst, 1024) == kOk);
  EXPECT(s.store(kFirst, 1) == kOk);
  EXPECT(s.store(kFirst + 1023, 2) == kOk);
  EXPECT(s.move(a, kFirst, 1024, kFirst + 4096) == kOk);
  EXPECT(fails(s.load(kFirst), kNoRegion));
  EXPECT(is(s.load(kFirst + 4096), 1));
  EXPECT(is(s.load(kFirst + 4096 + 1023), 2));
  EXPECT(is(s.load(kFirst + 4096 + 5), 0));
}
void a_moved_page_is_still_copied_on_write(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.move(a, 0, 1, 40) == kOk);
  EXPECT(s.store(40, 2) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void moving_a_shared_mapping(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(2, 5) == kOk);
  EXPECT(s.move(a, 1, 3, 30) == kOk);
  EXPECT(is(s.load(31), 5));
  EXPECT(s.store(31, 6) == kOk);
  EXPECT(fails(s.load(2), kNoRegion));
  EXPECT(s.map_object(a, 60, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(62), 6));
}
void move_of_what_was_never_touched(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.move(a, 0, 2, 700) == kOk);
  EXPECT(fails(s.load(0), kNoRegion));
  EXPECT(s.store(701, 1) == kOk);
}
void move_to_the_next_pages_and_down_again(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 2) == kOk);
  EXPECT(s.store(2, 1) == kOk);
  EXPECT(s.store(3, 2) == kOk);
  EXPECT(s.move(a, 2, 2, 4) == kOk);
  EXPECT(fails(s.load(3), kNoRegion));
  EXPECT(is(s.load(4), 1));
  EXPECT(s.move(a, 4, 2, 2) == kOk);
  EXPECT(is(s.load(3), 2));
  EXPECT(fails(s.load(4), kNoRegion));
}
void move_keeps_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 2, kPermR) == kOk);
  EXPECT(s.move(a, 0, 2, 100) == kOk);
  EXPECT(is(s.load(100), 1));
  EXPECT(s.store(100, 2) == kPermission);
  EXPECT(s.store(101, 2) == kPermission);
}
void move_of_a_private_mapping(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 50, 4, o, 0, Sharing::kShared) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(50 + page, page + 1) == kOk);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 99) == kOk);
  EXPECT(is(s.load(2), 3));
  EXPECT(s.move(a, 1, 3, 600) == kOk);
  EXPECT(is(s.load(600), 99));
  EXPECT(is(s.load(601), 3));
  EXPECT(is(s.load(602), 4));
  EXPECT(s.store(601, 98) == kOk);
  EXPECT(is(s.load(52), 3));
}
void move_to_other_places_in_tables(Scene& s) {
  const SpaceId a = s.create_active();
  constexpr u64 kPages = 1100;
  EXPECT(s.map(a, 0, kPages) == kOk);
  for (u64 page = 0; page < kPages; page += 97) EXPECT(s.store(page, page + 1) == kOk);
  EXPECT(s.move(a, 0, kPages, 5003) == kOk);
  for (u64 page = 0; page < kPages; page += 97) EXPECT(is(s.load(5003 + page), page + 1));
  EXPECT(is(s.load(5003 + 1), 0));
  EXPECT(fails(s.load(97), kNoRegion));
}
void move_of_a_huge_range(Scene& s) {
  const SpaceId a = s.create_active();
  constexpr u64 kPages = u64{1} << 31;
  EXPECT(s.map(a, 0, kPages) == kOk);
  EXPECT(s.store(kPages - 1, 1) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.move(a, 0, kPages, 2 * kPages) == kOk);
  EXPECT(is(s.load(3 * kPages - 1), 1));
  EXPECT(s.free_pages() == before);
}
void move_to_where_something_was(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.map(a, 10, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(10, 2) == kOk);
  EXPECT(s.unmap(a, 10, 1) == kOk);
  EXPECT(s.move(a, 0, 1, 10) == kOk);
  EXPECT(is(s.load(10), 1));
}
void move_in_a_clone_leaves_the_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.move(b, 0, 2, 100) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(fails(s.load(100), kNoRegion));
  s.activate(b);
  EXPECT(is(s.load(100), 1));
  EXPECT(fails(s.load(0), kNoRegion));
}
void a_moved_mapping_still_loses_what_is_cut(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(3, 1) == kOk);
  EXPECT(s.move(a, 2, 2, 100) == kOk);
  EXPECT(is(s.load(101), 1));
  EXPECT(s.resize(o, 3) == kOk);
  EXPECT(fails(s.load(101), kPastEnd));
  EXPECT(is(s.load(100), 0));
}
void move_onto_a_region_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.map(a, 11, 1, kPermR) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.move(a, 0, 2, 10) == kOverlap);
  EXPECT(is(s.load(0), 1));
  EXPECT(fails(s.load(10), kNoRegion));
}
void move_onto_itself_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(3, 2) == kOk);
  EXPECT(s.move(a, 0, 4, 2) == kOverlap);
  EXPECT(s.move(a, 0, 4, 0) == kOverlap);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(3), 2));
  EXPECT(fails(s.load(4), kNoRegion));
}
void move_of_a_hole_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.move(a, 1, 1, 10) == kNoRegion);
  EXPECT(s.move(a, 0, 2, 10) == kNoRegion);
  EXPECT(is(s.load(0), 0));
}
void move_of_two_regions_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.map(a, 1, 1, kPermR) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.move(a, 0, 2, 10) == kNoRegion);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(fails(s.load(10), kNoRegion));
}
void move_of_a_malformed_range_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.move(a, 0, 0, 10) == kInvalid);
  EXPECT(s.move_range(a, Scene::span(0, 1), Scene::at(10) + 8) == kInvalid);
  EXPECT(s.move_range(a, VaRange::of_pages(Scene::at(0) + 8, 1), Scene::at(10)) == kInvalid);
  EXPECT(s.move_range(a, Scene::span(0, 2), kUserRange.end - kPageBytes) == kInvalid);
  EXPECT(s.move_range(a, Scene::span(0, 1), kWindowRange.begin) == kInvalid);
  EXPECT(s.move_range(a, Scene::span(0, 1), Gva(0)) == kInvalid);
  EXPECT(is(s.warm_load(0), 1));
}

constexpr Case kMoveCases[] = {
    CASE(move_carries_contents, region_move),
    CASE(move_of_a_part, region_move),
    CASE(move_and_back, region_move),
    CASE(move_by_whole_tables, region_move),
    CASE(a_moved_page_is_still_copied_on_write, region_move, space_clone),
    CASE(moving_a_shared_mapping, region_move),
    CASE(move_of_what_was_never_touched, region_move),
    CASE(move_to_the_next_pages_and_down_again, region_move),
    CASE(move_keeps_rights, region_move),
    CASE(move_of_a_private_mapping, region_move),
    CASE(move_to_other_places_in_tables, region_move),
    CASE(move_of_a_huge_range, region_move),
    CASE(move_to_where_something_was, region_move),
    CASE(move_in_a_clone_leaves_the_parent, region_move, space_clone),
    CASE(a_moved_mapping_still_loses_what_is_cut, region_move, object_resize),
    CASE(move_onto_a_region_is_refused, region_move),
    CASE(move_onto_itself_is_refused, region_move),
    CASE(move_of_a_hole_is_refused, region_move),
    CASE(move_of_two_regions_is_refused, region_move),
    CASE(move_of_a_malformed_range_is_refused, region_move),
};

}  // namespace

std::span<const Case> move_cases() { return kMoveCases; }

}  // namespace nopte::conformance
