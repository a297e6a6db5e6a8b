// /proc/<pid>/maps and smaps, and the mappings that others tell of.
#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/memory/space_memory.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kNameColumn = 73;

// The region that brk moves; a program's own break may end inside a page.
bool is_heap(const Thread& thread, const Vma& vma) {
  return vma.range.begin < thread.space->brk() && vma.range.end > thread.space->brk_start();
}

void add_map(TextBuilder& out, const Thread& thread, const Vma& vma) {
  const u64 line = out.size();
  out.add(TextBuilder::Hex{vma.range.begin.value(), 8}, '-', TextBuilder::Hex{vma.range.end.value(), 8}, ' ',
          vma.perm.read() ? 'r' : '-', vma.perm.write() ? 'w' : '-', vma.perm.exec() ? 'x' : '-',
          vma.sharing == Sharing::kShared ? 's' : 'p', ' ', TextBuilder::Hex{vma.offset_bytes, 8});
  if (vma.object != nullptr) {
    out.add(" 00:", TextBuilder::Hex{kMapsDeviceMinor, 2}, ' ', vma.object->inode(), ' ');
  } else {
    out.add(" 00:00 0 ");
  }
  const std::string_view name = mapping_name(thread, vma);
  if (!name.empty()) {
    out.pad_to(line, kNameColumn);
    out.add(name);
  }
  out.add('\n');
}

// Two letters for each flag of a mapping, in the order of the bits in Linux (fs/proc/task_mmu.c).
void add_flags(TextBuilder& out, const Vma& vma) {
  const bool shared = vma.sharing == Sharing::kShared;
  const bool may_write = (vma.flags & kVmaNoWrite) == 0;
  const AccessPattern pattern = vma.usage.pattern();
  const LargeLeaves large = vma.usage.large_asked();
  const struct {
    bool set;
    const char* letters;
  } flags[] = {{vma.perm.read(), "rd "},
               {vma.perm.write(), "wr "},
               {vma.perm.exec(), "ex "},
               {shared && may_write, "sh "},
               {true, "mr "},
               {may_write, "mw "},
               {true, "me "},
               {shared, "ms "},
               {(vma.flags & kVmaGrowsDown) != 0, "gd "},
               {(vma.flags & kVmaLocked) != 0, "lo "},
               {pattern == AccessPattern::kSequential, "sr "},
               {pattern == AccessPattern::kRandom, "rr "},
               {(vma.flags & kVmaDontFork) != 0, "dc "},
               {(vma.flags & kVmaLockOnFault) != 0, "lf "},
               {(vma.flags & kVmaNoReserve) != 0, "nr "},
               {(vma.flags & kVmaWipeOnFork) != 0, "wf "},
               {(vma.flags & kVmaDontDump) != 0, "dd "},
               {(vma.flags & kVmaSealed) != 0, "sl "},
               {large == LargeLeaves::kWanted, "hg "},
               {large == LargeLeaves::kNever, "nh "}};
  out.add("VmFlags: ");
  for (const auto& flag : flags) {
    if (flag.set) {
      out.add(flag.letters);
    }
  }
  out.add('\n');
}

// A guard is part of what surrounds it (MADV_GUARD_INSTALL).
Vma without_guard(Vma vma) {
  if ((vma.flags & kVmaGuard) != 0) {
    vma.perm = guarded_perm(vma.flags);
    vma.flags &= ~kVmaGuardMask;
  }
  return vma;
}
bool continues(const Vma& vma, const Vma& next) {
  return vma.range.end == next.range.begin && vma.perm == next.perm && vma.sharing == next.sharing &&
         vma.usage == next.usage && vma.flags == next.flags && vma.object == next.object &&
         (vma.object == nullptr || vma.offset_bytes + vma.range.bytes() == next.offset_bytes);
}

}  // namespace

std::string_view mapping_name(const Thread& thread, const Vma& vma) {
  return vma.object != nullptr       ? vma.object->name()
         : is_heap(thread, vma)      ? std::string_view("[heap]")
         : vma.flags & kVmaGrowsDown ? std::string_view("[stack]")
                                     : std::string_view();
}

void for_each_mapping(const Thread& thread, FunctionRef<void(const Vma&)> visit) {
  if (thread.space == nullptr) {
    return;
  }
  const AddressSpace& space = *thread.space;
  const bool guards = space.may_have(kVmaGuard);
  for (auto vma = space.at_or_after(kUserRange.begin); vma;) {
    Vma whole = without_guard(*vma);
    for (vma = space.at_or_after(whole.range.end); guards && vma && continues(whole, without_guard(*vma));
         vma = space.at_or_after(whole.range.end)) {
      whole.range.end = vma->range.end;
    }
    visit(whole);
  }
}

void proc_process_maps(TextBuilder& out, Thread& thread, ProcScope) {
  for_each_mapping(thread, [&](const Vma& vma) { add_map(out, thread, vma); });
}

// What is known of it: whose pages are whose, and which were written, is the business of whoever owns paging.
void proc_process_smaps(TextBuilder& out, Thread& thread, ProcScope) {
  for_each_mapping(thread, [&](const Vma& vma) {
    const auto kib = [](u64 pages) { return TextBuilder::Padded{pages_to_bytes(pages) >> 10, 8}; };
    add_map(out, thread, vma);
    out.add("Size:           ", kib(vma.range.pages()), " kB\nKernelPageSize: ", kib(1),
            " kB\nMMUPageSize:    ", kib(1), " kB\n");
    add_resident_lines(out, resident_pages(*thread.space, vma));
    add_flags(out, vma);
  });
}

}  // namespace nopte::guest::files
