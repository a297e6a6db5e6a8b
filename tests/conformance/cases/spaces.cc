// Spaces: apart from each other, active one at a time, gone without a trace.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void spaces_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.create_active();
  EXPECT(fails(s.load(0), kNoRegion));
  EXPECT(s.map(b, 0, 1) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 2) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void the_kernel_space_has_no_user_memory(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(SpaceId::kKernel);
  EXPECT(fails(s.load(0), kNoRegion));
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void calls_on_a_space_that_is_not_active(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(1, 2) == kOk);
  s.create_active();
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.protect(a, 1, 1, kPermR) == kOk);
  s.activate(a);
  EXPECT(fails(s.load(0), kNoRegion));
  EXPECT(s.store(1, 3) == kPermission);
  EXPECT(is(s.load(1), 2));
}
void destroy_gives_memory_back(Scene& s) {
  const u64 before = s.free_pages();
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 200) == kOk);
  for (u64 page = 0; page < 200; page += 3) EXPECT(s.store(page, page) == kOk);
  s.activate(SpaceId::kKernel);
  s.destroy(a);
  EXPECT(s.free_pages() == before);
}

constexpr Case kSpacesCases[] = {
    CASE(spaces_are_apart, space_create, space_activate),
    CASE(the_kernel_space_has_no_user_memory, space_activate),
    CASE(calls_on_a_space_that_is_not_active, region_unmap, region_protect),
    CASE(destroy_gives_memory_back, space_destroy),
};

}  // namespace

std::span<const Case> spaces_cases() { return kSpacesCases; }

}  // namespace nopte::conformance
