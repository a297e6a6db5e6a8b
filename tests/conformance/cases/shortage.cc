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
  EXPECT(s.advise(a, 0, Scene::kAligned, Advice::kDontNeed) == kOk);  // what is behind may be a large page
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
void a_move_without_memory_changes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(3, 2) == kOk);
  s.exhaust(a);
  EXPECT(s.move(a, 0, 4, u64{1} << 28) == kNoMemory);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(s.warm_store(3, 3) == kOk);
  EXPECT(fails(s.load(u64{1} << 28), kNoRegion));
}
void a_copy_without_memory_keeps_what_was_there(Scene& s) {
  const SpaceId a = s.create_active();
  // More than a clone might copy at once.
  EXPECT(s.map(a, 0, 32) == kOk);
  for (u64 page = 0; page < 32; ++page) EXPECT(s.store(page, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.exhaust(a);
  EXPECT(s.store(0, 2) == kNoMemory);
  EXPECT(is(s.load(0), 1));
  s.relieve(a, 4);  // the page, and the tables on the way
  EXPECT(s.store(0, 2) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void an_object_page_without_memory_can_come_later(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1000);
  EXPECT(s.map_object(a, 0, 1000, o, 0, Sharing::kShared) == kOk);
  s.exhaust(a);
  EXPECT(fails(s.load(700), kNoMemory));
  EXPECT(s.store(700, 1) == kNoMemory);
  s.relieve(a, 8);
  EXPECT(s.store(700, 1) == kOk);
  EXPECT(is(s.warm_load(700), 1));
}
void a_private_copy_without_memory_leaves_the_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 1, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(is(s.load(1), 5));
  s.exhaust(a);
  EXPECT(s.store(1, 6) == kNoMemory);
  EXPECT(is(s.load(1), 5));
  EXPECT(is(s.warm_load(0), 5));
}
void a_space_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  s.exhaust(a);
  EXPECT(fails(s.create(), kNoMemory));
  EXPECT(s.free_pages() == 0);
  s.relieve(a, 8);
  EXPECT(s.create().has_value());
}
void kmem_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  s.exhaust(a);
  s.relieve(a, 15);
  const u64 before = s.free_pages();
  EXPECT(fails(s.kmem(1), kNoMemory));
  EXPECT(s.free_pages() == before);
  s.relieve(a, 40);
  const Gva grant = s.make_kmem(16);
  s.kmem_free(grant, 16);
}
void rights_are_taken_away_without_memory(Scene& s) {
  const SpaceId a = s.create_active();
  for (u64 page : {0, 10, 20}) {
    EXPECT(s.map(a, page, 1) == kOk);
    EXPECT(s.store(page, 1) == kOk);
  }
  s.exhaust(a);
  EXPECT(s.protect(a, 0, 1, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kPermission));
  EXPECT(s.unmap(a, 10, 1) == kOk);
  EXPECT(fails(s.load(10), kNoRegion));
  EXPECT(s.advise(a, 20, 1, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(20), 0));
}
// It lies amidst what a clone has too, but nothing of it is there.
void what_was_never_touched_is_unmapped_without_memory(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 256) == kOk);
  EXPECT(s.map(a, 768, 256) == kOk);
  EXPECT(s.advise(a, 0, 1024, Advice::kPopulate) == kOk);
  EXPECT(s.map(a, 256, 512, kPermR) == kOk);
  const SpaceId b = s.make_clone(a);
  s.exhaust(a);
  EXPECT(s.unmap(a, 256, 512) == kOk);
  EXPECT(fails(s.load(300), kNoRegion));
  EXPECT(is(s.warm_load(0), 0));
  s.activate(b);
  EXPECT(is(s.warm_load(1023), 0));
}
// Amidst what a clone has too: taken, or refused with nothing changed.
void what_a_clone_shares_is_taken_whole_or_not_at_all(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 8) == kOk);
  for (u64 page = 0; page < 8; ++page) EXPECT(s.store(page, page + 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.exhaust(a);
  const Status rights = s.protect(a, 2, 1, kPermR);
  const Status promise = s.unmap(a, 7, 1);
  EXPECT(rights == kOk || rights == kNoMemory);
  EXPECT(promise == kOk || promise == kNoMemory);
  EXPECT(is(s.load(2), 3));
  EXPECT(promise == kOk ? fails(s.load(7), kNoRegion) : is(s.load(7), 8));
  s.relieve(a, 16);
  EXPECT(s.store(2, 9) == (rights == kOk ? kPermission : kOk));
  s.activate(b);
  for (u64 page = 0; page < 8; ++page) EXPECT(is(s.load(page), page + 1));
}
void an_object_is_cut_without_memory(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(20);
  EXPECT(s.map_object(a, 0, 20, o, 0, Sharing::kShared) == kOk);
  for (u64 page = 0; page < 20; ++page) EXPECT(s.store(page, 1) == kOk);
  s.exhaust(a);
  EXPECT(s.resize(o, 5) == kOk);
  EXPECT(s.free_pages() >= 15);
  EXPECT(fails(s.load(5), kPastEnd));
  EXPECT(is(s.warm_load(4), 1));
}
void a_space_is_destroyed_without_memory(Scene& s) {
  const SpaceId a = s.create_active();
  const SpaceId b = s.make_clone(a);
  s.exhaust(a);
  s.activate(b);
  s.destroy(a);
  EXPECT(s.free_pages() > 1000);
  EXPECT(s.map(b, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
}
void a_window_without_memory_is_an_answer(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  const SpaceId a = s.create_active();
  s.exhaust(a);
  EXPECT(s.window_store(1000, 1) == kNoMemory);
  s.relieve(a, 8);
  EXPECT(s.window_store(1000, 1) == kOk);
}
void will_need_without_memory_is_no_error(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(3, 5) == kOk);
  EXPECT(s.map_object(a, u64{1} << 28, 4, o, 0, Sharing::kShared) == kOk);
  s.exhaust(a);
  EXPECT(s.advise(a, u64{1} << 28, 4, Advice::kWillNeed) == kOk);
  EXPECT(is(s.warm_load(3), 5));
}

constexpr Case kShortageCases[] = {
    CASE(too_much_kmem_is_an_answer, kmem_alloc),
    CASE(populate_without_memory_is_an_answer, region_advise),
    VIOLATION_CASE(a_touch_without_memory_is_an_answer),
    CASE(a_clone_without_memory_is_an_answer, space_clone),
    CASE(a_move_without_memory_changes_nothing, region_move),
    VIOLATION_CASE(a_copy_without_memory_keeps_what_was_there),
    VIOLATION_CASE(an_object_page_without_memory_can_come_later),
    VIOLATION_CASE(a_private_copy_without_memory_leaves_the_object),
    CASE(a_space_without_memory_is_an_answer, space_create),
    CASE(kmem_without_memory_is_an_answer, kmem_alloc),
    CASE(rights_are_taken_away_without_memory, region_protect, region_unmap, region_advise),
    CASE(what_was_never_touched_is_unmapped_without_memory, region_unmap),
    CASE(what_a_clone_shares_is_taken_whole_or_not_at_all, space_clone, region_protect, region_unmap),
    CASE(an_object_is_cut_without_memory, object_resize),
    CASE(a_space_is_destroyed_without_memory, space_destroy),
    VIOLATION_CASE(a_window_without_memory_is_an_answer),
    CASE(will_need_without_memory_is_no_error, region_advise),
};

}  // namespace

std::span<const Case> shortage_cases() { return kShortageCases; }

}  // namespace nopte::conformance
