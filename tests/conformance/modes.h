// What the modes have in common and what each may cost: the one table of exit bounds, and the one table of
// cases that a mode cannot pass.
#pragma once

#include <span>
#include <string_view>

#include "tests/conformance/case.h"
#include "tests/conformance/exit_budget.h"

namespace nopte::conformance {

// Whose list of promises a backend believes.
enum class Promises : u8 {
  kCallers,  // the translation layer asks the guest's own list at faults and keeps none
  kOwn,      // the hypervisor keeps what it was told
  kQueued,   // the same, and hears of a new region with the next that concerns it
};

struct Mode {
  const char* name;
  Promises promises;
  ExitCosts exits;
  const char* why;  // what the costs follow from
};

std::span<const Mode> modes();
// Null: no such mode.
const Mode* find_mode(std::string_view name);

// A case that some modes cannot pass, and why.
struct Excuse {
  const char* name;   // of the case
  Promises promises;  // of the modes
  const char* why;
};

std::span<const Excuse> excuses();
// Null: the mode must pass the case.
const Excuse* find_excuse(const Mode& mode, std::string_view name);

enum class Verdict : u8 { kPass, kFail, kExcused };

// What a case's end means: `failure` is run_case()'s answer. An excused case that passes fails.
struct Judged {
  Verdict verdict;
  const char* text;  // why it failed, or is excused; empty
};
Judged judge(const Mode& mode, std::string_view name, const char* failure);

// Whether a name is what a pattern asks for: equal, or with the same beginning before a final '*'.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace nopte::conformance
