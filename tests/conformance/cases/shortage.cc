// Memory runs out: every operation answers, and what was there stays.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void too_much_kmem_is_an_answer(Scene& s) {
  const u64 before = s.free_pages();
  const auto grant = s.kmem(u64{1} << 30);
  EXPECT(!grant && grant.error() == kNoMemory);
  EXPECT(s.free_pages() == before);
}
void populate_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == kNoMemory);
  EXPECT(is(s.warm_load(0), 0));
  EXPECT(s.unmap(a, 0, pages) == kOk);
}
void a_touch_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == kNoMemory);
  EXPECT(s.store(pages - 1, 1) == kNoMemory);
  EXPECT(s.advise(a, 0, 8, Advice::kDontNeed) == kOk);
  EXPECT(s.store(pages - 1, 1) == kOk);
}
void a_clone_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == kNoMemory);
  const auto b = s.clone(a);
  EXPECT(!b && b.error() == kNoMemory);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(is(s.warm_load(0), 2));
}

constexpr Case kShortageCases[] = {
    CASE(too_much_kmem_is_an_answer, kmem_alloc),
    CASE(populate_without_memory_is_an_answer, region_advise),
    VIOLATION_CASE(a_touch_without_memory_is_an_answer),
    CASE(a_clone_without_memory_is_an_answer, space_clone),
};

}  // namespace

std::span<const Case> shortage_cases() { return kShortageCases; }

}  // namespace nopte::conformance
