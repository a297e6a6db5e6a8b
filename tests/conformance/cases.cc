// The cases: what every home of memory must do, whoever owns paging. Written against MmOps' text.
#include <initializer_list>

#include "tests/conformance/scene.h"

namespace nopte::conformance {
namespace {

constexpr Status kOk = Status::kOk;
constexpr Status kBad = Status::kBadAddress;

bool is(const Result<u64>& got, u64 value) { return got && *got == value; }
bool fails(const Result<u64>& got, Status status) { return !got && got.error() == status; }

#define EXPECT(condition) s.expect((condition), #condition)

// --- anonymous memory ----------------------------------------------------------------------------------

void anonymous_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 word : {0, 255, 511}) EXPECT(is(s.load(1, word), 0));
}
void anonymous_keeps_what_is_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  EXPECT(s.store(1, 42, 511) == kOk);
  EXPECT(is(s.warm_load(1, 511), 42));
  EXPECT(is(s.warm_load(1, 0), 0));
}
void anonymous_write_after_read_is_warm_once_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 7) == kOk);
  EXPECT(s.warm_store(0, 8) == kOk);
  EXPECT(is(s.warm_load(0), 8));
}
void anonymous_pages_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 16) == kOk);
  for (u64 page = 0; page < 16; ++page) EXPECT(s.store(page, page + 1) == kOk);
  for (u64 page = 0; page < 16; ++page) EXPECT(is(s.warm_load(page), page + 1));
}
void anonymous_spans_a_gibibyte_boundary(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 4, 2) == kOk);
  EXPECT(s.store(4, 1) == kOk);
  EXPECT(s.store(5, 2) == kOk);
  EXPECT(is(s.warm_load(4), 1));
  EXPECT(is(s.warm_load(5), 2));
}
void nothing_is_outside_regions(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 1) == kOk);
  EXPECT(fails(s.load(1), kBad));
  EXPECT(fails(s.load(3), kBad));
  EXPECT(s.store(3, 1) == kBad);
  EXPECT(is(s.load(2), 0));
}
void a_map_call_installs_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  EXPECT(s.map(a, 0, 64) == kOk);
  // At most what is kept about the promise itself.
  EXPECT(before - s.free_pages() <= 2);
}
void freed_memory_does_not_show_through(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 8) == kOk);
  for (u64 page = 0; page < 8; ++page) EXPECT(s.store(page, ~u64{0}, 100) == kOk);
  EXPECT(s.unmap(a, 0, 8) == kOk);
  EXPECT(s.map(a, 32, 8) == kOk);
  for (u64 page = 32; page < 40; ++page) EXPECT(is(s.load(page, 100), 0));
}
void the_ends_of_user_space_can_be_mapped(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 last = (kUserRange.end - Scene::kArena) / kPageBytes - 1;
  EXPECT(s.map(a, last, 1) == kOk);
  EXPECT(s.store(last, 9, 511) == kOk);
  EXPECT(is(s.warm_load(last, 511), 9));
}

// --- unmap ---------------------------------------------------------------------------------------------

void unmap_takes_the_page_out(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(fails(s.load(0), kBad));
}
void unmap_of_the_middle_keeps_the_ends(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 5) == kOk);
  for (u64 page = 0; page < 5; ++page) EXPECT(s.store(page, page + 10) == kOk);
  EXPECT(s.unmap(a, 1, 3) == kOk);
  EXPECT(is(s.warm_load(0), 10));
  EXPECT(fails(s.load(1), kBad));
  EXPECT(fails(s.load(3), kBad));
  EXPECT(is(s.warm_load(4), 14));
}
void unmap_over_holes(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 1, 1) == kOk);
  EXPECT(s.map(a, 3, 1) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.unmap(a, 0, 6) == kOk);
  EXPECT(s.unmap(a, 0, 6) == kOk);
  EXPECT(fails(s.load(1), kBad));
  EXPECT(fails(s.load(3), kBad));
}
void unmap_and_map_again_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(is(s.load(0), 0));
}
void unmap_gives_memory_back(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 64) == kOk);
  const u64 before = s.free_pages();
  for (u64 page = 0; page < 64; ++page) EXPECT(s.store(page, 1) == kOk);
  EXPECT(before - s.free_pages() >= 64);
  EXPECT(s.unmap(a, 0, 64) == kOk);
  EXPECT(s.free_pages() >= before);
}

