// Rows of one operation in a space of many regions: how map, protect, unmap, fault and fork grow with their
// number.
//
// Regions of one page side by side, writable and not by turns, so that no two merge; what a row maps or gives
// other rights is executable, and merges with neither neighbour. The most is 60,000: Linux takes 65,530
// (vm.max_map_count) unless told otherwise, and the rows are to run there as they are.
#include <algorithm>

#include "experiments/workloads/mmlat/children.h"
#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

constexpr size_t kFew = 10;
constexpr size_t kThousand = 1'000;
constexpr size_t kMany = 60'000;
constexpr size_t kMostOps = 500;
constexpr int kOther = PROT_READ | PROT_EXEC;

// `count` regions, and `ops()` of the writable ones, spread over all, to which a row does something.
class Regions {
 public:
  explicit Regions(size_t count) : count_(count), ops_(std::min(count / 2, scaled(kMostOps))) {
    map_anonymous(count_ * kPage, MAP_NORESERVE, kFixedArea);
    for (size_t i = 1; i < count_; i += 2) protect(region(i), kPage, PROT_READ);
    // The leaf tables are there before the span.
    for (size_t i = 1; i < count_; i += kLeafTableSpan / kPage) static_cast<void>(*region(i));
  }
  ~Regions() { unmap(region(0), count_ * kPage); }
  Regions(const Regions&) = delete;
  Regions& operator=(const Regions&) = delete;

  [[nodiscard]] size_t ops() const { return ops_; }
  [[nodiscard]] Bytes chosen(size_t op) const { return region(op * (count_ / 2 / ops_) * 2); }

  void map_chosen(size_t op) const {
    void* const at = plain(chosen(op));
    if (mmap(at, kPage, kOther, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at) fail("mmap");
  }
  void unmap_chosen(size_t op) const { unmap(chosen(op), kPage); }
  void protect_chosen(size_t op) const { protect(chosen(op), kPage, kOther); }
  void write_chosen(size_t op) const { *chosen(op) = 1; }

 private:
  static Bytes region(size_t i) { return reinterpret_cast<Bytes>(kFixedArea + i * kPage); }

  size_t count_;
  size_t ops_;
};

using Operation = void (Regions::*)(size_t op) const;

void each(const Regions& regions, Operation operation) {
  for (size_t op = 0; op < regions.ops(); ++op) (regions.*operation)(op);
}

void measure(const char* name, const Regions& regions, Operation operation) {
  begin_span(name);
  each(regions, operation);
  end_span(regions.ops());
}

void map_among(const char* name, size_t count) {
  const Regions regions(count);
  each(regions, &Regions::unmap_chosen);
  measure(name, regions, &Regions::map_chosen);
}

void unmap_among(const char* name, size_t count) { measure(name, Regions(count), &Regions::unmap_chosen); }
void protect_among(const char* name, size_t count) {
  measure(name, Regions(count), &Regions::protect_chosen);
}
void fault_among(const char* name, size_t count) { measure(name, Regions(count), &Regions::write_chosen); }
void fork_among(const char* name, size_t count) {
  const Regions regions(count);
  fork_exit_wait(name, scaled(5));
}

}  // namespace

void run_map_10(const char* name) { map_among(name, kFew); }
void run_map_1k(const char* name) { map_among(name, kThousand); }
void run_map_60k(const char* name) { map_among(name, kMany); }
void run_protect_10(const char* name) { protect_among(name, kFew); }
void run_protect_1k(const char* name) { protect_among(name, kThousand); }
void run_protect_60k(const char* name) { protect_among(name, kMany); }
void run_unmap_10(const char* name) { unmap_among(name, kFew); }
void run_unmap_1k(const char* name) { unmap_among(name, kThousand); }
void run_unmap_60k(const char* name) { unmap_among(name, kMany); }
void run_fault_10(const char* name) { fault_among(name, kFew); }
void run_fault_1k(const char* name) { fault_among(name, kThousand); }
void run_fault_60k(const char* name) { fault_among(name, kMany); }
void run_fork_10(const char* name) { fork_among(name, kFew); }
void run_fork_1k(const char* name) { fork_among(name, kThousand); }
void run_fork_60k(const char* name) { fork_among(name, kMany); }

}  // namespace mmlat
