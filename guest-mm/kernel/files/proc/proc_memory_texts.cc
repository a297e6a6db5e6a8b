// What /proc/<pid> says of memory in sums: lines of status, statm, smaps_rollup. What is resident is asked of
// whoever owns paging; whose pages are whose, and which were written, is its business: pages count as the
// process's own, and as written.
#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"

namespace nopte::guest::files {

namespace {

u64 kib(u64 pages) { return pages_to_bytes(pages) >> 10; }

void add_line(TextBuilder& out, std::string_view name, u64 pages) {
  out.add(name, ":\t", TextBuilder::Padded{kib(pages), 8}, " kB\n");
}

// Pages promised and resident, by kind.
struct Sums {
  u64 resident = 0;
  u64 resident_of_objects = 0;
  u64 data = 0;
  u64 stack = 0;
  u64 code = 0;
  u64 locked = 0;
};
Sums sums_of(const AddressSpace& space) {
  Sums sums;
  const auto resident = [&](VaRange range) {
    return space.installed(range).value_or(InstalledPages()).pages;
  };
  sums.resident = space.installed_pages();
  for (auto vma = space.at_or_after(kUserRange.begin); vma; vma = space.at_or_after(vma->range.end)) {
    const u64 pages = vma->range.pages();
    if (vma->object != nullptr) sums.resident_of_objects += resident(vma->range);
    if ((vma->flags & kVmaGrowsDown) != 0) sums.stack += pages;
    if (is_data(vma->sharing, vma->perm, vma->flags)) sums.data += pages;
    if (vma->perm.exec() && !vma->perm.write() && vma->object != nullptr) sums.code += pages;
    if ((vma->flags & kVmaLocked) != 0) sums.locked += pages;
  }
  return sums;
}

}  // namespace

void add_memory_lines(TextBuilder& out, const Thread& thread) {
  if (thread.space == nullptr) return;
  const Sums sums = sums_of(*thread.space);
  const u64 promised = thread.space->pages();
  add_line(out, "VmPeak", promised);
  add_line(out, "VmSize", promised);
  add_line(out, "VmLck", sums.locked);
  add_line(out, "VmPin", 0);
  add_line(out, "VmHWM", sums.resident);
  add_line(out, "VmRSS", sums.resident);
  add_line(out, "RssAnon", sums.resident - sums.resident_of_objects);
  add_line(out, "RssFile", sums.resident_of_objects);
  add_line(out, "RssShmem", 0);
  add_line(out, "VmData", sums.data);
  add_line(out, "VmStk", sums.stack);
  add_line(out, "VmExe", sums.code);
  add_line(out, "VmLib", 0);
  add_line(out, "VmPTE", 0);
  add_line(out, "VmSwap", 0);
}

void proc_process_statm(TextBuilder& out, Thread& thread, ProcScope) {
  if (thread.space == nullptr) {
    out.add("0 0 0 0 0 0 0\n");
    return;
  }
  const Sums sums = sums_of(*thread.space);
  out.add(thread.space->pages(), ' ', sums.resident, ' ', sums.resident_of_objects, ' ', sums.code, " 0 ",
          sums.data + sums.stack, " 0\n");
}

void add_resident_lines(TextBuilder& out, const ResidentPages& pages) {
  const struct {
    std::string_view name;
    u64 pages;
  } lines[] = {{"Rss", pages.all},
               {"Pss", pages.all},
               {"Pss_Dirty", pages.all},
               {"Shared_Clean", 0},
               {"Shared_Dirty", 0},
               {"Private_Clean", 0},
               {"Private_Dirty", pages.all},
               {"Referenced", pages.all},
               {"Anonymous", pages.anonymous},
               {"LazyFree", 0},
               {"AnonHugePages", pages.large},
               {"ShmemPmdMapped", 0},
               {"FilePmdMapped", 0},
               {"Shared_Hugetlb", 0},
               {"Private_Hugetlb", 0},
               {"Swap", 0},
               {"SwapPss", 0},
               {"Locked", pages.locked}};
  for (const auto& line : lines) {
    const u64 begin = out.size();
    out.add(line.name, ':');
    out.pad_to(begin, 16);
    out.add(TextBuilder::Padded{kib(line.pages), 8}, " kB\n");
  }
}

void proc_process_smaps_rollup(TextBuilder& out, Thread& thread, ProcScope) {
  if (thread.space == nullptr) return;
  const AddressSpace& space = *thread.space;
  ResidentPages sum;
  Gva begin;
  Gva end;
  for (auto vma = space.at_or_after(kUserRange.begin); vma; vma = space.at_or_after(vma->range.end)) {
    if (begin == Gva{}) begin = vma->range.begin;
    end = vma->range.end;
    const ResidentPages pages = resident_pages(space, *vma);
    sum.all += pages.all;
    sum.anonymous += pages.anonymous;
    sum.large += pages.large;
    sum.locked += pages.locked;
  }
  const u64 line = out.size();
  out.add(TextBuilder::Hex{begin.value(), 8}, '-', TextBuilder::Hex{end.value(), 8},
          " ---p 00000000 00:00 0 ");
  out.pad_to(line, 73);
  out.add("[rollup]\n");
  add_resident_lines(out, sum);
}

ResidentPages resident_pages(const AddressSpace& space, const Vma& vma) {
  const InstalledPages installed = space.installed(vma.range).value_or(InstalledPages());
  return {.all = installed.pages,
          .anonymous = vma.object == nullptr ? installed.pages : 0,
          .large = installed.large,
          .locked = (vma.flags & kVmaLocked) != 0 ? installed.pages : 0};
}

}  // namespace nopte::guest::files
