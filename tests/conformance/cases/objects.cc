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
void an_empty_object_has_no_page(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(0);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(fails(s.load(0), kPastEnd));
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
}
void objects_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  const ObjectId p = s.make_object(1);
  EXPECT(o != p && o != ObjectId::kNone && p != ObjectId::kNone);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 1, 1, p, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(is(s.load(1), 0));
}
void a_mapped_object_is_busy(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.destroy_object(o) == Status::kBusy);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.destroy_object(o) == kOk);
}
void an_object_that_only_a_clone_shows_is_busy(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.destroy_object(o) == Status::kBusy);
  s.activate(b);
  EXPECT(is(s.load(0), 3));
  EXPECT(s.unmap(b, 0, 1) == kOk);
  EXPECT(s.destroy_object(o) == kOk);
}
void an_object_that_is_gone_is_refused(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.destroy_object(o) == kOk);
  EXPECT(s.resize(o, 2) == kInvalid);
  EXPECT(s.destroy_object(o) == kInvalid);
  for (u32 id : {0u, 63u, 64u, 1000u, 0xffff'ffffu}) {
    EXPECT(s.resize(ObjectId(id), 2) == kInvalid);
    EXPECT(s.destroy_object(ObjectId(id)) == kInvalid);
  }
}
void destroying_an_object_gives_memory_back(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  const ObjectId o = s.make_object(2000);
  EXPECT(s.map_object(a, 0, 2000, o, 0, Sharing::kShared) == kOk);
  for (u64 page = 0; page < 2000; page += 90) EXPECT(s.store(page, 1) == kOk);
  EXPECT(s.unmap(a, 0, 2000) == kOk);
  EXPECT(before - s.free_pages() >= 23);
  EXPECT(s.destroy_object(o) == kOk);
  EXPECT(s.free_pages() == before);
}
void an_object_may_be_larger_than_memory(Scene& s) {
  constexpr u64 kMost = u64{1} << 36;
  const ObjectId o = s.make_object(kMost);
  EXPECT(fails(s.object(kMost + 1), Status::kLimit));
  EXPECT(s.resize(o, kMost + 1) == Status::kLimit);
  const SpaceId a = s.create_active();
  EXPECT(s.map_object(a, 0, 1, o, kMost - 1, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.resize(o, kMost - 1) == kOk);
  EXPECT(fails(s.load(0), kPastEnd));
}
void a_mapping_may_begin_past_the_end(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 2, o, 5, Sharing::kShared) == kOk);
  EXPECT(fails(s.load(0), kPastEnd));
  EXPECT(s.resize(o, 6) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(fails(s.load(1), kPastEnd));
}
void resize_to_the_same_size_changes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.resize(o, 2) == kOk);
  EXPECT(s.warm_store(1, 2) == kOk);
}
void shrinking_gives_memory_back(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(40);
  EXPECT(s.map_object(a, 0, 40, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 100, 40, o, 0, Sharing::kPrivate) == kOk);
  for (u64 page = 0; page < 40; ++page) {
    EXPECT(s.store(page, 1) == kOk);
    EXPECT(s.store(100 + page, 2) == kOk);
  }
  const u64 before = s.free_pages();
  EXPECT(s.resize(o, 10) == kOk);
  EXPECT(s.free_pages() - before >= 60);
  EXPECT(is(s.load(109), 2));
}
void what_is_cut_does_not_come_back(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.map_object(a, 10, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 7) == kOk);
  EXPECT(s.store(11, 8) == kOk);
  EXPECT(s.protect(a, 10, 2, kPermNone) == kOk);
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(s.resize(o, 2) == kOk);
  EXPECT(is(s.load(1), 0));
  EXPECT(s.protect(a, 10, 2, kPermR) == kOk);
  EXPECT(is(s.load(11), 0));
}
void shrinking_reaches_spaces_that_are_not_active(Scene& s) {
  const ObjectId o = s.make_object(2);
  const SpaceId a = s.create_active();
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  const SpaceId b = s.create_active();
  EXPECT(s.map_object(b, 50, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(51), 1));
  s.activate(SpaceId::kKernel);
  EXPECT(s.resize(o, 1) == kOk);
  s.activate(a);
  EXPECT(fails(s.load(1), kPastEnd));
  s.activate(b);
  EXPECT(fails(s.load(51), kPastEnd));
}
void two_private_mappings_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.map_object(a, 1, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(is(s.load(1), 0));
}
void a_read_only_mapping_shows_what_another_writes(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared, kPermR) == kOk);
  EXPECT(s.map_object(a, 5, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(5, 1) == kOk);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(s.store(0, 2) == kPermission);
}
void a_private_write_makes_no_object_page(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 1, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.store(2, 2) == kOk);
  EXPECT(before - s.free_pages() == 1);
  EXPECT(is(s.load(0), 0));
}
void a_split_mapping_keeps_its_offsets(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(8);
  EXPECT(s.map_object(a, 50, 8, o, 0, Sharing::kShared) == kOk);
  for (u64 page = 0; page < 8; ++page) EXPECT(s.store(50 + page, page + 1) == kOk);
  EXPECT(s.map_object(a, 0, 6, o, 1, Sharing::kShared) == kOk);
  EXPECT(s.unmap(a, 1, 1) == kOk);
  EXPECT(s.protect(a, 3, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 2));
  for (u64 page = 2; page < 6; ++page) EXPECT(is(s.load(page), page + 2));
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
    CASE(an_empty_object_has_no_page, object_create, object_resize),
    CASE(objects_are_apart, object_create),
    CASE(a_mapped_object_is_busy, object_destroy),
    CASE(an_object_that_only_a_clone_shows_is_busy, object_destroy, space_clone),
    CASE(an_object_that_is_gone_is_refused, object_destroy, object_resize),
    CASE(destroying_an_object_gives_memory_back, object_destroy),
    CASE(an_object_may_be_larger_than_memory, object_create, object_resize),
    CASE(a_mapping_may_begin_past_the_end, region_map),
    CASE(resize_to_the_same_size_changes_nothing, object_resize),
    CASE(shrinking_gives_memory_back, object_resize),
    CASE(what_is_cut_does_not_come_back, object_resize),
    CASE(shrinking_reaches_spaces_that_are_not_active, object_resize, space_activate),
    CASE(two_private_mappings_are_apart, region_map),
    CASE(a_read_only_mapping_shows_what_another_writes, region_map),
    CASE(a_private_write_makes_no_object_page, region_map),
    CASE(a_split_mapping_keeps_its_offsets, region_map),
};

}  // namespace

std::span<const Case> objects_cases() { return kObjectsCases; }

}  // namespace nopte::conformance
