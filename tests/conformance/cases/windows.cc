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

constexpr Case kWindowsCases[] = {
    CASE(a_window_shows_the_object, region_map),
    CASE(a_window_ends_with_the_object, object_resize),
    CASE(a_window_is_there_in_every_space, region_map, space_activate),
    CASE(an_unmapped_window_is_gone_everywhere, region_unmap),
};

}  // namespace

std::span<const Case> windows_cases() { return kWindowsCases; }

}  // namespace nopte::conformance
