#include "native-fallback/engine/picture.h"

#include "pvops/base/digits.h"

namespace nopte::pt {

bool InstalledRun::take(const InstalledRun& next) {
  if (range.empty() || range.end != next.range.begin || level != next.level || rights != next.rights ||
      parents != next.parents) {
    return false;
  }
  range.end = next.range.end;
  return true;
}

void PictureWriter::begin(SpaceId space) {
  put_("{\"event\":\"picture\",\"space\":");
  put_(Digits(static_cast<u32>(space)).text());
  put_(",\"regions\":[");
}

bool PictureWriter::item(u32 most, const u64 (&values)[5]) {
  if (items_ == most) {
    whole_ = false;
    return false;
  }
  put_(items_++ == 0 ? "[" : ",[");
  for (const u64& value : values) {
    if (&value != values) put_(",");
    put_(Digits(value).text());
  }
  put_("]");
  return true;
}

bool PictureWriter::region(const RegionSpec& region) {
  return item(kMostRegions, {region.range.begin.page(), region.range.pages(), region.perm.bits(),
                             static_cast<u32>(region.object), region.sharing == Sharing::kShared});
}

void PictureWriter::end_regions() {
  put_("],\"runs\":[");
  items_ = 0;
}

bool PictureWriter::run(const InstalledRun& run) {
  return item(kMostRuns,
              {run.range.begin.page(), run.range.pages(), run.level, run.rights.bits(), run.parents});
}

bool PictureWriter::look(u64 entries) {
  looked_ += entries;
  whole_ = whole_ && looked_ <= kMostEntries;
  return looked_ <= kMostEntries;
}

void PictureWriter::end() { put_(whole_ ? "],\"whole\":1}" : "],\"whole\":0}"); }

}  // namespace nopte::pt
