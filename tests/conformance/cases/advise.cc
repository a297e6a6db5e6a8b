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

constexpr Case kAdviseCases[] = {
    CASE(dont_need_drops_anonymous_pages, region_advise),
    CASE(dont_need_drops_private_copies_not_the_object, region_advise),
    CASE(populate_installs_ahead, region_advise),
    CASE(populate_skips_holes_and_read_only_stays_so, region_advise),
    CASE(will_need_makes_no_pages, region_advise),
};

}  // namespace

std::span<const Case> advise_cases() { return kAdviseCases; }

}  // namespace nopte::conformance
