// Kernel windows: objects mapped into the kernel space.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void a_window_shows_the_object(Scene& s) {
  const ObjectId o = s.make_object(4);
  const SpaceId a = s.create_active();
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_window(o, 1000, 4, 0) == kOk);
  EXPECT(s.window_store(1002, 5) == kOk);
  EXPECT(is(s.load(2), 5));
  EXPECT(s.store(3, 6) == kOk);
  EXPECT(is(s.window_load(1003), 6));
}
void a_window_ends_with_the_object(Scene& s) {
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_window(o, 1000, 4, 0) == kOk);
  EXPECT(is(s.window_load(1001), 0));
  EXPECT(fails(s.window_load(1002), kPastEnd));
  EXPECT(s.window_store(1003, 1) == kPastEnd);
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(fails(s.window_load(1001), kPastEnd));
}
void a_window_is_there_in_every_space(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, 5) == kOk);
  s.create_active();
  EXPECT(is(s.warm_load_at(Scene::window_at(1000)), 5));
  s.create_active();
  EXPECT(is(s.warm_load_at(Scene::window_at(1000)), 5));
}
void an_unmapped_window_is_gone_everywhere(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, 5) == kOk);
  s.create_active();
  EXPECT(s.unmap_window(1000, 1) == kOk);
  EXPECT(fails(s.window_load(1000), kNoRegion));
  s.create_active();
  EXPECT(fails(s.window_load(1000), kNoRegion));
}
void a_window_may_begin_inside_the_object(Scene& s) {
  const ObjectId o = s.make_object(8);
  EXPECT(s.map_window(o, 1000, 8, 0) == kOk);
  EXPECT(s.map_window(o, 2000, 2, 5) == kOk);
  EXPECT(s.window_store(1006, 6) == kOk);
  EXPECT(is(s.window_load(2001), 6));
}
void a_read_only_window_refuses_writes(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0, kPermR) == kOk);
  EXPECT(s.window_store(1000, 1) == kPermission);
  EXPECT(is(s.window_load(1000), 0));
  EXPECT(s.protect_range(SpaceId::kKernel, VaRange::of_pages(Scene::window_at(1000), 1), kPermRW) == kOk);
  EXPECT(s.window_store(1000, 1) == kOk);
}
void protect_takes_a_window_away_in_every_space(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  const SpaceId a = s.create_active();
  EXPECT(s.window_store(1000, 1) == kOk);
  s.create_active();
  EXPECT(s.window_store(1000, 2) == kOk);
  EXPECT(s.protect_range(SpaceId::kKernel, VaRange::of_pages(Scene::window_at(1000), 1), kPermR) == kOk);
  EXPECT(s.window_store(1000, 3) == kPermission);
  s.activate(a);
  EXPECT(s.window_store(1000, 3) == kPermission);
  EXPECT(is(s.window_load(1000), 2));
}
void a_window_can_move(Scene& s) {
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_window(o, 1000, 2, 0) == kOk);
  EXPECT(s.window_store(1001, 1) == kOk);
  EXPECT(s.move_range(SpaceId::kKernel, VaRange::of_pages(Scene::window_at(1000), 2),
                      Scene::window_at(3000)) == kOk);
  EXPECT(is(s.window_load(3001), 1));
  EXPECT(fails(s.window_load(1001), kNoRegion));
}
void a_window_is_populated_ahead(Scene& s) {
  const ObjectId o = s.make_object(6);
  EXPECT(s.map_window(o, 1000, 8, 0) == kOk);
  EXPECT(s.advise_range(SpaceId::kKernel, VaRange::of_pages(Scene::window_at(1000), 8), Advice::kPopulate) ==
         kOk);
  for (u64 page = 0; page < 6; ++page) EXPECT(s.warm_store_at(Scene::window_at(1000 + page), page) == kOk);
  EXPECT(fails(s.window_load(1006), kPastEnd));
}
void dont_need_on_a_window_keeps_the_object(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, 5) == kOk);
  EXPECT(s.advise_range(SpaceId::kKernel, VaRange::of_pages(Scene::window_at(1000), 1), Advice::kDontNeed) ==
         kOk);
  EXPECT(is(s.window_load(1000), 5));
}
void a_window_keeps_its_object_busy(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(s.destroy_object(o) == Status::kBusy);
  EXPECT(s.unmap_window(1000, 1) == kOk);
  EXPECT(s.destroy_object(o) == kOk);
}
void a_part_of_a_window_is_unmapped(Scene& s) {
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_window(o, 1000, 4, 0) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.window_store(1000 + page, page) == kOk);
  EXPECT(s.unmap_window(1001, 2) == kOk);
  EXPECT(is(s.warm_load_at(Scene::window_at(1000)), 0));
  EXPECT(fails(s.window_load(1001), kNoRegion));
  EXPECT(is(s.warm_load_at(Scene::window_at(1003)), 3));
}
void windows_reach_to_the_ends_of_their_range(Scene& s) {
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_window(o, 0, 1, 0) == kOk);
  const u64 last = kWindowRange.pages() - 1;
  EXPECT(s.map_window(o, last, 1, 1) == kOk);
  EXPECT(s.window_store(0, 1) == kOk);
  EXPECT(s.window_store(last, 2) == kOk);
  EXPECT(is(s.window_load(0), 1));
}
void an_object_that_was_cut_and_grew_reads_zero_in_its_window(Scene& s) {
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_window(o, 1000, 2, 0) == kOk);
  EXPECT(s.window_store(1001, 5) == kOk);
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(s.resize(o, 2) == kOk);
  EXPECT(is(s.window_load(1001), 0));
}

constexpr Case kWindowsCases[] = {
    CASE(a_window_shows_the_object, region_map),
    CASE(a_window_ends_with_the_object, object_resize),
    CASE(a_window_is_there_in_every_space, region_map, space_activate),
    CASE(an_unmapped_window_is_gone_everywhere, region_unmap),
    CASE(a_window_may_begin_inside_the_object, region_map),
    CASE(a_read_only_window_refuses_writes, region_map, region_protect),
    CASE(protect_takes_a_window_away_in_every_space, region_protect),
    CASE(a_window_can_move, region_move),
    CASE(a_window_is_populated_ahead, region_advise),
    CASE(dont_need_on_a_window_keeps_the_object, region_advise),
    CASE(a_window_keeps_its_object_busy, object_destroy),
    CASE(a_part_of_a_window_is_unmapped, region_unmap),
    CASE(windows_reach_to_the_ends_of_their_range, region_map),
    CASE(an_object_that_was_cut_and_grew_reads_zero_in_its_window, object_resize),
};

}  // namespace

std::span<const Case> windows_cases() { return kWindowsCases; }

}  // namespace nopte::conformance
