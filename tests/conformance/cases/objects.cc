// Objects: pages with a life of their own, shown by regions.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void object_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(2, 300), 0));
}
void shared_mappings_show_the_same_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 100, 2, o, 2, Sharing::kShared) == kOk);
  EXPECT(s.store(3, 33) == kOk);
  EXPECT(is(s.load(101), 33));
  const SpaceId b = s.create_active();
  EXPECT(s.map_object(b, 7, 1, o, 3, Sharing::kShared) == kOk);
  EXPECT(is(s.load(7), 33));
  EXPECT(s.store(7, 34) == kOk);
  s.activate(a);
  EXPECT(is(s.load(3), 34));
}
void private_mapping_reads_the_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(is(s.load(11), 5));
  EXPECT(s.store(1, 6) == kOk);
  EXPECT(is(s.load(11), 6));
}
void private_mapping_writes_stay_private(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(s.store(11, 7) == kOk);
  EXPECT(is(s.load(1), 5));
  EXPECT(s.store(1, 8) == kOk);
  EXPECT(is(s.warm_load(11), 7));
}
void past_the_end_of_an_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 4, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(is(s.load(1), 0));
  EXPECT(fails(s.load(2), kPastEnd));
  EXPECT(s.store(3, 1) == kPastEnd);
  EXPECT(s.store(12, 1) == kPastEnd);
}
void growing_an_object_makes_pages_reachable(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 3, o, 0, Sharing::kShared) == kOk);
  EXPECT(fails(s.load(2), kPastEnd));
  EXPECT(s.resize(o, 3) == kOk);
  EXPECT(s.store(2, 1) == kOk);
}
void shrinking_takes_pages_from_every_mapping(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 4, o, 0, Sharing::kPrivate) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(page, page + 1) == kOk);
  EXPECT(s.store(13, 99) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.resize(o, 2) == kOk);
  EXPECT(is(s.load(1), 2));
  EXPECT(fails(s.load(2), kPastEnd));
  EXPECT(fails(s.load(13), kPastEnd));
  s.activate(b);
  EXPECT(fails(s.load(3), kPastEnd));
  EXPECT(fails(s.load(13), kPastEnd));
}
void shrink_and_grow_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(s.resize(o, 2) == kOk);
  EXPECT(is(s.load(1), 0));
}
void an_object_outlives_its_mappings(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.unmap(a, 0, 2) == kOk);
  EXPECT(s.map_object(a, 20, 1, o, 0, Sharing::kShared, kPermR) == kOk);
  EXPECT(is(s.load(20), 5));
  EXPECT(s.store(20, 6) == kPermission);
}
void a_sparse_object_costs_only_its_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  const ObjectId o = s.make_object(u64{1} << 24);
  EXPECT(s.map_object(a, 0, 1, o, (u64{1} << 24) - 1, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(before - s.free_pages() <= 16);
}

constexpr Case kObjectsCases[] = {
    CASE(object_reads_zero, object_create),
    CASE(shared_mappings_show_the_same_pages, region_map),
    CASE(private_mapping_reads_the_object, region_map),
    CASE(private_mapping_writes_stay_private, region_map),
    VIOLATION_CASE(past_the_end_of_an_object),
    CASE(growing_an_object_makes_pages_reachable, object_resize),
    CASE(shrinking_takes_pages_from_every_mapping, object_resize),
    CASE(shrink_and_grow_reads_zero, object_resize),
    CASE(an_object_outlives_its_mappings, object_create, region_unmap),
    CASE(a_sparse_object_costs_only_its_pages, object_create),
};

}  // namespace

std::span<const Case> objects_cases() { return kObjectsCases; }

}  // namespace nopte::conformance
