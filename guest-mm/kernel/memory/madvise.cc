// madvise: argument rules and errno values are Linux's (mm/madvise.c of 6.12; guards: of 6.13).
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/files/io_vectors.h"
#include "guest-mm/kernel/files/tmpfs/object_zeros.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

enum MadviseValue : u64 {
  kMadvNormal = 0,
  kMadvRandom = 1,
  kMadvSequential = 2,
  kMadvWillNeed = 3,
  kMadvDontNeed = 4,
  kMadvFree = 8,
  kMadvRemove = 9,
  kMadvDontFork = 10,
  kMadvDoFork = 11,
  kMadvMergeable = 12,
  kMadvUnmergeable = 13,
  kMadvHugePage = 14,
  kMadvNoHugePage = 15,
  kMadvDontDump = 16,
  kMadvDoDump = 17,
  kMadvWipeOnFork = 18,
  kMadvKeepOnFork = 19,
  kMadvCold = 20,
  kMadvPageOut = 21,
  kMadvPopulateRead = 22,
  kMadvPopulateWrite = 23,
  kMadvDontNeedLocked = 24,
  kMadvCollapse = 25,
  kMadvGuardInstall = 102,
  kMadvGuardRemove = 103,
};

constexpr u64 kLargePageBytes = 2 << 20;

// No memory of the kernel's: ENOMEM says that the program's is missing.
i64 noted(Result<void> result) {
  return !result && result.error() == Status::kNoMemory ? -kEAGAIN : answer(result);
}

i64 use(VaRange range, Advice advice) { return noted(space().use(range, advice)); }
i64 mark(VaRange range, u32 mask, u32 bits) { return noted(space().mark(range, mask, bits)); }

i64 drop(VaRange range, bool locked_too) {
  if (locked_too || !space().may_have(kVmaLocked)) return answer(space().advise(range, Advice::kDontNeed));
  return for_each_part(range, [](const Vma& vma, VaRange part) -> i64 {
    return (vma.flags & kVmaLocked) != 0 ? -kEINVAL : answer(space().advise(part, Advice::kDontNeed));
  });
}

// Dropping at once is one of the two things that a program must expect of MADV_FREE.
i64 drop_anonymous(VaRange range) {
  return for_each_part(range, [](const Vma& vma, VaRange part) -> i64 {
    if (vma.object != nullptr || (vma.flags & kVmaLocked) != 0) return -kEINVAL;
    return answer(space().advise(part, Advice::kDontNeed));
  });
}

// As a hole in the file behind it.
i64 remove(VaRange range) {
  return for_each_part(range, [](const Vma& vma, VaRange part) -> i64 {
    if ((vma.flags & kVmaLocked) != 0 || vma.object == nullptr) return -kEINVAL;
    if (vma.sharing != Sharing::kShared || (vma.flags & kVmaNoWrite) != 0) return -kEACCES;
    const u64 first = (vma.offset_bytes + (part.begin - vma.range.begin)) >> kPageShift;
    return answer(files::zero_object_pages(*vma.object, first, part.pages()));
  });
}

i64 populate(VaRange range, bool write) {
  const auto install = [write](const Vma& vma, VaRange part) -> i64 {
    if ((vma.flags & kVmaGuard) != 0) return -kEFAULT;
    if (write ? !vma.perm.write() : !vma.perm.read()) return -kEINVAL;
    // Populating for reading must not copy a file's pages.
    const bool copies = shows_file_privately(vma);
    const Advice advice = write || !copies ? Advice::kPopulate : Advice::kWillNeed;
    const VaRange there = part_with_pages(vma, part);
    if (copies) fill_holes(vma, there);
    const i64 error = there.empty() ? 0 : answer(space().advise(there, advice));
    return error != 0 || there == part ? error : -kEFAULT;
  };
  return for_each_part(range, install, AtHole::kStops);
}

i64 guard(VaRange range, bool install) {
  return for_each_part(range, [install](const Vma& vma, VaRange part) -> i64 {
    if (install && (vma.flags & kVmaLocked) != 0) return -kEINVAL;
    return noted(install ? space().install_guard(part) : space().remove_guard(part));
  });
}

i64 wipe_on_fork(VaRange range) {
  return for_each_part(range, [](const Vma& vma, VaRange part) -> i64 {
    return vma.object != nullptr ? -kEINVAL : mark(part, kVmaWipeOnFork, kVmaWipeOnFork);
  });
}

// Pages that are cold, or may go, stay where they are: nobody takes any.
i64 reclaim(AddressSpace& of, VaRange range) {
  return for_each_part(
      of, range, [](const Vma& vma, VaRange) -> i64 { return (vma.flags & kVmaLocked) != 0 ? -kEINVAL : 0; });
}

// Whoever owns paging decides on large leaves; this refuses where Linux could not have one.
i64 collapse(AddressSpace& of, VaRange range) {
  return for_each_part(of, range, [](const Vma& vma, VaRange) -> i64 {
    const u64 first = (vma.range.begin.value() + kLargePageBytes - 1) & ~(kLargePageBytes - 1);
    return first + kLargePageBytes > vma.range.end.value() ? -kEINVAL : 0;
  });
}

