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

// The one reason so far.
constexpr const char* kNoList =
    "the translation layer keeps no list of promises: the guest's own refuses before it calls";

constexpr Excuse excused(const char* name) { return {name, Promises::kCallers, kNoList}; }

constexpr Excuse kExcuses[] = {
    excused("map_over_a_region_is_refused"),
    excused("map_over_an_end_of_a_region_is_refused"),
    excused("map_into_a_region_is_refused"),
    excused("map_of_no_pages_is_refused"),
    excused("map_at_an_odd_address_is_refused"),
    excused("map_outside_user_space_is_refused"),
    excused("map_that_wraps_is_refused"),
    excused("map_in_a_space_that_is_gone_is_refused"),
    excused("map_of_an_object_that_is_gone_is_refused"),
    excused("map_whose_object_pages_wrap_is_refused"),
    excused("anonymous_memory_is_not_shared"),
    excused("a_window_shows_an_object_as_it_is"),
    excused("windows_lie_in_their_range"),
    excused("the_regions_of_a_space_are_limited"),
    excused("protect_over_a_hole_is_refused"),
    excused("move_onto_a_region_is_refused"),
    excused("move_of_a_hole_is_refused"),
    excused("move_of_two_regions_is_refused"),
};

}  // namespace

std::span<const Mode> modes() { return kModes; }

const Mode* find_mode(std::string_view name) {
  for (const Mode& mode : kModes) {
    if (mode.name == name) return &mode;
  }
  return nullptr;
}

std::span<const Excuse> excuses() { return kExcuses; }

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
