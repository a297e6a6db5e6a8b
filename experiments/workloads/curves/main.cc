// curves: what an operation costs among many processes, threads of a space and mappings of a space: rows
// "NAME-COUNT", as mmlat's. Runs on any x86-64 Linux.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "experiments/workloads/curves/curves.h"

namespace {

struct Curve {
  const char* name;
  void (*measure)(uint64_t count);
  uint64_t most;
};
constexpr Curve kCurves[] = {{"processes", curves::among_processes, 1'000},
                             {"threads", curves::among_threads, 200},
                             {"mappings", curves::among_mappings, 10'000}};
// Of each a figure at the powers of ten, and at the most.
constexpr uint64_t kStep = 10;

void run(const Curve& curve, uint64_t most) {
  for (uint64_t count = 1; count < most; count *= kStep) curve.measure(count);
  curve.measure(most);
}

}  // namespace

// curves [NAME [MOST]]: one curve alone, and up to how many.
int main(int argc, char** argv) {
  mmlat::open_marks();
  mmlat::measure_empty_span(mmlat::Print::kYes);
  for (const Curve& curve : kCurves) {
    if (argc > 1 && std::strcmp(argv[1], curve.name) != 0) continue;
    run(curve, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : curve.most);
  }
  std::puts("curves: done");
}
