// region_advise: pages dropped, or installed ahead.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void dont_need_drops_anonymous_pages(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, 5) == kOk);
  EXPECT(s.advise(a, 1, 1, Advice::kDontNeed) == kOk);
  EXPECT(is(s.warm_load(0), 5));
  EXPECT(is(s.load(1), 0));
  EXPECT(is(s.warm_load(2), 5));
}
void dont_need_drops_private_copies_not_the_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 5, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(5, 2) == kOk);
  EXPECT(s.advise(a, 0, 6, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(5), 1));
}
void populate_installs_ahead(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 40) == kOk);
  EXPECT(s.advise(a, 0, 40, Advice::kPopulate) == kOk);
  for (u64 page = 0; page < 40; ++page) EXPECT(s.warm_store(page, page) == kOk);
}
void populate_skips_holes_and_read_only_stays_so(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.map(a, 3, 1, kPermR) == kOk);
  EXPECT(s.advise(a, 0, 5, Advice::kPopulate) == kOk);
  EXPECT(s.warm_store(0, 1) == kOk);
  EXPECT(is(s.warm_load(3), 0));
  EXPECT(s.store(3, 1) == kPermission);
  EXPECT(fails(s.load(2), kNoRegion));
}
void will_need_makes_no_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(8);
  EXPECT(s.map_object(a, 40, 8, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(43, 1) == kOk);
  EXPECT(s.map_object(a, 20, 8, o, 0, Sharing::kShared) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.advise(a, 20, 8, Advice::kWillNeed) == kOk);
  EXPECT(s.free_pages() == before);
  EXPECT(is(s.warm_load(23), 1));
}
void dont_need_gives_memory_back(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 40) == kOk);
  const u64 before = s.free_pages();
  for (u64 page = 0; page < 40; ++page) EXPECT(s.store(page, 1) == kOk);
  EXPECT(s.advise(a, 0, 40, Advice::kDontNeed) == kOk);
  EXPECT(s.free_pages() == before);
}
void dont_need_drops_hidden_pages(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermNone) == kOk);
  EXPECT(s.advise(a, 0, 1, Advice::kDontNeed) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 0));
}
void dont_need_skips_holes(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 1, 1) == kOk);
  EXPECT(s.map(a, 3, 1) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.store(3, 1) == kOk);
  EXPECT(s.advise(a, 0, 6, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(1), 0));
  EXPECT(is(s.load(3), 0));
  EXPECT(s.advise(a, 5, 10, Advice::kDontNeed) == kOk);
}
void dont_need_of_a_huge_range(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, u64{1} << 32) == kOk);
  EXPECT(s.store(u64{1} << 31, 1) == kOk);
  EXPECT(s.advise(a, 0, u64{1} << 32, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(u64{1} << 31), 0));
}
void populate_of_a_private_mapping_copies(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(2, 5) == kOk);
  EXPECT(s.map_object(a, 10, 4, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.advise(a, 10, 4, Advice::kPopulate) == kOk);
  EXPECT(is(s.warm_load(12), 5));
  EXPECT(s.warm_store(12, 6) == kOk);
  EXPECT(is(s.load(2), 5));
}
void populate_ends_where_the_object_ends(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 8, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map(a, 8, 2) == kOk);
  EXPECT(s.advise(a, 0, 10, Advice::kPopulate) == kOk);
  EXPECT(s.warm_store(1, 1) == kOk);
  EXPECT(s.warm_store(9, 1) == kOk);
  EXPECT(fails(s.load(2), kPastEnd));
}
void populate_makes_nothing_without_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 30, kPermNone) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.advise(a, 0, 30, Advice::kPopulate) == kOk);
  EXPECT(s.free_pages() == before);
}
void populate_ends_sharing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.advise(a, 0, 2, Advice::kPopulate) == kOk);
  EXPECT(s.warm_store(0, 2) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void populate_keeps_what_is_there(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(1, 7) == kOk);
  EXPECT(s.advise(a, 0, 4, Advice::kPopulate) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.advise(a, 0, 4, Advice::kPopulate) == kOk);
  EXPECT(s.free_pages() == before);
  EXPECT(is(s.warm_load(1), 7));
}
void populate_of_a_space_that_is_not_active(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  s.create_active();
  EXPECT(s.advise(a, 0, 3, Advice::kPopulate) == kOk);
  EXPECT(fails(s.load(0), kNoRegion));
  s.activate(a);
  EXPECT(s.warm_store(2, 1) == kOk);
}
void will_need_of_anonymous_memory_makes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 30) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.advise(a, 0, 30, Advice::kWillNeed) == kOk);
  EXPECT(s.free_pages() == before);
  EXPECT(is(s.load(0), 0));
}
void will_need_gives_no_right_to_write(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.map_object(a, 10, 4, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.advise(a, 10, 4, Advice::kWillNeed) == kOk);
  EXPECT(s.store(10, 2) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(fails(s.load(12), kPastEnd));
}
constexpr Advice kUsages[] = {Advice::kRandom,      Advice::kSequential, Advice::kNormal,
                              Advice::kLargeWanted, Advice::kLargeNever, Advice::kLargeBarred,
                              Advice::kLargeAllowed};
void usage_changes_no_contents_and_no_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 40) == kOk);
  EXPECT(s.map(a, 40, 4, kPermR) == kOk);
  u64 page = 0;
  for (const Advice advice : kUsages) {
    EXPECT(s.store(page, page + 1) == kOk);
    EXPECT(s.use(a, 0, 44, advice) == kOk);
    for (u64 before = 0; before <= page; ++before) EXPECT(is(s.load(before), before + 1));
    EXPECT(is(s.load(page + 8), 0));
    EXPECT(s.store(40, 1) == kPermission);
    ++page;
  }
}
void regions_of_different_usage_are_one_range(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 12) == kOk);
  for (u64 page = 0; page < 12; ++page) EXPECT(s.store(page, page) == kOk);
  EXPECT(s.use(a, 2, 4, Advice::kRandom) == kOk);
  EXPECT(s.use(a, 4, 4, Advice::kLargeNever) == kOk);
  EXPECT(s.protect(a, 1, 8, kPermR) == kOk);
  EXPECT(s.store(5, 1) == kPermission);
  EXPECT(is(s.load(5), 5));
  EXPECT(s.move(a, 4, 2, 20) == kOk);
  EXPECT(is(s.load(21), 5));
  EXPECT(s.unmap(a, 3, 4) == kOk);
  EXPECT(fails(s.load(6), kNoRegion));
  EXPECT(is(s.load(7), 7));
  EXPECT(s.unmap(a, 0, 30) == kOk);
  EXPECT(fails(s.load(21), kNoRegion));
}
void what_is_mapped_between_is_used_as_it_says(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.map(a, 4, 2) == kOk);
  EXPECT(s.use(a, 0, 6, Advice::kSequential) == kOk);
  RegionSpec between{.range = s.span(2, 2), .perm = kPermRW};
  for (const Usage usage :
       {Usage(AccessPattern::kSequential), Usage(), Usage(AccessPattern::kRandom, LargeLeaves::kWanted)}) {
    between.usage = usage;
    EXPECT(s.map_region(a, between) == kOk);
    for (u64 page = 0; page < 6; ++page) EXPECT(s.store(page, page + 1) == kOk);
    EXPECT(is(s.warm_load(3), 4));
    EXPECT(s.unmap(a, 2, 2) == kOk);
    EXPECT(fails(s.load(3), kNoRegion));
    EXPECT(is(s.warm_load(4), 5));
  }
}
void a_clone_is_used_as_its_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 40) == kOk);
  EXPECT(s.use(a, 0, 20, Advice::kRandom) == kOk);
  EXPECT(s.use(a, 20, 20, Advice::kSequential) == kOk);
  for (u64 page = 0; page < 40; page += 3) EXPECT(s.store(page, page) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.use(b, 10, 20, Advice::kNormal) == kOk);
  for (u64 page = 0; page < 40; page += 3) EXPECT(s.store(page, 100) == kOk);
  s.activate(a);
  for (u64 page = 0; page < 40; page += 3) EXPECT(is(s.load(page), page));
}
void usage_of_a_hole_is_nobodys(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.use(a, 0, 8, Advice::kRandom) == kOk);
  EXPECT(s.map(a, 2, 2) == kOk);
  EXPECT(s.use(a, 0, 8, Advice::kLargeNever) == kOk);
  EXPECT(s.store(2, 1) == kOk);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(fails(s.load(4), kNoRegion));
}
void windows_have_a_usage(Scene& s) {
  const ObjectId o = s.make_object(8);
  EXPECT(s.map_window(o, 0, 8, 0) == kOk);
  EXPECT(s.window_store(1, 7) == kOk);
  for (const Advice advice : kUsages) {
    EXPECT(s.use_range(SpaceId::kKernel, VaRange::of_pages(s.window_at(2), 4), advice) == kOk);
    EXPECT(is(s.window_load(1), 7));
    EXPECT(is(s.window_load(3), 0));
  }
  EXPECT(s.unmap_window(0, 8) == kOk);
}
void advice_that_is_unknown_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.advise(a, 0, 1, static_cast<Advice>(static_cast<u32>(kLastAdvice) + 1)) == kInvalid);
  EXPECT(is(s.warm_load(0), 1));
}
void advise_of_a_malformed_range_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.advise(a, 0, 0, Advice::kDontNeed) == kInvalid);
  EXPECT(s.advise_range(a, VaRange::of_pages(Scene::at(0) + 8, 1), Advice::kDontNeed) == kInvalid);
  EXPECT(s.advise_range(a, {Scene::at(0), Gva(0)}, Advice::kDontNeed) == kInvalid);
  EXPECT(s.advise_range(a, VaRange::of_pages(kKmemRange.begin, 1), Advice::kDontNeed) == kInvalid);
  EXPECT(is(s.warm_load(0), 1));
}
void a_map_may_populate(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map_with(a, 0, 40, kMapPopulate) == kOk);
  for (u64 page = 0; page < 40; ++page) EXPECT(s.warm_store(page, page) == kOk);
  EXPECT(s.map_with(a, 10, 20, kMapReplace | kMapPopulate) == kOk);
  EXPECT(is(s.warm_load(9), 9));
  EXPECT(is(s.warm_load(10), 0));
  EXPECT(s.warm_store(29, 1) == kOk);
}

