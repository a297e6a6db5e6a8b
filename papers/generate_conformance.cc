// Prints papers/conformance.md from the suite's own tables. Run by the test conformance_page_is_current.
#include <absl/strings/str_cat.h>

#include <iostream>
#include <string>
#include <string_view>

#include "tests/conformance/modes.h"

namespace {

using namespace nopte;
using namespace nopte::conformance;

constexpr const char* kIntro =
    R"(# The conformance cases

Generated from `tests/conformance` by `papers/generate_conformance.cc`; do not edit.

What every home of memory must do, whoever owns paging, is written once: as cases over `MmOps` (`pvops/mm_ops.def`),
against its text and that of [abi.md](abi.md), not against an implementation. The same cases run hosted, over
the machine model, and booted in every mode as one test image. A case asserts results, and every run asserts more:
a refusal names its reason and the address of the access, free memory is at the end what it was, and the case took no
more exits than its mode allows. Each result is a line `PASS`, `FAIL` or `EXCUSED` with the name `MODE-CASE`.

## One case in one mode

    ninja -C build test_conformance nopte-conformance nopte-hv
    build/tests/test_conformance vma-clone_of_a_clone      # hosted; a final * stands for any end
    build/tests/test_conformance --list 'vma-*'
    tests/boot/conformance.py vma clone_of_a_clone         # booted
    tests/boot/conformance.py --exits shadow 'move_*'      # with what each took, and what it may take
    ctest --preset default -L conformance                  # everything: one test for each mode, hosted and booted

All modes run hosted too, and `vma_interrupted`, which is vma with an interrupt pending at a check point of every
call, so that each is issued again until it is done. Hosted, a guest of mode shadow stores as it does booted: what its
direct map refuses comes to the mode's own code as a signal, with the registers. One of mode xen has the domain
builder's tables in the domain builder's order of frames, and a direct map that shows what a stale TLB may show.

Break a line of `native-fallback/engine` and see which cases notice: that is what they are for.

)";

constexpr const char* kCosts = R"(## What a mode may cost

The most memory exits; a case's bound is the sum over what it does. *Call*: an MmOps call. *Touch*: an access that may
find nothing installed, or is refused. *Warm*: an access to what was used before. *Entries*: leaf entries of one call that
one exit tells of. *Most*: exits for a call's entries beyond which one flush of everything is due instead.

| mode | call | touch | warm | entries | most | because |
|---|---|---|---|---|---|---|
)";

void print_modes() {
  std::cout << kCosts;
  const auto number = [](u64 value) { return value == 0 ? std::string("-") : absl::StrCat(value); };
  for (const Mode& mode : modes()) {
    const ExitCosts& e = mode.exits;
    std::cout << "| " << mode.name << " | " << e.call << " | " << e.touch << " | " << e.warm << " | "
              << number(e.batch) << " | " << number(e.most) << " | " << mode.why << " |\n";
  }
}

constexpr const char* kExcused = R"(
## What a mode cannot pass

An excused case that passes is a failure.

| modes | cases | because |
|---|---|---|
)";

bool same_reason(const Excuse& a, const Excuse& b) {
  return a.promises == b.promises && std::string_view(a.why) == b.why;
}

void print_excuses() {
  std::cout << kExcused;
  const auto all = excuses();
  for (std::size_t i = 0; i < all.size();) {
    std::cout << "|";
    for (const Mode& mode : modes()) {
      if (mode.promises == all[i].promises) std::cout << " " << mode.name;
    }
    std::cout << " |";
    const Excuse& first = all[i];
    for (; i < all.size() && same_reason(all[i], first); ++i) std::cout << " " << all[i].name;
    std::cout << " | " << first.why << " |\n";
  }
}

void print_subjects() {
  u64 count = 0;
  for (const Subject& subject : subjects()) count += subject.cases.size();
  std::cout << "\n## The " << count << " cases\n";
  for (const Subject& subject : subjects()) {
    std::cout << "\n[" << subject.name << "](../tests/conformance/cases/" << subject.name << ".cc): ";
    const char* comma = "";
    for (const Case& row : subject.cases) {
      std::cout << comma << row.name;
      comma = ", ";
    }
    std::cout << ".\n";
  }
}

}  // namespace

int main() {
  std::cout << kIntro;
  print_modes();
  print_excuses();
  print_subjects();
  return 0;
}
