// Rows of first touches in other orders than the sequential one of anon-touch, of more memory or in large
// pages, and of memory that comes and goes.
#include <utility>

#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

constexpr size_t kStride = 16;

// First touch of 64 MiB in the order of the pages that `make_order` writes down, all before the span. Not in
// a vector: the library would bring a heap along, and one region more for every row.
void touch_in_order(const char* name, void (*make_order)(uint32_t* order, size_t pages)) {
  const size_t pages = scaled(64) * kMiB / kPage;
  const size_t order_bytes = (pages * sizeof(uint32_t) + kPage - 1) / kPage * kPage;
  Bytes order_memory = map_anonymous(order_bytes);
  auto* const order = static_cast<uint32_t*>(plain(order_memory));
  make_order(order, pages);
  Bytes memory = map_anonymous(pages * kPage);
  write_pages(memory, kMiB, 1);
  unmap(memory, pages * kPage);
  memory = map_anonymous(pages * kPage);
  begin_span(name);
  for (size_t i = 0; i < pages; ++i) memory[order[i] * kPage] = 1;
  end_span(pages);
  expect_pages(memory, pages * kPage, 1);
  unmap(memory, pages * kPage);
  unmap(order_memory, order_bytes);
}

// Every 16th page, then the rest.
void strided(uint32_t* order, size_t pages) {
  for (size_t page = 0; page < pages; page += kStride) *order++ = static_cast<uint32_t>(page);
  for (size_t page = 0; page < pages; ++page) {
    if (page % kStride != 0) *order++ = static_cast<uint32_t>(page);
  }
}

// Any order, the same in every run.
void shuffled(uint32_t* order, size_t pages) {
  for (size_t page = 0; page < pages; ++page) order[page] = static_cast<uint32_t>(page);
  Random random(pages);
  for (size_t left = pages; left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
}

// First touch of so much where large pages can be. Who knows no such advice gives small ones.
enum class Large { kWanted, kUnasked };
void touch_densely(const char* name, size_t bytes, Large large) {
  Bytes memory = map_anonymous(bytes, 0, kFixedArea);
  if (large == Large::kWanted) static_cast<void>(madvise(plain(memory), bytes, MADV_HUGEPAGE));
  begin_span(name);
  write_pages(memory, bytes, 1);
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 1);
  unmap(memory, bytes);
}

// 1 MiB allocated, touched and freed again, `rounds` times.
void churn(const char* name, uint64_t rounds) {
  const auto cycle = [] {
    Bytes memory = map_anonymous(kMiB);
    write_pages(memory, kMiB, 1);
    unmap(memory, kMiB);
  };
  cycle();
  begin_span(name);
  for (uint64_t i = 0; i < rounds; ++i) cycle();
  end_span(rounds * (kMiB / kPage));
}

}  // namespace

void run_touch_strided(const char* name) { touch_in_order(name, strided); }

void run_touch_random(const char* name) { touch_in_order(name, shuffled); }

void run_dense_64m(const char* name) { touch_densely(name, scaled(64) * kMiB, Large::kWanted); }

void run_dense_1g(const char* name) { touch_densely(name, scaled(1024) * kMiB, Large::kUnasked); }

void run_churn_128m(const char* name) { churn(name, scaled(128)); }

void run_churn_4g(const char* name) { churn(name, scaled(4096)); }

}  // namespace mmlat
