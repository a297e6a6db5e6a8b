// Which pages are in memory: what was touched, and what an object has. And how many are installed.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void untouched_memory_is_not_resident(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 64) == kOk);
  EXPECT(is(s.resident(a, 0, 64), 0));
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(is(s.load(3), 0));
  EXPECT(s.store(63, 1) == kOk);
  EXPECT(is(s.resident(a, 0, 64), u64{1} << 63 | 0b1010));
  EXPECT(is(s.resident(a, 1, 3), 0b101));
  EXPECT(s.protect(a, 0, 64, kPermNone) == kOk);
  EXPECT(is(s.resident(a, 0, 64), u64{1} << 63 | 0b1010));
}
void what_was_dropped_is_not_resident(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.advise(a, 0, 4, Advice::kPopulate) == kOk);
  EXPECT(is(s.resident(a, 0, 4), 0b1111));
  EXPECT(s.advise(a, 1, 2, Advice::kDontNeed) == kOk);
  EXPECT(is(s.resident(a, 0, 4), 0b1001));
}
// An object of four pages that the running space shows twice: shared at page 0, private and one more at 10.
struct ShownTwice {
  explicit ShownTwice(Scene& s) : a(s.create_active()), o(s.make_object(4)) {
    EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
    EXPECT(s.map_object(a, 10, 5, o, 0, Sharing::kPrivate) == kOk);
  }
  const SpaceId a;
  const ObjectId o;
};
void the_pages_of_an_object_are_resident_wherever_it_shows(Scene& s) {
  const auto [a, o] = ShownTwice(s);
  EXPECT(is(s.resident(a, 10, 5), 0));
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(is(s.resident(a, 10, 5), 0b10));
  // A private copy is there; its object has no page for that.
  EXPECT(s.store(12, 2) == kOk);
  EXPECT(is(s.resident(a, 10, 5), 0b110));
  EXPECT(is(s.resident(a, 0, 4), 0b10));
  // Dropped here, it is the object's still.
  EXPECT(s.advise(a, 0, 4, Advice::kDontNeed) == kOk);
  EXPECT(is(s.resident(a, 0, 4), 0b10));
  EXPECT(s.resize(o, 1) == kOk);
  EXPECT(is(s.resident(a, 0, 4), 0));
}
void a_clone_has_what_its_parent_had(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(2, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(is(s.resident(b, 0, 4), 0b100));
  EXPECT(s.advise(a, 0, 4, Advice::kDontNeed) == kOk);
  EXPECT(is(s.resident(b, 0, 4), 0b100));
}
void holes_are_not_resident(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(is(s.resident(a, 0, 8), 0));
  EXPECT(s.map(a, 2, 1) == kOk);
  EXPECT(s.map(a, 5, 1) == kOk);
  EXPECT(s.store(2, 1) == kOk);
  EXPECT(s.store(5, 1) == kOk);
  EXPECT(is(s.resident(a, 0, 8), 0b100100));
  EXPECT(s.unmap(a, 2, 1) == kOk);
  EXPECT(is(s.resident(a, 0, 8), 0b100000));
}
void too_long_a_range_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(fails(s.resident(a, 0, 65), kInvalid));
  EXPECT(fails(s.resident(a, 0, 0), kInvalid));
  EXPECT(fails(s.resident(a, u64{1} << 40, 1), kInvalid));
}

void what_is_installed_is_counted(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 64) == kOk);
  EXPECT(is(s.count(a, 0, 64), 0));
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.store(30, 1) == kOk);
  EXPECT(is(s.load(63), 0));
  EXPECT(is(s.count(a, 0, 64), 3));
  EXPECT(is(s.count(a, 1, 1), 1));
  EXPECT(is(s.count(a, 2, 28), 0));
  EXPECT(is(s.count(a, 0, 4000), 3));
  EXPECT(s.protect(a, 0, 64, kPermNone) == kOk);
  EXPECT(is(s.count(a, 0, 64), 3));
  EXPECT(s.advise(a, 0, 2, Advice::kDontNeed) == kOk);
  EXPECT(is(s.count(a, 0, 64), 2));
  EXPECT(s.unmap(a, 20, 44) == kOk);
  EXPECT(is(s.count(a, 0, 64), 0));
}
void what_an_object_shows_is_counted_where_it_shows(Scene& s) {
  const auto [a, o] = ShownTwice(s);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(is(s.count(a, 0, 4), 1));
  EXPECT(is(s.count(a, 10, 4), 0));
  EXPECT(is(s.load(11), 1));
  EXPECT(is(s.count(a, 0, 14), 2));
  EXPECT(s.resize(o, 0) == kOk);
  EXPECT(is(s.count(a, 0, 14), 0));
}
void a_clone_shows_as_many_pages(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 64) == kOk);
  for (u64 page = 0; page < 64; page += 9) EXPECT(s.store(page, page) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(is(s.count(a, 0, 64), 8));
  EXPECT(is(s.count(b, 0, 64), 8));
  EXPECT(is(s.count(b, 9, 9), 1));
  EXPECT(s.unmap(a, 0, 64) == kOk);
  EXPECT(is(s.count(b, 0, 64), 8));
}
void counting_what_is_malformed_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(fails(s.count(a, 0, 0), kInvalid));
  EXPECT(fails(s.count(a, u64{1} << 40, 1), kInvalid));
  EXPECT(fails(s.count(SpaceId{7'000'000}, 0, 1), kInvalid));
}

constexpr Case kResidentCases[] = {
    CASE(untouched_memory_is_not_resident, region_resident),
    CASE(what_was_dropped_is_not_resident, region_resident, region_advise),
    CASE(the_pages_of_an_object_are_resident_wherever_it_shows, region_resident, object_resize),
    CASE(a_clone_has_what_its_parent_had, region_resident, space_clone),
    CASE(holes_are_not_resident, region_resident, region_unmap),
    CASE(too_long_a_range_is_refused, region_resident),
    CASE(what_is_installed_is_counted, region_installed),
    CASE(what_an_object_shows_is_counted_where_it_shows, region_installed, object_resize),
    CASE(a_clone_shows_as_many_pages, region_installed, space_clone),
    CASE(counting_what_is_malformed_is_refused, region_installed),
};

}  // namespace

std::span<const Case> resident_cases() { return kResidentCases; }

}  // namespace nopte::conformance
