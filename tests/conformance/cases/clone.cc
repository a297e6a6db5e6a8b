// space_clone: equal promises, private pages shared until written.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void clone_sees_what_was_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(1), 0));
}
void clone_child_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(0, 7, 9) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(is(s.warm_load(0, 9), 7));
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void clone_parent_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 3) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void clone_of_a_clone(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  const SpaceId c = s.make_clone(b);
  s.activate(b);
  EXPECT(s.store(1, 2) == kOk);
  s.activate(c);
  EXPECT(s.store(2, 3) == kOk);
  EXPECT(is(s.load(1), 1));
  s.activate(a);
  for (u64 page = 0; page < 3; ++page) EXPECT(is(s.load(page), 1));
  s.activate(b);
  EXPECT(is(s.load(1), 2));
  EXPECT(is(s.load(2), 1));
}
void clone_outlives_its_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  s.destroy(a);
  EXPECT(is(s.load(0), 5));
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(is(s.warm_load(0), 6));
}
void after_the_child_is_gone_the_parent_writes_in_place(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const SpaceId b = s.make_clone(a);
  s.destroy(b);
  const u64 before = s.free_pages();
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(s.free_pages() == before);
}
void clone_copies_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 1) == kPermission);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.protect(b, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 6) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 5));
}
void clone_does_not_see_later_maps(Scene& s) {
  const SpaceId a = s.create_active();
  const SpaceId b = s.make_clone(a);
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(b);
  EXPECT(fails(s.load(0), kNoRegion));
}
void a_private_copy_is_shared_by_a_clone_until_written(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 8) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 7));
}
void a_clone_shares_shared_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 8) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 8));
  EXPECT(s.store(0, 9) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 9));
}

constexpr Case kCloneCases[] = {
    CASE(clone_sees_what_was_written, space_clone),
    CASE(clone_child_writes_stay_its_own, space_clone),
    CASE(clone_parent_writes_stay_its_own, space_clone),
    CASE(clone_of_a_clone, space_clone),
    CASE(clone_outlives_its_parent, space_clone, space_destroy),
    CASE(after_the_child_is_gone_the_parent_writes_in_place, space_clone, space_destroy),
    CASE(clone_copies_rights, space_clone, region_protect),
    CASE(clone_does_not_see_later_maps, space_clone),
    CASE(a_private_copy_is_shared_by_a_clone_until_written, space_clone),
    CASE(a_clone_shares_shared_pages, space_clone),
};

}  // namespace

std::span<const Case> clone_cases() { return kCloneCases; }

}  // namespace nopte::conformance