// --- protect -------------------------------------------------------------------------------------------

void read_only_refuses_writes(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 1) == kBad);
}
void protect_takes_writing_away_at_once(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.store(0, 4) == kBad);
  EXPECT(is(s.warm_load(0), 3));
}
void protect_gives_writing_back_warm(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.warm_store(0, 4) == kOk);
  EXPECT(is(s.warm_load(0), 4));
}
void protect_none_hides_and_keeps(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 3) == kOk);
  EXPECT(s.protect(a, 0, 2, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kBad));
  EXPECT(s.store(1, 1) == kBad);
  EXPECT(s.protect(a, 0, 2, kPermRW) == kOk);
  EXPECT(is(s.load(0), 3));
  EXPECT(is(s.load(1), 0));
}
void protect_of_the_middle(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, page) == kOk);
  EXPECT(s.protect(a, 1, 1, kPermR) == kOk);
  EXPECT(s.warm_store(0, 9) == kOk);
  EXPECT(s.store(1, 9) == kBad);
  EXPECT(s.warm_store(2, 9) == kOk);
}
void protect_before_the_first_touch(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kBad));
  EXPECT(s.protect(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(1, 1) == kBad);
}
void protect_over_a_boundary_of_regions(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2, kPermR) == kOk);
  EXPECT(s.map(a, 2, 2, kPermRW) == kOk);
  EXPECT(s.protect(a, 1, 2, kPermRW) == kOk);
  EXPECT(s.store(0, 1) == kBad);
  for (u64 page = 1; page < 4; ++page) EXPECT(s.store(page, 1) == kOk);
}

// --- move ----------------------------------------------------------------------------------------------

void move_carries_contents(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  EXPECT(s.store(1, 11) == kOk);
  EXPECT(s.store(3, 13) == kOk);
  EXPECT(s.move(a, 0, 4, 600) == kOk);
  EXPECT(fails(s.load(1), kBad));
  EXPECT(is(s.load(601), 11));
  EXPECT(is(s.load(602), 0));
  EXPECT(is(s.load(603), 13));
}
void move_of_a_part(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(page, page + 1) == kOk);
  EXPECT(s.move(a, 1, 2, 100) == kOk);
  EXPECT(is(s.warm_load(0), 1));
  EXPECT(fails(s.load(1), kBad));
  EXPECT(is(s.load(100), 2));
  EXPECT(is(s.load(101), 3));
  EXPECT(is(s.warm_load(3), 4));
}
void move_and_back(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.move(a, 0, 2, 50) == kOk);
  EXPECT(s.move(a, 50, 2, 0) == kOk);
  EXPECT(is(s.load(0), 1));
  EXPECT(fails(s.load(50), kBad));
}
void move_by_whole_tables(Scene& s) {
  const SpaceId a = s.create_active();
  constexpr u64 kAligned = 5 + 512;  // a 2 MiB boundary
  EXPECT(s.map(a, kAligned, 1024) == kOk);
  EXPECT(s.store(kAligned, 1) == kOk);
  EXPECT(s.store(kAligned + 1023, 2) == kOk);
  EXPECT(s.move(a, kAligned, 1024, kAligned + 4096) == kOk);
  EXPECT(fails(s.load(kAligned), kBad));
  EXPECT(is(s.load(kAligned + 4096), 1));
  EXPECT(is(s.load(kAligned + 4096 + 1023), 2));
  EXPECT(is(s.load(kAligned + 4096 + 5), 0));
}
void a_moved_page_is_still_copied_on_write(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const auto b = s.clone(a);
  EXPECT(b.has_value());
  if (!b) return;
  EXPECT(s.move(a, 0, 1, 40) == kOk);
  EXPECT(s.store(40, 2) == kOk);
  s.activate(*b);
  EXPECT(is(s.load(0), 1));
}