// Sealed anonymous memory that cannot be written cannot be emptied either (mm/mseal.c).
bool emptying_is_sealed(VaRange range, u64 value) {
  if (!space().may_have(kVmaSealed) ||
      !(value == kMadvFree || value == kMadvDontNeed || value == kMadvDontNeedLocked ||
        value == kMadvRemove || value == kMadvDontFork || value == kMadvWipeOnFork)) {
    return false;
  }
  return for_each_part(range, [](const Vma& vma, VaRange) -> i64 {
           const bool kept = (vma.flags & kVmaSealed) != 0 && vma.object == nullptr && !vma.perm.write();
           return kept ? -kEPERM : 0;
         }) == -kEPERM;
}

// What one process may advise of another's memory.
bool for_others(u64 value) {
  return value == kMadvCold || value == kMadvPageOut || value == kMadvWillNeed || value == kMadvCollapse;
}

// Precondition: for_others(value).
i64 act_in(AddressSpace& of, VaRange range, u64 value) {
  return value == kMadvWillNeed   ? answer(of.advise(range, Advice::kWillNeed))
         : value == kMadvCollapse ? collapse(of, range)
                                  : reclaim(of, range);
}

i64 act(VaRange range, u64 value) {
  if (for_others(value)) return act_in(space(), range, value);
  if (emptying_is_sealed(range, value)) return -kEPERM;
  switch (value) {
    case kMadvFree:
      return drop_anonymous(range);
    case kMadvDontNeed:
    case kMadvDontNeedLocked:
      return drop(range, value == kMadvDontNeedLocked);
    case kMadvRemove:
      return remove(range);
    case kMadvPopulateRead:
    case kMadvPopulateWrite:
      return populate(range, value == kMadvPopulateWrite);
    case kMadvNormal:
      return use(range, Advice::kNormal);
    case kMadvRandom:
      return use(range, Advice::kRandom);
    case kMadvSequential:
      return use(range, Advice::kSequential);
    case kMadvHugePage:
      return use(range, Advice::kLargeWanted);
    case kMadvNoHugePage:
      return use(range, Advice::kLargeNever);
    case kMadvDontFork:
      return mark(range, kVmaDontFork, kVmaDontFork);
    case kMadvDoFork:
      return mark(range, kVmaDontFork, 0);
    case kMadvWipeOnFork:
      return wipe_on_fork(range);
    case kMadvKeepOnFork:
      return mark(range, kVmaWipeOnFork, 0);
    case kMadvDontDump:
      return mark(range, kVmaDontDump, kVmaDontDump);
    case kMadvDoDump:
      return mark(range, kVmaDontDump, 0);
    case kMadvGuardInstall:
    case kMadvGuardRemove:
      return guard(range, value == kMadvGuardInstall);
    default:  // kMadvMergeable, kMadvUnmergeable: nobody looks for equal pages
      return space().covered(range) ? 0 : -kENOMEM;
  }
}

bool known(u64 value) {
  return value <= kMadvDontNeed || (kMadvFree <= value && value <= kMadvCollapse) ||
         value == kMadvGuardInstall || value == kMadvGuardRemove;
}

// 0, or -EINVAL for a range that cannot be advised of.
i64 check_range(u64 start, u64 given_bytes) {
  const u64 bytes = round_up(given_bytes);
  return !aligned(start) || (given_bytes != 0 && bytes == 0) || start + bytes < start ? -kEINVAL : 0;
}

}  // namespace

i64 sys_madvise(const SyscallArgs& args) {
  const u64 advice = static_cast<u32>(args.a2);
  if (!known(advice) || check_range(args.a0, args.a1) != 0) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  return bytes == 0 ? 0 : act(range_of(args.a0, bytes), advice);
}

// As many bytes as were advised of in whole vectors, or the first one's error. Of its own memory a process
// may advise anything (6.13).
i64 sys_process_madvise(const SyscallArgs& args) {
  const u64 value = static_cast<u32>(args.a3);
  if ((args.a4 & 0xffff'ffff) != 0) return -kEINVAL;
  AddressSpace* of = nullptr;
  const auto find = [&]() -> i64 {
    const files::Meant target = files::meant_by(args.a0);
    if (target.error != 0) return target.error;
    of = target.thread->space;
    if (of == nullptr) return -kESRCH;
    if (!may_inspect(*target.thread)) return -kEPERM;
    if (of == &space()) return 0;
    if (!for_others(value)) return -kEINVAL;
    return capable(Capability::kSysNice) ? 0 : -kEPERM;
  };
  i64 error = 0;
  const i64 done = files::for_each_vector(args.a1, args.a2, [&](u64 start, u64 bytes, u64) -> i64 {
    if (of == nullptr) error = find();
    if (error == 0 && !known(value)) error = -kEINVAL;
    if (error == 0) error = check_range(start, bytes);
    if (error == 0) {
      const VaRange range = range_of(start, round_up(bytes));
      error = of == &space() ? act(range, value) : act_in(*of, range, value);
    }
    return error != 0 ? error : static_cast<i64>(bytes);
  });
  return done != 0 ? done : find();
}

}  // namespace nopte::guest
