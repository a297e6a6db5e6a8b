// What one space is promised and shows, as one line of JSON for whoever draws it. For looking: made at a
// mark, when it was asked for on the command line.
//
//   {"event":"picture","space":5,
//    "regions":[[page,pages,rights,object,shared],...],   promised, by address
//    "runs":[[page,pages,level,rights,parents],...],      installed: level 2 is a leaf of 2 MiB
//    "whole":1}                                           0: there was more of either, or more to look at
//
// Numbers are decimal, of pages of 4 KiB; rights are Perm's bits; object 0 is anonymous memory; parents: of
// the table on the way that has the most, above 1 it is shared with other spaces.
#pragma once

#include <string_view>

#include "pvops/base/function_ref.h"
#include "pvops/region_spec.h"

namespace nopte::pt {

// Pages side by side that are shown alike.
struct InstalledRun {
  VaRange range;
  u32 level = 1;
  Perm rights;
  u32 parents = 1;

  // Goes on with `next`, if that is of the same kind and lies behind it.
  [[gnu::cold]] bool take(const InstalledRun& next);
};

class PictureWriter {
 public:
  using Put = FunctionRef<void(std::string_view)>;
  // Lines are bounded, and so is the work for them: a guest decides what there is to show. 4 GiB of small
  // pages.
  static constexpr u32 kMostRegions = 4096;
  static constexpr u32 kMostRuns = 8192;
  static constexpr u64 kMostEntries = u64{1} << 20;

  // `put` outlives the writer.
  explicit PictureWriter(Put put) : put_(put) {}

  [[gnu::cold]] void begin(SpaceId space);
  // False: no more of these.
  [[gnu::cold]] bool region(const RegionSpec& region);
  [[gnu::cold]] void end_regions();
  [[gnu::cold]] bool run(const InstalledRun& run);
  // Before so many entries are looked at. False: they are too many, the picture ends here.
  [[gnu::cold]] bool look(u64 entries);
  [[gnu::cold]] void end();

 private:
  bool item(u32 most, const u64 (&values)[5]);

  Put put_;
  u32 items_ = 0;
  u64 looked_ = 0;
  bool whole_ = true;
};

}  // namespace nopte::pt