// --- spaces --------------------------------------------------------------------------------------------

void spaces_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.create_active();
  EXPECT(fails(s.load(0), kBad));
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
  EXPECT(fails(s.load(0), kBad));
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
  EXPECT(fails(s.load(0), kBad));
  EXPECT(s.store(1, 3) == kBad);
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

// --- clone ---------------------------------------------------------------------------------------------

void clone_sees_what_was_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const auto b = s.clone(a);
  EXPECT(b.has_value());
  if (!b) return;
  s.activate(*b);
  EXPECT(is(s.load(0), 1));
  EXPECT(is(s.load(1), 0));
}
void clone_child_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(0, 7, 9) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  s.activate(*b);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(is(s.warm_load(0, 9), 7));
  s.activate(a);
  EXPECT(is(s.load(0), 1));
}
void clone_parent_writes_stay_its_own(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  EXPECT(s.store(0, 3) == kOk);
  s.activate(*b);
  EXPECT(is(s.load(0), 1));
}
void clone_of_a_clone(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 page = 0; page < 3; ++page) EXPECT(s.store(page, 1) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  const auto c = s.clone(*b);
  if (!c) return s.expect(false, "no memory for a clone");
  s.activate(*b);
  EXPECT(s.store(1, 2) == kOk);
  s.activate(*c);
  EXPECT(s.store(2, 3) == kOk);
  EXPECT(is(s.load(1), 1));
  s.activate(a);
  for (u64 page = 0; page < 3; ++page) EXPECT(is(s.load(page), 1));
  s.activate(*b);
  EXPECT(is(s.load(1), 2));
  EXPECT(is(s.load(2), 1));
}
void clone_outlives_its_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  s.activate(*b);
  s.destroy(a);
  EXPECT(is(s.load(0), 5));
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(is(s.warm_load(0), 6));
}
void after_the_child_is_gone_the_parent_writes_in_place(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  s.destroy(*b);
  const u64 before = s.free_pages();
  EXPECT(s.store(0, 6) == kOk);
  EXPECT(s.free_pages() == before);
}
void clone_copies_rights(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.protect(a, 0, 1, kPermR) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  s.activate(*b);
  EXPECT(s.store(0, 1) == kBad);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.protect(*b, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, 6) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 5));
}
void clone_does_not_see_later_maps(Scene& s) {
  const SpaceId a = s.create_active();
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  s.activate(*b);
  EXPECT(fails(s.load(0), kBad));
}

// --- objects -------------------------------------------------------------------------------------------

