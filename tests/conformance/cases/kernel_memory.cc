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

constexpr Case kKernelMemoryCases[] = {
    CASE(kmem_is_zero_and_committed, kmem_alloc),
    CASE(kmem_grants_are_apart, kmem_alloc, kmem_free),
    CASE(freed_kmem_comes_back_zero, kmem_alloc, kmem_free),
};

}  // namespace

std::span<const Case> kernel_memory_cases() { return kKernelMemoryCases; }

}  // namespace nopte::conformance
