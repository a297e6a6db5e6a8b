// The modelled processor: AMD EPYC 7001 ("Zen", family 17h, models 00h-0Fh), which is what -cpu EPYC names.
//
// Source: AMD, Software Optimization Guide for AMD Family 17h Processors, publication 55723, revision 3.00
// (June 2017), section 2.7: a first-level data TLB of 64 entries and a first-level instruction TLB of 64,
// both fully associative, for leaves of all sizes; a second-level data TLB of 1,536 entries in 12 ways and a
// second-level instruction TLB of 512 in 8, for leaves of 4 KiB and 2 MiB. The second-level data TLB holds
// page-directory entries, too; a page-directory cache of 64 holds those of the two levels above.
//
// Assumed, as nothing is published: replacement is least recently used everywhere; the second level is
// indexed by the low bits of the number (the processor's is skewed); nested translations use the same caches
// for their upper entries, and a nested TLB of 16 fully associative entries for what they end in. The
// instruction TLB of 8 entries before the first level is left out: it changes no count here.
#pragma once

#include <cstddef>

namespace walks {

struct TlbShape {
  size_t entries;
  size_t ways;
};

inline constexpr const char* kProcessor = "AMD EPYC 7001 (family 17h), AMD publication 55723, section 2.7";
inline constexpr TlbShape kDataFirst{64, 64};
inline constexpr TlbShape kDataSecond{1536, 12};
inline constexpr TlbShape kCodeFirst{64, 64};
inline constexpr TlbShape kCodeSecond{512, 8};
inline constexpr TlbShape kDirectoryCache{64, 64};
inline constexpr TlbShape kNestedTlb{16, 16};

}  // namespace walks
