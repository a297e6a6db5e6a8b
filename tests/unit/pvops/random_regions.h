// What a random run asks of a RegionTree: ranges, rights, usages and regions, some of them malformed.
#pragma once

#include <algorithm>
#include <array>
#include <random>

#include "pvops/mm_ops.h"
#include "tests/unit/pvops/region_model.h"

namespace nopte::test {

class RandomRegions {
 protected:
  // Regions show objects 1 to `objects`, or none.
  RandomRegions(u64 seed, u32 objects) : random_(seed), objects_(objects) {}

  u64 below(u64 limit) { return random_() % limit; }
  bool chance(u64 percent) { return below(100) < percent; }
  Gva any_address() { return Gva{random_()}; }
  static Gva at(u64 index) { return kBounds.begin + pages_to_bytes(index); }

  // Mostly a range in bounds; sometimes malformed.
  VaRange range() {
    const u64 first = below(kPages);
    const u64 most = std::min<u64>(kPages - first, chance(10) ? kPages : 12);
    VaRange r = VaRange::of_pages(at(first), 1 + below(most));
    if (chance(4)) {
      switch (below(5)) {
        case 0:
          r.end = r.begin;
          break;
        case 1:
          r.begin += 1 + below(kPageMask);
          break;
        case 2:
          r.end = kBounds.end + kPageBytes;
          break;
        case 3:
          r.begin = kBounds.begin - kPageBytes;
          break;
        default:
          r = {any_address(), any_address()};
          break;
      }
    }
    return r;
  }
  static bool valid(VaRange r) { return !r.empty() && r.page_aligned() && kBounds.contains(r); }
  Perm perm() {
    constexpr std::array<Perm, 4> kPerms{kPermNone, kPermR, kPermRW, kPermRX};
    return kPerms[below(kPerms.size())];
  }
  Usage usage() {
    constexpr std::array<Usage, 4> kUsages{Usage(AccessPattern::kRandom), Usage(AccessPattern::kSequential),
                                           Usage(AccessPattern::kNormal, LargeLeaves::kNever),
                                           Usage(AccessPattern::kRandom, LargeLeaves::kWanted)};
    return chance(70) ? Usage() : kUsages[below(kUsages.size())];
  }
  UsageChange use() {
    constexpr std::array<Advice, 7> kAdvice{Advice::kNormal,      Advice::kRandom,     Advice::kSequential,
                                            Advice::kLargeWanted, Advice::kLargeNever, Advice::kLargeBarred,
                                            Advice::kLargeAllowed};
    return usage_change(kAdvice[below(kAdvice.size())]);
  }
  RegionSpec spec() {
    RegionSpec s{.range = range(), .perm = perm(), .usage = usage()};
    if (chance(50)) {
      const u32 object = static_cast<u32>(1 + below(objects_));
      s.object = ObjectId{object};
      // Offsets that often continue what a neighbour shows.
      s.object_page = chance(70) ? (s.range.begin - kBounds.begin) >> kPageShift : below(32);
      s.sharing = chance(50) ? Sharing::kShared : Sharing::kPrivate;
      if (chance(2)) s.object_page = ~u64{0} - below(4);
    } else if (chance(2)) {
      s.object_page = 1;
    }
    return s;
  }
  static bool valid(const RegionSpec& s) {
    if (!valid(s.range)) return false;
    return s.object == ObjectId::kNone ? s.object_page == 0 : s.object_page < (u64{1} << 51);
  }

 private:
  std::mt19937_64 random_;
  const u32 objects_;
};

}  // namespace nopte::test
