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

constexpr Case kMoveCases[] = {
    CASE(move_carries_contents, region_move),
    CASE(move_of_a_part, region_move),
    CASE(move_and_back, region_move),
    CASE(move_by_whole_tables, region_move),
    CASE(a_moved_page_is_still_copied_on_write, region_move, space_clone),
    CASE(moving_a_shared_mapping, region_move),
};

}  // namespace

std::span<const Case> move_cases() { return kMoveCases; }

}  // namespace nopte::conformance