void object_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(4);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(2, 300), 0));
}
void shared_mappings_show_the_same_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(4);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 100, 2, *o, 2, Sharing::kShared) == kOk);
  EXPECT(s.store(3, 33) == kOk);
  EXPECT(is(s.load(101), 33));
  const SpaceId b = s.create_active();
  EXPECT(s.map_object(b, 7, 1, *o, 3, Sharing::kShared) == kOk);
  EXPECT(is(s.load(7), 33));
  EXPECT(s.store(7, 34) == kOk);
  s.activate(a);
  EXPECT(is(s.load(3), 34));
}
void private_mapping_reads_the_object(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 2, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 2, *o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(is(s.load(11), 5));
  EXPECT(s.store(1, 6) == kOk);
  EXPECT(is(s.load(11), 6));
}
void private_mapping_writes_stay_private(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 2, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 2, *o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(s.store(11, 7) == kOk);
  EXPECT(is(s.load(1), 5));
  EXPECT(s.store(1, 8) == kOk);
  EXPECT(is(s.warm_load(11), 7));
}
void a_private_copy_is_shared_by_a_clone_until_written(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 1, *o, 0, Sharing::kPrivate) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  EXPECT(s.store(0, 8) == kOk);
  s.activate(*b);
  EXPECT(is(s.load(0), 7));
}
void a_clone_shares_shared_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 1, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 7) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  EXPECT(s.store(0, 8) == kOk);
  s.activate(*b);
  EXPECT(is(s.load(0), 8));
  EXPECT(s.store(0, 9) == kOk);
  s.activate(a);
  EXPECT(is(s.load(0), 9));
}
void past_the_end_of_an_object(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 4, *o, 0, Sharing::kPrivate) == kOk);
  EXPECT(is(s.load(1), 0));
  EXPECT(fails(s.load(2), Status::kPastEnd));
  EXPECT(s.store(3, 1) == Status::kPastEnd);
  EXPECT(s.store(12, 1) == Status::kPastEnd);
}
void growing_an_object_makes_pages_reachable(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 3, *o, 0, Sharing::kShared) == kOk);
  EXPECT(fails(s.load(2), Status::kPastEnd));
  EXPECT(s.resize(*o, 3) == kOk);
  EXPECT(s.store(2, 1) == kOk);
}
void shrinking_takes_pages_from_every_mapping(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(4);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 10, 4, *o, 0, Sharing::kPrivate) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(page, page + 1) == kOk);
  EXPECT(s.store(13, 99) == kOk);
  const auto b = s.clone(a);
  if (!b) return s.expect(false, "no memory for a clone");
  EXPECT(s.resize(*o, 2) == kOk);
  EXPECT(is(s.load(1), 2));
  EXPECT(fails(s.load(2), Status::kPastEnd));
  EXPECT(fails(s.load(13), Status::kPastEnd));
  s.activate(*b);
  EXPECT(fails(s.load(3), Status::kPastEnd));
  EXPECT(fails(s.load(13), Status::kPastEnd));
}
void shrink_and_grow_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 2, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(1, 5) == kOk);
  EXPECT(s.resize(*o, 1) == kOk);
  EXPECT(s.resize(*o, 2) == kOk);
  EXPECT(is(s.load(1), 0));
}
void an_object_outlives_its_mappings(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 2, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.unmap(a, 0, 2) == kOk);
  EXPECT(s.map_object(a, 20, 1, *o, 0, Sharing::kShared, kPermR) == kOk);
  EXPECT(is(s.load(20), 5));
  EXPECT(s.store(20, 6) == kBad);
}
void a_sparse_object_costs_only_its_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  const auto o = s.object(u64{1} << 24);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 1, *o, (u64{1} << 24) - 1, Sharing::kShared) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(before - s.free_pages() <= 16);
}
void moving_a_shared_mapping(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(4);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(2, 5) == kOk);
  EXPECT(s.move(a, 1, 3, 30) == kOk);
  EXPECT(is(s.load(31), 5));
  EXPECT(s.store(31, 6) == kOk);
  EXPECT(fails(s.load(2), kBad));
  EXPECT(s.map_object(a, 60, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(is(s.load(62), 6));
}

// --- advice --------------------------------------------------------------------------------------------

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
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 0, 1, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 5, 1, *o, 0, Sharing::kPrivate) == kOk);
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
  EXPECT(s.store(3, 1) == kBad);
  EXPECT(fails(s.load(2), kBad));
}
void will_need_makes_no_pages(Scene& s) {
  const SpaceId a = s.create_active();
  const auto o = s.object(8);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_object(a, 40, 8, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(43, 1) == kOk);
  EXPECT(s.map_object(a, 20, 8, *o, 0, Sharing::kShared) == kOk);
  const u64 before = s.free_pages();
  EXPECT(s.advise(a, 20, 8, Advice::kWillNeed) == kOk);
  EXPECT(s.free_pages() == before);
  EXPECT(is(s.warm_load(23), 1));
}

// --- kernel memory and windows -------------------------------------------------------------------------

