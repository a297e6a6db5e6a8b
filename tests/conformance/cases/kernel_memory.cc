// Kernel memory: committed, zero, apart from everything.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void kmem_is_zero_and_committed(Scene& s) {
  const Gva grant = s.make_kmem(20);
  EXPECT(kKmemRange.contains(grant) && grant.page_aligned());
  for (u64 page = 0; page < 20; ++page) {
    const Gva va = grant + pages_to_bytes(page);
    EXPECT(is(s.warm_load_at(va), 0));
    EXPECT(s.warm_store_at(va, page) == kOk);
  }
  for (u64 page = 0; page < 20; ++page) {
    EXPECT(is(s.warm_load_at(grant + pages_to_bytes(page)), page));
  }
  s.kmem_free(grant, 20);
}
void kmem_grants_are_apart(Scene& s) {
  const Gva first = s.make_kmem(1);
  const Gva second = s.make_kmem(1);
  EXPECT(s.warm_store_at(first, 1) == kOk);
  EXPECT(s.warm_store_at(second, 2) == kOk);
  EXPECT(is(s.warm_load_at(first), 1));
  s.kmem_free(first, 1);
  EXPECT(is(s.warm_load_at(second), 2));
  s.kmem_free(second, 1);
}
void freed_kmem_comes_back_zero(Scene& s) {
  const Gva first = s.make_kmem(16);
  EXPECT(s.warm_store_at(first, 77) == kOk);
  s.kmem_free(first, 16);
  const Gva second = s.make_kmem(16);
  EXPECT(is(s.warm_load_at(second), 0));
  s.kmem_free(second, 16);
}
void kmem_comes_in_whole_chunks(Scene& s) {
  const Gva grant = s.make_kmem(1);
  EXPECT(s.warm_store_at(grant + pages_to_bytes(15), 1) == kOk);
  const Gva other = s.make_kmem(17);
  EXPECT(s.warm_store_at(other + pages_to_bytes(31), 2) == kOk);
  EXPECT(is(s.warm_load_at(grant + pages_to_bytes(15)), 1));
  s.kmem_free(other, 17);
  s.kmem_free(grant, 1);
}
void no_pages_of_kmem_are_refused(Scene& s) { EXPECT(fails(s.kmem(0), kInvalid)); }
void many_grants_are_apart(Scene& s) {
  constexpr u64 kMany = 30;
  Gva grants[kMany];
  for (u64 i = 0; i < kMany; ++i) {
    grants[i] = s.make_kmem(1 + i % 20);
    EXPECT(s.warm_store_at(grants[i], i + 1) == kOk);
  }
  for (u64 i = 0; i < kMany; i += 2) s.kmem_free(grants[i], 1 + i % 20);
  for (u64 i = 0; i < kMany; i += 2) {
    grants[i] = s.make_kmem(1 + i % 20);
    EXPECT(is(s.warm_load_at(grants[i]), 0));
  }
  for (u64 i = 1; i < kMany; i += 2) EXPECT(is(s.warm_load_at(grants[i]), i + 1));
  for (u64 i = 0; i < kMany; ++i) s.kmem_free(grants[i], 1 + i % 20);
}
void a_grant_may_span_tables(Scene& s) {
  constexpr u64 kPages = 1100;
  const Gva grant = s.make_kmem(kPages);
  for (u64 page = 0; page < kPages; page += 157) {
    EXPECT(s.warm_store_at(grant + pages_to_bytes(page), page + 1) == kOk);
  }
  for (u64 page = 0; page < kPages; page += 157) {
    EXPECT(is(s.warm_load_at(grant + pages_to_bytes(page)), page + 1));
  }
  s.kmem_free(grant, kPages);
}
void kmem_is_the_same_in_every_space(Scene& s) {
  const SpaceId a = s.create_active();
  const Gva grant = s.make_kmem(1);
  EXPECT(s.warm_store_at(grant, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  s.activate(b);
  EXPECT(is(s.warm_load_at(grant), 1));
  EXPECT(s.warm_store_at(grant, 2) == kOk);
  s.create_active();
  EXPECT(is(s.warm_load_at(grant), 2));
  s.activate(a);
  EXPECT(is(s.warm_load_at(grant), 2));
  s.kmem_free(grant, 1);
}
void freed_kmem_is_gone(Scene& s) {
  s.create_active();
  const Gva grant = s.make_kmem(40);
  EXPECT(s.warm_store_at(grant + pages_to_bytes(39), 1) == kOk);
  EXPECT(s.warm_store_at(grant, 1) == kOk);
  s.kmem_free(grant, 40);
  EXPECT(fails(s.load_at(grant), kNoRegion));
  EXPECT(fails(s.load_at(grant + pages_to_bytes(39)), kNoRegion));
}
void kmem_is_counted(Scene& s) {
  const u64 before = s.free_pages();
  const Gva grant = s.make_kmem(33);
  EXPECT(before - s.free_pages() >= 48);
  s.kmem_free(grant, 33);
  EXPECT(s.free_pages() == before);
}

constexpr Case kKernelMemoryCases[] = {
    CASE(kmem_is_zero_and_committed, kmem_alloc),
    CASE(kmem_grants_are_apart, kmem_alloc, kmem_free),
    CASE(freed_kmem_comes_back_zero, kmem_alloc, kmem_free),
    CASE(kmem_comes_in_whole_chunks, kmem_alloc),
    CASE(no_pages_of_kmem_are_refused, kmem_alloc),
    CASE(many_grants_are_apart, kmem_alloc, kmem_free),
    CASE(a_grant_may_span_tables, kmem_alloc),
    CASE(kmem_is_the_same_in_every_space, kmem_alloc, space_activate),
    CASE(freed_kmem_is_gone, kmem_free),
    CASE(kmem_is_counted, kmem_alloc, kmem_free, memory_info),
};

}  // namespace

std::span<const Case> kernel_memory_cases() { return kKernelMemoryCases; }

}  // namespace nopte::conformance
