// Rows that map and unmap: one page at a time, and anonymous memory in bulk.
#include <sys/syscall.h>
#include <unistd.h>

#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {

void run_getpid(const char* name) {
  const uint64_t ops = scaled(10'000);
  syscall(SYS_getpid);
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) syscall(SYS_getpid);
  end_span(ops);
}

void run_map_unmap(const char* name) {
  const uint64_t ops = scaled(2'000);
  const auto cycle = [] { unmap(map_anonymous(kPage), kPage); };
  for (int i = 0; i < 8; ++i) cycle();
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
}

namespace {

void map_touch_unmap(const char* name, uintptr_t at) {
  const uint64_t ops = scaled(2'000);
  const auto cycle = [at] {
    Bytes page = map_anonymous(kPage, 0, at);
    *page = 1;
    unmap(page, kPage);
  };
  for (int i = 0; i < 8; ++i) cycle();
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
}

}  // namespace

void run_map_touch_unmap_bare(const char* name) { map_touch_unmap(name, kEmptyArea); }

void run_map_touch_unmap_kept(const char* name) {
  // A touched neighbour two pages on keeps the leaf table; the gap keeps the two regions from merging.
  Bytes neighbour = map_anonymous(kPage, 0, kFixedArea + 2 * kPage);
  *neighbour = 1;
  map_touch_unmap(name, kFixedArea);
  unmap(neighbour, kPage);
}

void run_anon_touch(const char* name) {
  const size_t bytes = scaled(64) * kMiB;
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, kMiB, 1);
  unmap(memory, bytes);
  memory = map_anonymous(bytes);
  begin_span(name);
  write_pages(memory, bytes, 1);
  end_span(bytes / kPage);
  expect(memory[1] == 0 && memory[bytes - 1] == 0, "fresh memory is not zero");
  unmap(memory, bytes);
}

void run_anon_unmap(const char* name) {
  const size_t bytes = scaled(64) * kMiB;
  Bytes memory = map_anonymous(kMiB);
  write_pages(memory, kMiB, 1);
  unmap(memory, kMiB);
  memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  begin_span(name);
  unmap(memory, bytes);
  end_span(bytes / kPage);
}

void run_populate(const char* name) {
  const size_t bytes = scaled(16) * kMiB;
  unmap(map_anonymous(kMiB, MAP_POPULATE), kMiB);
  begin_span(name);
  Bytes memory = map_anonymous(bytes, MAP_POPULATE);
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 0);
  unmap(memory, bytes);
}

namespace {

// One touched page in each leaf table's span.
size_t sparse_pages() { return scaled(256); }

Bytes map_sparse(size_t pages) { return map_anonymous(pages * kLeafTableSpan, MAP_NORESERVE, kFixedArea); }

}  // namespace

void run_sparse_touch(const char* name) {
  const size_t pages = sparse_pages();
  const size_t bytes = pages * kLeafTableSpan;
  Bytes memory = map_sparse(pages);
  write_pages(memory, 4 * kLeafTableSpan, 1, kLeafTableSpan);
  unmap(memory, bytes);
  memory = map_sparse(pages);
  begin_span(name);
  write_pages(memory, bytes, 1, kLeafTableSpan);
  end_span(pages);
  unmap(memory, bytes);
}

void run_sparse_unmap(const char* name) {
  const size_t pages = sparse_pages();
  const size_t bytes = pages * kLeafTableSpan;
  Bytes memory = map_sparse(pages);
  write_pages(memory, 4 * kLeafTableSpan, 1, kLeafTableSpan);
  unmap(memory, bytes);
  memory = map_sparse(pages);
  write_pages(memory, bytes, 1, kLeafTableSpan);
  begin_span(name);
  unmap(memory, bytes);
  end_span(pages);
}

void run_dontneed(const char* name) {
  const size_t bytes = scaled(16) * kMiB;
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, kMiB, 1);
  expect(madvise(plain(memory), kMiB, MADV_DONTNEED) == 0, "madvise");
  write_pages(memory, bytes, 1);
  begin_span(name);
  expect(madvise(plain(memory), bytes, MADV_DONTNEED) == 0, "madvise");
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 0);
  unmap(memory, bytes);
}

void run_touch_again(const char* name) {
  const size_t bytes = scaled(16) * kMiB;
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  expect(madvise(plain(memory), bytes, MADV_DONTNEED) == 0, "madvise");
  begin_span(name);
  write_pages(memory, bytes, 2);
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 2);
  unmap(memory, bytes);
}

void run_brk(const char* name) {
  const uint64_t rounds = scaled(16);
  const size_t bytes = kMiB;
  const uintptr_t found = static_cast<uintptr_t>(syscall(SYS_brk, 0));
  const uintptr_t base = (found + kPage - 1) & ~(kPage - 1);
  const auto set_break = [](uintptr_t end) {
    expect(static_cast<uintptr_t>(syscall(SYS_brk, end)) == end, "brk");
  };
  const auto cycle = [&] {
    set_break(base + bytes);
    write_pages(reinterpret_cast<Bytes>(base), bytes, 1);
    set_break(base);
  };
  cycle();
  begin_span(name);
  for (uint64_t i = 0; i < rounds; ++i) cycle();
  end_span(rounds * (bytes / kPage));
  set_break(found);
}

void run_mremap_move(const char* name) {
  const uint64_t rounds = scaled(20);
  const size_t bytes = 4 * kMiB;
  // Both places in one GiB, 2 MiB-aligned: a kernel may move whole leaf tables.
  Bytes here = map_anonymous(bytes, 0, kFixedArea);
  Bytes there = reinterpret_cast<Bytes>(kFixedArea + 64 * kMiB);
  write_pages(here, bytes, 7);
  const auto move = [&] {
    expect(mremap(plain(here), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, plain(there)) == plain(there),
           "mremap");
    Bytes old = here;
    here = there;
    there = old;
    read_pages(here, bytes);
  };
  move();
  move();
  begin_span(name);
  for (uint64_t i = 0; i < rounds; ++i) move();
  end_span(rounds * (bytes / kPage));
  expect_pages(here, bytes, 7);
  unmap(here, bytes);
}

}  // namespace mmlat