void kmem_is_zero_and_committed(Scene& s) {
  const auto grant = s.kmem(20);
  if (!grant) return s.expect(false, "no kernel memory");
  EXPECT(kKmemRange.contains(*grant) && grant->page_aligned());
  for (u64 page = 0; page < 20; ++page) {
    const Gva va = *grant + pages_to_bytes(page);
    EXPECT(s.memory().kernel_load(va) == 0);
    s.memory().kernel_store(va, page);
  }
  for (u64 page = 0; page < 20; ++page) {
    EXPECT(s.memory().kernel_load(*grant + pages_to_bytes(page)) == page);
  }
  s.kmem_free(*grant, 20);
}
void kmem_grants_are_apart(Scene& s) {
  const auto first = s.kmem(1);
  const auto second = s.kmem(1);
  if (!first || !second) return s.expect(false, "no kernel memory");
  s.memory().kernel_store(*first, 1);
  s.memory().kernel_store(*second, 2);
  EXPECT(s.memory().kernel_load(*first) == 1);
  s.kmem_free(*first, 1);
  EXPECT(s.memory().kernel_load(*second) == 2);
  s.kmem_free(*second, 1);
}
void freed_kmem_comes_back_zero(Scene& s) {
  const auto first = s.kmem(16);
  if (!first) return s.expect(false, "no kernel memory");
  s.memory().kernel_store(*first, 77);
  s.kmem_free(*first, 16);
  const auto second = s.kmem(16);
  if (!second) return s.expect(false, "no kernel memory");
  EXPECT(s.memory().kernel_load(*second) == 0);
  s.kmem_free(*second, 16);
}
void too_much_kmem_is_an_answer(Scene& s) {
  const u64 before = s.free_pages();
  const auto grant = s.kmem(u64{1} << 30);
  EXPECT(!grant && grant.error() == Status::kNoMemory);
  EXPECT(s.free_pages() == before);
}
void a_window_shows_the_object(Scene& s) {
  const auto o = s.object(4);
  if (!o) return s.expect(false, "no memory for an object");
  const SpaceId a = s.create_active();
  EXPECT(s.map_object(a, 0, 4, *o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_window(*o, 1000, 4, 0) == kOk);
  EXPECT(s.window_store(1002, 5) == kOk);
  EXPECT(is(s.load(2), 5));
  EXPECT(s.store(3, 6) == kOk);
  EXPECT(is(s.window_load(1003), 6));
}
void a_window_ends_with_the_object(Scene& s) {
  const auto o = s.object(2);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_window(*o, 1000, 4, 0) == kOk);
  EXPECT(is(s.window_load(1001), 0));
  EXPECT(fails(s.window_load(1002), Status::kPastEnd));
  EXPECT(s.window_store(1003, 1) == Status::kPastEnd);
  EXPECT(s.resize(*o, 1) == kOk);
  EXPECT(fails(s.window_load(1001), Status::kPastEnd));
}
void a_window_is_there_in_every_space(Scene& s) {
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_window(*o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, 5) == kOk);
  s.create_active();
  EXPECT(is(s.memory().window_load(kWindowRange.begin + pages_to_bytes(1000)), 5));
  s.create_active();
  EXPECT(is(s.memory().window_load(kWindowRange.begin + pages_to_bytes(1000)), 5));
}
void an_unmapped_window_is_gone_everywhere(Scene& s) {
  const auto o = s.object(1);
  if (!o) return s.expect(false, "no memory for an object");
  EXPECT(s.map_window(*o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, 5) == kOk);
  s.create_active();
  EXPECT(s.unmap_window(1000, 1) == kOk);
  EXPECT(fails(s.window_load(1000), kBad));
  s.create_active();
  EXPECT(fails(s.window_load(1000), kBad));
}

// --- memory runs out -----------------------------------------------------------------------------------

void populate_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == Status::kNoMemory);
  EXPECT(is(s.warm_load(0), 0));
  EXPECT(s.unmap(a, 0, pages) == kOk);
}
void a_touch_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == Status::kNoMemory);
  EXPECT(s.store(pages - 1, 1) == Status::kNoMemory);
  EXPECT(s.advise(a, 0, 8, Advice::kDontNeed) == kOk);
  EXPECT(s.store(pages - 1, 1) == kOk);
}
void a_clone_without_memory_is_an_answer(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 pages = s.free_pages() + 1;
  EXPECT(s.map(a, 0, pages) == kOk);
  EXPECT(s.advise(a, 0, pages, Advice::kPopulate) == Status::kNoMemory);
  const auto b = s.clone(a);
  EXPECT(!b && b.error() == Status::kNoMemory);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(is(s.warm_load(0), 2));
}

