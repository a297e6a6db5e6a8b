// Rows of first touches in other orders than the sequential one of anon-touch, and of memory that comes and
// goes.
#include <numeric>
#include <utility>
#include <vector>

#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

constexpr size_t kStride = 16;

// First touch of 64 MiB in the order of `pages`, which is made, and touched itself, before the span.
void touch_in_order(const char* name, std::vector<uint32_t> (*make_order)(size_t pages)) {
  const size_t pages = scaled(64) * kMiB / kPage;
  const std::vector<uint32_t> order = make_order(pages);
  Bytes memory = map_anonymous(pages * kPage);
  write_pages(memory, kMiB, 1);
  unmap(memory, pages * kPage);
  memory = map_anonymous(pages * kPage);
  begin_span(name);
  for (const uint32_t page : order) memory[page * kPage] = 1;
  end_span(pages);
  expect_pages(memory, pages * kPage, 1);
  unmap(memory, pages * kPage);
}

// Every 16th page, then the rest.
std::vector<uint32_t> strided(size_t pages) {
  std::vector<uint32_t> order;
  order.reserve(pages);
  for (size_t page = 0; page < pages; page += kStride) order.push_back(static_cast<uint32_t>(page));
  for (size_t page = 0; page < pages; ++page) {
    if (page % kStride != 0) order.push_back(static_cast<uint32_t>(page));
  }
  return order;
}

// Any order, the same in every run.
std::vector<uint32_t> shuffled(size_t pages) {
  std::vector<uint32_t> order(pages);
  std::iota(order.begin(), order.end(), 0);
  Random random(pages);
  for (size_t left = pages; left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
  return order;
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

void run_churn_128m(const char* name) { churn(name, scaled(128)); }

void run_churn_4g(const char* name) { churn(name, scaled(4096)); }

}  // namespace mmlat
