// How a program says it will use a region: in what order, and whether with 2 MiB leaves. Whoever installs
// pages may act on it; it changes no access.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

enum class AccessPattern : u8 { kNormal = 0, kRandom = 1, kSequential = 2 };
enum class LargeLeaves : u8 { kAsItComes = 0, kWanted = 1, kNever = 2 };

// Bits 0-1: the pattern, 2-3: what is asked of large leaves, 4: the program is to have none, whatever it
// asks. Numbers are ABI.
class Usage {
 public:
  static constexpr u8 kPattern = 3;
  static constexpr u8 kLarge = 3 << 2;
  static constexpr u8 kBarred = 1 << 4;
  static constexpr u8 kAll = kPattern | kLarge | kBarred;

  constexpr Usage() = default;
  // Precondition: valid(bits).
  constexpr explicit Usage(u8 bits) : bits_(bits) {}
  constexpr explicit Usage(AccessPattern pattern, LargeLeaves large = LargeLeaves::kAsItComes)
      : bits_(bits_of(pattern) | bits_of(large)) {}

  [[nodiscard]] static constexpr bool valid(u64 bits) {
    return (bits & ~u64{kAll}) == 0 && (bits & kPattern) != kPattern && (bits & kLarge) != kLarge;
  }
  [[nodiscard]] static constexpr u8 bits_of(AccessPattern pattern) { return static_cast<u8>(pattern); }
  [[nodiscard]] static constexpr u8 bits_of(LargeLeaves large) {
    return static_cast<u8>(static_cast<u8>(large) << 2);
  }

  [[nodiscard]] constexpr u8 bits() const { return bits_; }
  [[nodiscard]] constexpr AccessPattern pattern() const { return AccessPattern(bits_ & kPattern); }
  // What holds; and what was asked for, which it is where they are not barred.
  [[nodiscard]] constexpr LargeLeaves large() const { return barred() ? LargeLeaves::kNever : large_asked(); }
  [[nodiscard]] constexpr LargeLeaves large_asked() const { return LargeLeaves((bits_ & kLarge) >> 2); }
  [[nodiscard]] constexpr bool barred() const { return (bits_ & kBarred) != 0; }

  friend constexpr bool operator==(Usage, Usage) = default;

 private:
  u8 bits_ = 0;
};

// Puts `bits` in the place of those in `mask`; the others stay.
struct UsageChange {
  u8 mask = 0;
  u8 bits = 0;

  [[nodiscard]] constexpr Usage of(Usage before) const {
    return Usage(static_cast<u8>((before.bits() & ~mask) | bits));
  }
};

static_assert(Usage(AccessPattern::kSequential, LargeLeaves::kWanted).pattern() ==
                  AccessPattern::kSequential &&
              Usage(AccessPattern::kSequential, LargeLeaves::kWanted).large() == LargeLeaves::kWanted);
static_assert(UsageChange{Usage::kBarred, Usage::kBarred}.of(Usage()).large() == LargeLeaves::kNever);
static_assert(!Usage::valid(3) && !Usage::valid(12) && !Usage::valid(32) && Usage::valid(0x1a));

}  // namespace nopte
