#include "tests/conformance/modes.h"

namespace nopte::conformance {
namespace {

// Exits to a guest's own fault handler count as any other. 32 single pages are flushed at most
// (native-fallback/tables/tlb_batch.h), then everything by one exit.
constexpr Mode kModes[] = {
    {"native", Promises::kCallers, {}, "there is no hypervisor"},
    {"nested", Promises::kCallers, {}, "the tables are the guest's own, and all of its memory is mapped"},
    {"shadow",
     Promises::kCallers,
     {.call = 1, .touch = 2, .warm = 1, .batch = 1, .most = 33},
     "a touch is the guest's own fault, and the store that mends it or the look at it; a call is a CR3 load "
     "or "
     "the first store into a table; each page that loses a right is an INVLPG, or all are one flush; what "
     "was "
     "used before may have to be shown again"},
    {"vma",
     Promises::kQueued,
     {.call = 1, .touch = 1},
     "a call is one exit, and so is the fault that installs a page or is refused"},
    {"kvmpv",
     Promises::kCallers,
     {.call = 1, .touch = 2, .warm = 1, .batch = 512},
     "a touch is the guest's own fault and the report of what mends it; a call is a CR3 load or a flush; "
     "losses "
     "are told by a buffer of 512 entries; what gained is not told, so it may have to be looked at"},
    {"vmi",
     Promises::kCallers,
     {.call = 1, .touch = 2, .warm = 1, .batch = 511},
     "as kvmpv; a queue of 511 words waits for SetCR3, an invalidation, or an exit that reads it"},
    {"lguest",
     Promises::kCallers,
     {.call = 1, .touch = 2, .warm = 1, .batch = 64},
     "as kvmpv; a ring of 64 calls waits for a call, or an exit that reads it"},
    {"xen",
     Promises::kCallers,
     {.call = 1, .touch = 1, .batch = 512, .shortage = 10},
     "the processor walks the guest's own tables, so a fault is no exit, what mends it is one; a call is a "
     "root "
     "loaded, pinned or a flush; a queue of 512 updates and at most 32 operations waits for it; tables that "
     "were kept are counted "
     "out when memory runs out, some 8 at an exit"},
    {"xenpv", Promises::kCallers, {}, "Xen's exits are not counted"},
};

constexpr const char* kNoList =
    "the translation layer keeps no list of promises: the guest's own refuses before it calls";

constexpr const char* kLater =
    "the hypervisor hears of the region later: the guest's own list refuses before it is queued";

constexpr Excuse excused(const char* name) { return {name, Promises::kCallers, kNoList}; }
constexpr Excuse excused_later(const char* name) { return {name, Promises::kQueued, kLater}; }

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
    excused_later("map_over_a_region_is_refused"),
    excused_later("map_over_an_end_of_a_region_is_refused"),
    excused_later("map_into_a_region_is_refused"),
    excused_later("map_of_no_pages_is_refused"),
    excused_later("map_at_an_odd_address_is_refused"),
    excused_later("map_outside_user_space_is_refused"),
    excused_later("map_that_wraps_is_refused"),
    excused_later("map_of_an_object_that_is_gone_is_refused"),
    excused_later("map_whose_object_pages_wrap_is_refused"),
    excused_later("anonymous_memory_is_not_shared"),
    excused_later("a_window_shows_an_object_as_it_is"),
    excused_later("windows_lie_in_their_range"),
    excused_later("a_mapped_object_is_busy"),
    excused_later("a_window_keeps_its_object_busy"),
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
