// What a figure of a curve is called, and how it is measured.
#pragma once

#include <cstdint>
#include <cstdio>

#include "experiments/workloads/mmlat/measure.h"

namespace curves {

// "NAME-COUNT", the row of an operation among `count` of something.
class RowName {
 public:
  RowName(const char* name, uint64_t count) {
    std::snprintf(text_, sizeof text_, "%s-%llu", name, static_cast<unsigned long long>(count));
  }
  [[nodiscard]] const char* text() const { return text_; }

 private:
  char text_[64];
};

// The row of `body`, which runs twice before it is measured `ops` times; it is `each` operations.
template <typename Body>
void measure(const char* name, uint64_t count, uint64_t ops, Body body, uint64_t each = 1) {
  const RowName row(name, count);
  mmlat::set_row(row.text());
  for (int i = 0; i < 2; ++i) body();
  mmlat::begin_span(row.text());
  for (uint64_t i = 0; i < ops; ++i) body();
  mmlat::end_span(ops * each);
}

// Each measures all of its operations among `count` processes, threads of one space, mappings of one space.
void among_processes(uint64_t count);
void among_threads(uint64_t count);
void among_mappings(uint64_t count);

}  // namespace curves
