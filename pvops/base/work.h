// How much a long call does between two looks at whether it should stop: at most kMostAtOnce units of each
// kind, and kMostTablesAtOnce whole tables. Hosted builds count, so that the tests hold every call to it
// (tests/support/work_meter.h); in the images counting is nothing.
#pragma once

#include <array>

#include "pvops/base/types.h"

namespace nopte::work {

enum class Unit : u8 {
  kPage,    // a leaf entry, a frame
  kNode,    // a page table, a node of an object's index
  kRegion,  // a promised region
  kTable,   // a page table copied whole, or cut to its rights whole, as a clone shares it or did
};
inline constexpr u64 kMostAtOnce = 512;
// Of these: on the way to either end of a range, and to what lies between.
inline constexpr u64 kMostTablesAtOnce = 9;

#ifdef NOPTE_FREESTANDING
constexpr void did(Unit, u64 = 1) {}
#else
inline constexpr unsigned kUnits = 4;
inline std::array<u64, kUnits> g_done{};
inline void did(Unit unit, u64 count = 1) { g_done[static_cast<unsigned>(unit)] += count; }
#endif

}  // namespace nopte::work