#undef EXPECT

#define CASE(name) \
  Case { #name, name }
constexpr Case kCases[] = {
    CASE(anonymous_reads_zero),
    CASE(anonymous_keeps_what_is_written),
    CASE(anonymous_write_after_read_is_warm_once_written),
    CASE(anonymous_pages_are_apart),
    CASE(anonymous_spans_a_gibibyte_boundary),
    CASE(nothing_is_outside_regions),
    CASE(a_map_call_installs_nothing),
    CASE(freed_memory_does_not_show_through),
    CASE(the_ends_of_user_space_can_be_mapped),
    CASE(unmap_takes_the_page_out),
    CASE(unmap_of_the_middle_keeps_the_ends),
    CASE(unmap_over_holes),
    CASE(unmap_and_map_again_reads_zero),
    CASE(unmap_gives_memory_back),
    CASE(read_only_refuses_writes),
    CASE(protect_takes_writing_away_at_once),
    CASE(protect_gives_writing_back_warm),
    CASE(protect_none_hides_and_keeps),
    CASE(protect_of_the_middle),
    CASE(protect_before_the_first_touch),
    CASE(protect_over_a_boundary_of_regions),
    CASE(move_carries_contents),
    CASE(move_of_a_part),
    CASE(move_and_back),
    CASE(move_by_whole_tables),
    CASE(a_moved_page_is_still_copied_on_write),
    CASE(spaces_are_apart),
    CASE(the_kernel_space_has_no_user_memory),
    CASE(calls_on_a_space_that_is_not_active),
    CASE(destroy_gives_memory_back),
    CASE(clone_sees_what_was_written),
    CASE(clone_child_writes_stay_its_own),
    CASE(clone_parent_writes_stay_its_own),
    CASE(clone_of_a_clone),
    CASE(clone_outlives_its_parent),
    CASE(after_the_child_is_gone_the_parent_writes_in_place),
    CASE(clone_copies_rights),
    CASE(clone_does_not_see_later_maps),
    CASE(object_reads_zero),
    CASE(shared_mappings_show_the_same_pages),
    CASE(private_mapping_reads_the_object),
    CASE(private_mapping_writes_stay_private),
    CASE(a_private_copy_is_shared_by_a_clone_until_written),
    CASE(a_clone_shares_shared_pages),
    CASE(past_the_end_of_an_object),
    CASE(growing_an_object_makes_pages_reachable),
    CASE(shrinking_takes_pages_from_every_mapping),
    CASE(shrink_and_grow_reads_zero),
    CASE(an_object_outlives_its_mappings),
    CASE(a_sparse_object_costs_only_its_pages),
    CASE(moving_a_shared_mapping),
    CASE(dont_need_drops_anonymous_pages),
    CASE(dont_need_drops_private_copies_not_the_object),
    CASE(populate_installs_ahead),
    CASE(populate_skips_holes_and_read_only_stays_so),
    CASE(will_need_makes_no_pages),
    CASE(kmem_is_zero_and_committed),
    CASE(kmem_grants_are_apart),
    CASE(freed_kmem_comes_back_zero),
    CASE(too_much_kmem_is_an_answer),
    CASE(a_window_shows_the_object),
    CASE(a_window_ends_with_the_object),
    CASE(a_window_is_there_in_every_space),
    CASE(an_unmapped_window_is_gone_everywhere),
    CASE(populate_without_memory_is_an_answer),
    CASE(a_touch_without_memory_is_an_answer),
    CASE(a_clone_without_memory_is_an_answer),
};

}  // namespace

std::span<const Case> cases() { return kCases; }

}  // namespace nopte::conformance