constexpr Case kAdviseCases[] = {
    CASE(dont_need_drops_anonymous_pages, region_advise),
    CASE(dont_need_drops_private_copies_not_the_object, region_advise),
    CASE(populate_installs_ahead, region_advise),
    CASE(populate_skips_holes_and_read_only_stays_so, region_advise),
    CASE(will_need_makes_no_pages, region_advise),
    CASE(dont_need_gives_memory_back, region_advise),
    CASE(dont_need_drops_hidden_pages, region_advise),
    CASE(dont_need_skips_holes, region_advise),
    CASE(dont_need_of_a_huge_range, region_advise),
    CASE(populate_of_a_private_mapping_copies, region_advise),
    CASE(populate_ends_where_the_object_ends, region_advise),
    CASE(populate_makes_nothing_without_rights, region_advise),
    CASE(populate_ends_sharing, region_advise, space_clone),
    CASE(populate_keeps_what_is_there, region_advise),
    CASE(populate_of_a_space_that_is_not_active, region_advise),
    CASE(will_need_of_anonymous_memory_makes_nothing, region_advise),
    CASE(will_need_gives_no_right_to_write, region_advise),
    CASE(usage_changes_no_contents_and_no_rights, region_advise),
    CASE(regions_of_different_usage_are_one_range, region_advise, region_protect, region_unmap, region_move),
    CASE(what_is_mapped_between_is_used_as_it_says, region_advise, region_map),
    CASE(a_clone_is_used_as_its_parent, region_advise, space_clone),
    CASE(usage_of_a_hole_is_nobodys, region_advise),
    CASE(windows_have_a_usage, region_advise),
    CASE(advice_that_is_unknown_is_refused, region_advise),
    CASE(advise_of_a_malformed_range_is_refused, region_advise),
    CASE(a_map_may_populate, region_map),
};

}  // namespace

std::span<const Case> advise_cases() { return kAdviseCases; }

}  // namespace nopte::conformance
