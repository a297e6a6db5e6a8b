// What the shadow MMU counts; a reader subtracts two snapshots. One list, shadow_counters.def.
#pragma once

#include "pvops/base/types.h"

namespace nopte::hv {

struct ShadowCounters {
#define NOPTE_COUNTER(name) u64 name = 0;
#include "hv-mm/shadow/shadow_counters.def"
};

// visit("name", value) for every counter.
template <class Visit>
constexpr void for_each_counter(const ShadowCounters& counters, Visit visit) {
#define NOPTE_COUNTER(name) visit(#name, counters.name);
#include "hv-mm/shadow/shadow_counters.def"
}

}  // namespace nopte::hv
