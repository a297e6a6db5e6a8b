// space_clone: equal promises, private pages shared until written.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void clone_sees_what_was_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(1), 0));
}
void clone_child_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(0, 7, 9) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(is(s.warm_load(0, 9), 7));
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void clone_parent_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 3) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 1));
}
void clone_of_a_clone(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  const SpaceId c = s.make_clone(b);
  s.activate(b);
  EXPECT(s.store(1, 2) == kOk);
  s.activate(c);
  EXPECT(s.store(2, 3) == kOk);
  EXPECT(is(s.load(1), 1));
  s.activate(a);
  for (u64 page = 0; page < 3; ++page) EXPECT(is(s.load(page), 1));
  s.activate(b);
  EXPECT(is(s.load(1), 2));
  EXPECT(is(s.load(2), 1));
}
void clone_outlives_its_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  s.destroy(a);
  EXPECT(is(s.load(0), 5));
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(is(s.warm_load(0), 6));
}
void after_the_child_is_gone_the_parent_writes_in_place(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const SpaceId b = s.make_clone(a);
  s.destroy(b);
  const u64 before = s.free_pages();
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(s.free_pages() == before);
}
void clone_copies_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 1) == kPermission);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.protect(b, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 6) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 5));
}
void clone_does_not_see_later_maps(Scene& s) {
  const SpaceId a = s.create_active();
  const SpaceId b = s.make_clone(a);
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(b);
  EXPECT(fails(s.load(0), kNoRegion));
}
void a_private_copy_is_shared_by_a_clone_until_written(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 8) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 7));
}
void a_clone_shares_shared_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(0, 8) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 8));
  EXPECT(s.store(0, 9) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 9));
}
void two_clones_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  const SpaceId c = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 2) == kOk);
  s.activate(c);
  EXPECT(is(s.load(0), 1));
  EXPECT(s.store(0, 3) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 1));
  s.activate(b);
  EXPECT(is(s.load(0), 2));
}
void clone_of_a_space_that_is_not_active(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(SpaceId::kKernel);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(0, 2) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void a_grandchild_outlives_the_middle(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.store(1, 2) == kOk);
  const SpaceId c = s.make_clone(b);
  s.activate(c);
  s.destroy(b);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(1), 2));
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.store(1, 4) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(1), 0));
}
void generations_keep_what_each_wrote(Scene& s) {
  constexpr u64 kGenerations = 12;
  SpaceId ids[kGenerations];
  ids[0] = s.create_active();
  EXPECT(s.map(ids[0], 0, kGenerations) == kOk);
  for (u64 g = 0; g < kGenerations; ++g) {
    if (g != 0) ids[g] = s.make_clone(ids[g - 1]);
    s.activate(ids[g]);
    EXPECT(s.store(g, g + 100) == kOk);
  }
  for (u64 g = 0; g < kGenerations; ++g) {
    s.activate(ids[g]);
    for (u64 page = 0; page < kGenerations; ++page) EXPECT(is(s.load(page), page <= g ? page + 100 : 0));
  }
}
void clone_keeps_hidden_pages(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermNone) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(fails(s.load(0), kPermission));
  EXPECT(s.protect(b, 0, 1, kPermRW) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(s.store(0, 2) == kOk);
  s.activate(a);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 1));
}
void after_an_unmap_the_other_writes_in_place(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.unmap(b, 0, 1) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(s.free_pages() == before);
}
void a_write_after_clone_copies_each_page_once(Scene& s) {
  constexpr u64 kPages = 8;
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, kPages) == kOk);
  for (u64 page = 0; page < kPages; ++page) EXPECT(s.store(page, 1) == kOk);
  s.make_clone(a);
  const u64 before = s.free_pages();
  EXPECT(s.store(3, 2) == kOk);
  EXPECT(s.warm_store(3, 3) == kOk);
  EXPECT(before > s.free_pages());
  for (u64 page = 0; page < kPages; ++page) EXPECT(s.store(page, 2) == kOk);
  // The pages, some of which the clone may have copied, and the tables on the way to them where they were
  // shared.
  EXPECT(before - s.free_pages() <= kPages + 3);
  for (u64 page = 0; page < kPages; ++page) EXPECT(s.warm_store(page, 3) == kOk);
}
void clone_copies_no_pages(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 400) == kOk);
  for (u64 page = 0; page < 400; page += 2) EXPECT(s.store(page, page) == kOk);
  const u64 before = s.free_pages();
  s.make_clone(a);
  // Tables, and what is kept about promises.
  EXPECT(before - s.free_pages() <= 16);
}
void clone_of_what_was_never_touched(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, u64{1} << 32) == kOk);
  const u64 before = s.free_pages();
  const SpaceId b = s.make_clone(a);
  EXPECT(before - s.free_pages() <= 6);
  s.activate(b);
  EXPECT(s.store(u64{1} << 31, 1) == kOk);
  s.activate(a);
  EXPECT(is(s.load(u64{1} << 31), 0));
}
void a_clone_reads_the_object_until_it_writes(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.map_object(a, 9, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(0), 0));
  const SpaceId b = s.make_clone(a);
  EXPECT(s.store(9, 5) == kOk);
  s.activate(b);
  EXPECT(is(s.load(0), 5));
  EXPECT(s.store(0, 7) == kOk);
  EXPECT(is(s.load(9), 5));
  s.activate(a);
  EXPECT(is(s.load(0), 5));
}
void dont_need_in_a_clone_leaves_the_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.advise(b, 0, 1, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(0), 1));
  s.activate(b);
  EXPECT(is(s.load(0), 0));
}
void a_clone_may_execute_what_its_parent_may(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermRWX) == kOk);
  EXPECT(s.store(0, kTrapCode) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(s.execute(0) == kOk);
  EXPECT(s.store(0, kTrapCode, 1) == kOk);
  EXPECT(s.execute(0, 1) == kOk);
}
void the_kernel_space_is_not_cloned(Scene& s) { EXPECT(fails(s.clone(SpaceId::kKernel), kInvalid)); }

