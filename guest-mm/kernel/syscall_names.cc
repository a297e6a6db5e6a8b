#include "guest-mm/kernel/syscall_names.h"

#include <array>

#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

// A number that is in both tables does not compile: the switch has it twice.
constexpr std::string_view name_of(u64 number) {
  switch (number) {
#define NOPTE_SYSCALL(number, name) \
  case number:                      \
    return #name;
#include "guest-mm/kernel/syscall_missing.def"
#include "guest-mm/kernel/syscall_table.def"
#undef NOPTE_SYSCALL
    default:
      return "unknown";
  }
}

}  // namespace

std::string_view syscall_name(u64 number) { return name_of(number); }

}  // namespace nopte::guest
