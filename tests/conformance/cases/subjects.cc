// All subjects, in the order of the interface.
#include "tests/conformance/case.h"

namespace nopte::conformance {

#define NOPTE_SUBJECTS(X) \
  X(violations)           \
  X(anonymous)            \
  X(mapping)              \
  X(unmap)                \
  X(protect)              \
  X(move)                 \
  X(spaces)               \
  X(clone)                \
  X(objects)              \
  X(advise)               \
  X(resident)             \
  X(kernel_memory)        \
  X(windows)              \
  X(shortage)             \
  X(long_runs)

// NOLINTBEGIN(readability-redundant-declaration): each is defined by its file, and used only here.
#define NOPTE_DECLARE(name) std::span<const Case> name##_cases();
NOPTE_SUBJECTS(NOPTE_DECLARE)
#undef NOPTE_DECLARE
// NOLINTEND(readability-redundant-declaration)

std::span<const Subject> subjects() {
#define NOPTE_ROW(name) {#name, name##_cases()},
  static const Subject kSubjects[] = {NOPTE_SUBJECTS(NOPTE_ROW)};
#undef NOPTE_ROW
  return kSubjects;
}

}  // namespace nopte::conformance
