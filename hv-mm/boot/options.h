// The hypervisor's command line: `mode=vma|nested|shadow|kvmpv|vmi|lguest|xen memory=BYTES -- GUEST COMMAND
// LINE`. What follows " -- " (with the "-- ") is the guest's, and so are "verbose", "picture" and "aslr=SEED"
// before it. Both options are needed. `hide=NAME,...` makes the hypervisor offer less, to see what a guest
// does then: memory, queue, words, usage, installed, platform, xen, vmi, lguest, kvmpv hide a feature and
// refuse its calls, version an ABI version that is not 0. `output=BYTES` is how much the guest may write to
// the console and the counters channel together (offer.h). "picture" is for both: each mark is followed by a
// picture of the space that runs.
#pragma once

#include <string_view>

#include "hv-mm/offer.h"
#include "pvops/base/result.h"

namespace nopte::hv {

enum class Mode : u8 { kNested, kShadow, kVma, kKvmPv, kVmi, kLguest, kXen };

struct Options {
  Mode mode = Mode::kNested;
  u64 memory_bytes = 0;  // multiple of 2 MiB, at least kMinGuestBytes
  Offer offer;
  std::string_view guest_command_line;  // from the guest's first word on; empty when there is none
};

inline constexpr u64 kGuestAlignBytes = u64{2} << 20;
inline constexpr u64 kMinGuestBytes = u64{8} << 20;

// The error is a message for the user.
std::expected<Options, const char*> parse_options(std::string_view command_line);

}  // namespace nopte::hv
