// Among mappings of a page each, side by side, writable and not by turns, so that no two are one.
#include <sys/mman.h>
#include <unistd.h>

#include "experiments/workloads/curves/curves.h"
#include "experiments/workloads/mmlat/memory.h"

namespace curves {
namespace {

using mmlat::Bytes;
using mmlat::kPage;

// Another right than any of them has.
constexpr int kOther = PROT_READ | PROT_EXEC;
constexpr uint64_t kOps = 200;

Bytes page(uint64_t i) { return reinterpret_cast<Bytes>(mmlat::kFixedArea + i * kPage); }

// A hole of a page behind each, of which two pages fit into none.
void among_holes(uint64_t count) {
  const Bytes all = mmlat::map_anonymous(2 * count * kPage, MAP_NORESERVE);
  for (uint64_t i = 0; i < count; ++i) mmlat::unmap(all + (2 * i + 1) * kPage, kPage);
  measure("mappings-search", count, kOps, [] { mmlat::unmap(mmlat::map_anonymous(2 * kPage), 2 * kPage); });
  mmlat::unmap(all, 2 * count * kPage);
}

// All of them of one page of one file.
void among_views(uint64_t count) {
  const int file = memfd_create("views", 0);
  mmlat::expect(file >= 0 && ftruncate(file, kPage) == 0, "memfd");
  const auto map = [&](Bytes at) {
    mmlat::expect(
        mmap(mmlat::plain(at), kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED,
        "mmap");
    *at = 1;
  };
  for (uint64_t i = 0; i < count; ++i) map(page(i));
  uint64_t at = 0;
  measure("mappings-of-a-file", count, kOps, [&] { map(page((at += 101) % count)); });
  mmlat::unmap(page(0), count * kPage);
  close(file);
}

}  // namespace

void among_mappings(uint64_t count) {
  among_holes(count);
  among_views(count);
  mmlat::map_anonymous(count * kPage, MAP_NORESERVE, mmlat::kFixedArea);
  for (uint64_t i = 1; i < count; i += 2) mmlat::protect(page(i), kPage, PROT_READ);
  // The tables are there before.
  for (uint64_t i = 0; i < count; i += mmlat::kLeafTableSpan / kPage) static_cast<void>(*page(i));
  uint64_t at = 0;
  const auto next = [&] { return page((at += 202) % count & ~uint64_t{1}); };
  measure("mappings-map-unmap", count, kOps, [&] { mmlat::unmap(mmlat::map_anonymous(kPage), kPage); });
  measure("mappings-protect", count, kOps, [&] {
    const Bytes chosen = next();
    mmlat::protect(chosen, kPage, kOther);
    mmlat::protect(chosen, kPage, PROT_READ | PROT_WRITE);
  });
  measure("mappings-again", count, kOps, [&] {
    const Bytes chosen = next();
    mmlat::unmap(chosen, kPage);
    mmlat::map_anonymous(kPage, 0, reinterpret_cast<uintptr_t>(chosen));
  });
  measure("mappings-fault", count, kOps, [&] {
    const Bytes chosen = next();
    *chosen = 1;
    mmlat::expect(madvise(mmlat::plain(chosen), kPage, MADV_DONTNEED) == 0, "madvise");
  });
  mmlat::unmap(page(0), count * kPage);
}

}  // namespace curves
