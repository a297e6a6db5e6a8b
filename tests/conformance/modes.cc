#include "tests/conformance/modes.h"

namespace nopte::conformance {
namespace {

constexpr Mode kModes[] = {
    {"native", Promises::kCallers, {}, "There is no hypervisor."},
    {"nested", Promises::kCallers, {}, "The guest has its own tables and all of its memory is mapped."},
    {"shadow", Promises::kCallers, {.unbounded = true}, ""},
    {"vma",
     Promises::kOwn,
     {.call = 1, .touch = 1},
     "A call is one exit, and so is the fault that installs a page or is refused."},
    {"kvmpv", Promises::kCallers, {.unbounded = true}, ""},
    {"vmi", Promises::kCallers, {.unbounded = true}, ""},
    {"lguest", Promises::kCallers, {.unbounded = true}, ""},
    {"xen", Promises::kCallers, {.unbounded = true}, ""},
};

constexpr const Excuse* kNoExcuses = nullptr;

}  // namespace

std::span<const Mode> modes() { return kModes; }

const Mode* find_mode(std::string_view name) {
  for (const Mode& mode : kModes) {
    if (mode.name == name) return &mode;
  }
  return nullptr;
}

std::span<const Excuse> excuses() { return {kNoExcuses, 0}; }

const Excuse* find_excuse(const Mode& mode, std::string_view name) {
  for (const Excuse& excuse : excuses()) {
    if (excuse.promises == mode.promises && excuse.name == name) return &excuse;
  }
  return nullptr;
}

Judged judge(const Mode& mode, std::string_view name, const char* failure) {
  const Excuse* const excuse = find_excuse(mode, name);
  if (excuse == nullptr)
    return failure == nullptr ? Judged{Verdict::kPass, ""} : Judged{Verdict::kFail, failure};
  if (failure == nullptr) return {Verdict::kFail, "is excused in modes.cc, but passes"};
  return {Verdict::kExcused, excuse->why};
}

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace nopte::conformance
