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
void many_spaces_are_apart(Scene& s) {
  constexpr u64 kMany = 70;
  SpaceId ids[kMany];
  for (u64 i = 0; i < kMany; ++i) {
    ids[i] = s.create_active();
    EXPECT(s.map(ids[i], 0, 1) == kOk);
    EXPECT(s.store(0, i) == kOk);
  }
  for (u64 i = kMany; i-- > 0;) {
    s.activate(ids[i]);
    EXPECT(is(s.load(0), i));
  }
}
void living_spaces_have_names_of_their_own(Scene& s) {
  const auto a = s.create();
  const auto b = s.create();
  const auto c = s.create();
  if (!a || !b || !c) return s.expect(false, "no memory for a space");
  s.destroy(*b);
  const auto d = s.create();
  if (!d) return s.expect(false, "no memory for a space");
  EXPECT(*a != *c && *a != *d && *c != *d);
  EXPECT(*a != SpaceId::kKernel && *c != SpaceId::kKernel && *d != SpaceId::kKernel);
}
void switching_keeps_what_is_installed(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.create_active();
  EXPECT(s.map(b, 0, 1) == kOk);
  EXPECT(s.store(0, 2) == kOk);
  for (int i = 0; i < 3; ++i) {
    s.activate(a);
    EXPECT(is(s.warm_load(0), 1));
    s.activate(b);
    EXPECT(is(s.warm_load(0), 2));
  }
}
void activating_the_active_space_changes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(a);
  EXPECT(s.warm_store(0, 2) == kOk);
}
void a_space_that_is_gone_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  s.activate(SpaceId::kKernel);
  s.destroy(a);
  EXPECT(fails(s.clone(a), kInvalid));
  EXPECT(s.unmap(a, 0, 1) == kInvalid);
  EXPECT(s.protect(a, 0, 1, kPermR) == kInvalid);
  EXPECT(s.move(a, 0, 1, 10) == kInvalid);
  EXPECT(s.advise(a, 0, 1, Advice::kPopulate) == kInvalid);
}
void a_space_that_never_was_is_refused(Scene& s) {
  for (u32 id : {63u, 64u, 1000u, 0x7fff'ffffu, 0xffff'ffffu}) {
    EXPECT(fails(s.clone(SpaceId(id)), kInvalid));
    EXPECT(s.unmap(SpaceId(id), 0, 1) == kInvalid);
    EXPECT(s.advise(SpaceId(id), 0, 1, Advice::kDontNeed) == kInvalid);
  }
}
void destroying_a_space_ends_its_mappings(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 9, 2, o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(9, 2) == kOk);
  s.activate(SpaceId::kKernel);
  s.destroy(a);
  const SpaceId b = s.create_active();
  EXPECT(s.map_object(b, 0, 1, o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(s.unmap(b, 0, 1) == kOk);
  EXPECT(s.destroy_object(o) == kOk);
}
void destroy_gives_tables_back(Scene& s) {
  const u64 before = s.free_pages();
  const SpaceId a = s.create_active();
  EXPECT(s.map_region(a, {kUserRange, kPermRW}) == kOk);
  for (u64 slot = 1; slot < 120; slot += 17) EXPECT(s.store_at(Gva(slot << 39), slot) == kOk);
  for (u64 gib = 1; gib < 6; ++gib) EXPECT(s.store_at(Gva(gib << 30), gib) == kOk);
  s.activate(SpaceId::kKernel);
  s.destroy(a);
  EXPECT(s.free_pages() == before);
}

void a_switch_leaves_nothing_of_the_other(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const u64 before = s.free_pages();
  const SpaceId b = s.create_active();
  EXPECT(s.map(b, 0, 200) == kOk);
  for (u64 page = 0; page < 200; page += 3) EXPECT(s.store(page, page + 2) == kOk);
  s.switch_to(a, b);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(fails(s.load(3), kNoRegion));
  EXPECT(s.free_pages() == before);
  EXPECT(s.unmap(b, 0, 1) == kInvalid);
  EXPECT(fails(s.clone(b), kInvalid));
}
void a_switch_to_the_kernel_space(Scene& s) {
  const u64 before = s.free_pages();
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  s.switch_to(SpaceId::kKernel, a);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(s.free_pages() == before);
}
void a_switch_may_destroy_what_does_not_run(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.create_active();
  EXPECT(s.map(b, 0, 1) == kOk);
  EXPECT(s.store(0, 2) == kOk);
  const SpaceId c = s.create_active();
  s.switch_to(b, a);
  EXPECT(is(s.warm_load(0), 2));
  EXPECT(s.unmap(a, 0, 1) == kInvalid);
  s.switch_to(b, c);
  EXPECT(is(s.warm_load(0), 2));
}
void a_switch_back_to_the_parent(Scene& s) {
  const SpaceId parent = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map(parent, 0, 100) == kOk);
  EXPECT(s.map_object(parent, 200, 2, o, 0, Sharing::kPrivate) == kOk);
  for (u64 page = 0; page < 100; ++page) EXPECT(s.store(page, page) == kOk);
  const u64 before = s.free_pages();
  const SpaceId child = s.make_clone(parent);
  s.activate(child);
  EXPECT(s.store(7, 70) == kOk);
  EXPECT(s.store(200, 1) == kOk);
  EXPECT(s.unmap(child, 50, 10) == kOk);
  s.switch_to(parent, child);
  for (u64 page = 0; page < 100; ++page) EXPECT(is(s.load(page), page));
  EXPECT(s.store(7, 71) == kOk);
  EXPECT(is(s.load(200), 0));
  EXPECT(s.unmap(parent, 200, 2) == kOk);
  EXPECT(s.destroy_object(o) == kOk);
  EXPECT(s.free_pages() >= before);
}

constexpr Case kSpacesCases[] = {
    CASE(spaces_are_apart, space_create, space_activate),
    CASE(the_kernel_space_has_no_user_memory, space_activate),
    CASE(calls_on_a_space_that_is_not_active, region_unmap, region_protect),
    CASE(destroy_gives_memory_back, space_destroy),
    CASE(many_spaces_are_apart, space_create, space_activate),
    CASE(living_spaces_have_names_of_their_own, space_create, space_destroy),
    CASE(switching_keeps_what_is_installed, space_activate),
    CASE(activating_the_active_space_changes_nothing, space_activate),
    CASE(a_space_that_is_gone_is_refused, space_destroy, space_clone, region_unmap, region_protect,
         region_move, region_advise),
    CASE(a_space_that_never_was_is_refused, space_clone, region_unmap, region_advise),
    CASE(destroying_a_space_ends_its_mappings, space_destroy, object_destroy),
    CASE(destroy_gives_tables_back, space_destroy),
    CASE(a_switch_leaves_nothing_of_the_other, space_switch),
    CASE(a_switch_to_the_kernel_space, space_switch),
    CASE(a_switch_may_destroy_what_does_not_run, space_switch),
    CASE(a_switch_back_to_the_parent, space_switch),
};

}  // namespace

std::span<const Case> spaces_cases() { return kSpacesCases; }

}  // namespace nopte::conformance
