// What the engine and its tables count; a reader subtracts two snapshots. One list, counters.def.
#pragma once

#include "pvops/base/types.h"

namespace nopte::pt {

struct EngineCounters {
#define NOPTE_COUNTER(name) u64 name = 0;
#include "native-fallback/tables/counters.def"
};

// visit("name", value) for every counter.
template <class Visit>
constexpr void for_each_counter(const EngineCounters& counters, Visit visit) {
#define NOPTE_COUNTER(name) visit(#name, counters.name);
#include "native-fallback/tables/counters.def"
}

}  // namespace nopte::pt