constexpr Case kCloneCases[] = {
    CASE(clone_sees_what_was_written, space_clone),
    CASE(clone_child_writes_stay_its_own, space_clone),
    CASE(clone_parent_writes_stay_its_own, space_clone),
    CASE(clone_of_a_clone, space_clone),
    CASE(clone_outlives_its_parent, space_clone, space_destroy),
    CASE(after_the_child_is_gone_the_parent_writes_in_place, space_clone, space_destroy),
    CASE(clone_copies_rights, space_clone, region_protect),
    CASE(clone_does_not_see_later_maps, space_clone),
    CASE(a_private_copy_is_shared_by_a_clone_until_written, space_clone),
    CASE(a_clone_shares_shared_pages, space_clone),
    CASE(two_clones_are_apart, space_clone),
    CASE(clone_of_a_space_that_is_not_active, space_clone),
    CASE(a_grandchild_outlives_the_middle, space_clone, space_destroy),
    CASE(generations_keep_what_each_wrote, space_clone),
    CASE(clone_keeps_hidden_pages, space_clone, region_protect),
    CASE(after_an_unmap_the_other_writes_in_place, space_clone, region_unmap),
    CASE(a_write_after_clone_copies_each_page_once, space_clone),
    CASE(clone_copies_no_pages, space_clone),
    CASE(clone_of_what_was_never_touched, space_clone),
    CASE(a_clone_reads_the_object_until_it_writes, space_clone),
    CASE(dont_need_in_a_clone_leaves_the_parent, space_clone, region_advise),
    CASE(a_clone_may_execute_what_its_parent_may, space_clone),
    CASE(the_kernel_space_is_not_cloned, space_clone),
};

}  // namespace

std::span<const Case> clone_cases() { return kCloneCases; }

}  // namespace nopte::conformance
