// What an access is refused for, and where: no region, no right, past the end.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void nothing_is_promised_around_regions(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 1, 1) == kOk);
  EXPECT(s.map(a, 3, 1) == kOk);
  for (u64 page : {0, 2, 4}) {
    EXPECT(fails(s.load(page, 511), kNoRegion));
    EXPECT(s.store(page, 1, 3) == kNoRegion);
    EXPECT(s.execute(page, 7) == kNoRegion);
  }
}
void nothing_lies_outside_user_space(Scene& s) {
  s.create_active();
  for (Gva va : {Gva(0), kUserRange.begin - 8, kUserRange.end, kUserRange.end + 0xfff8}) {
    EXPECT(fails(s.load_at(va), kNoRegion));
    EXPECT(s.store_at(va, 1) == kNoRegion);
    EXPECT(s.execute_at(va) == kNoRegion);
  }
}
void the_kernel_sees_nothing_beside_its_windows(Scene& s) {
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(fails(s.window_load(999), kNoRegion));
  EXPECT(s.window_store(1001, 1) == kNoRegion);
  EXPECT(fails(s.load_at(kWindowRange.end), kNoRegion));
  EXPECT(fails(s.load_at(kWindowRange.begin - 8), kNoRegion));
}
void a_region_without_rights_refuses_everything(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermNone) == kOk);
  EXPECT(fails(s.load(0), kPermission));
  EXPECT(s.store(0, 1, 9) == kPermission);
  EXPECT(s.execute(0) == kPermission);
}
void write_implies_read(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, Perm(Perm::kWrite)) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(is(s.warm_load(0), 5));
  EXPECT(s.execute(0) == kPermission);
}
void execute_implies_read_alone(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, kTrapCode) == kOk);
  EXPECT(s.protect(a, 0, 1, Perm(Perm::kExec)) == kOk);
  EXPECT(s.execute(0) == kOk);
  EXPECT(is(s.load(0), kTrapCode));
  EXPECT(s.store(0, 1) == kPermission);
}
void a_program_runs_where_it_may(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermRWX) == kOk);
  EXPECT(s.store(0, kTrapCode, 511) == kOk);
  EXPECT(s.execute(0, 511) == kOk);
}
void a_program_does_not_run_where_it_may_only_write(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermRW) == kOk);
  EXPECT(s.store(0, kTrapCode, 6) == kOk);
  EXPECT(s.execute(0, 6) == kPermission);
  EXPECT(is(s.warm_load(0, 6), kTrapCode));
}
void a_program_runs_from_an_object(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(2);
  EXPECT(s.map_object(a, 0, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.store(1, kTrapCode) == kOk);
  EXPECT(s.map_object(a, 10, 4, o, 0, Sharing::kPrivate, kPermRX) == kOk);
  EXPECT(s.execute(11) == kOk);
  EXPECT(s.execute(1) == kPermission);
  EXPECT(s.execute(12) == kPastEnd);
}
void a_program_does_not_run_in_kernel_memory(Scene& s) {
  s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  EXPECT(s.window_store(1000, kTrapCode) == kOk);
  EXPECT(s.execute_at(Scene::window_at(1000)) == kNoRegion);
  const Gva grant = s.make_kmem(1);
  EXPECT(s.warm_store_at(grant, kTrapCode) == kOk);
  EXPECT(s.execute_at(grant) == kNoRegion);
  s.kmem_free(grant, 1);
}
void a_refused_access_changes_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1, kPermR) == kOk);
  EXPECT(is(s.load(0), 0));
  const u64 before = s.free_pages();
  EXPECT(s.store(0, 1) == kPermission);
  EXPECT(s.execute(0) == kPermission);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(s.free_pages() == before);
  EXPECT(is(s.warm_load(0), 0));
}

constexpr Case kViolationsCases[] = {
    VIOLATION_CASE(nothing_is_promised_around_regions),
    VIOLATION_CASE(nothing_lies_outside_user_space),
    VIOLATION_CASE(the_kernel_sees_nothing_beside_its_windows),
    VIOLATION_CASE(a_region_without_rights_refuses_everything),
    VIOLATION_CASE(write_implies_read),
    VIOLATION_CASE(execute_implies_read_alone),
    CASE(a_program_runs_where_it_may, region_map),
    VIOLATION_CASE(a_program_does_not_run_where_it_may_only_write),
    VIOLATION_CASE(a_program_runs_from_an_object),
    VIOLATION_CASE(a_program_does_not_run_in_kernel_memory),
    VIOLATION_CASE(a_refused_access_changes_nothing),
};

}  // namespace

std::span<const Case> violations_cases() { return kViolationsCases; }

}  // namespace nopte::conformance
