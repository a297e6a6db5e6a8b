// The memory system calls: argument rules and errno values are Linux's (mm/mmap.c, mm/mprotect.c,
// mm/mremap.c, mm/madvise.c of 6.1), the work is AddressSpace's.
#include <algorithm>
#include <array>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

// mmap flags.
constexpr u64 kMapTypeMask = 0x0f;
constexpr u64 kMapShared = 0x01;
constexpr u64 kMapPrivate = 0x02;
constexpr u64 kMapSharedValidate = 0x03;
constexpr u64 kMapFixed = 0x10;
constexpr u64 kMapAnonymous = 0x20;
constexpr u64 kMapGrowsDown = 0x0100;
constexpr u64 kMapLocked = 0x2000;
constexpr u64 kMapNoReserve = 0x4000;
constexpr u64 kMapPopulate = 0x8000;
constexpr u64 kMapNonBlock = 0x1'0000;
constexpr u64 kMapHugeTlb = 0x4'0000;
constexpr u64 kMapFixedNoReplace = 0x10'0000;
// Flags that MAP_SHARED_VALIDATE knows: the legacy ones.
constexpr u64 kMapValidated = 0x1f'ffff;

constexpr u64 kProtSem = 8;
constexpr u64 kProtGrowsDown = 0x0100'0000;
constexpr u64 kProtGrowsUp = 0x0200'0000;

constexpr u64 kRemapMayMove = 1;
constexpr u64 kRemapFixed = 2;

enum MadviseValue : u64 {
  kMadvNormal = 0,
  kMadvRandom = 1,
  kMadvSequential = 2,
  kMadvWillNeed = 3,
  kMadvDontNeed = 4,
  kMadvFree = 8,
  kMadvHugePage = 14,
  kMadvNoHugePage = 15,
  kMadvDontDump = 16,
  kMadvDoDump = 17,
  kMadvCold = 20,
  kMadvPageOut = 21,
  kMadvPopulateRead = 22,
  kMadvPopulateWrite = 23,
};

constexpr u64 kMsAsync = 1;
constexpr u64 kMsInvalidate = 2;
constexpr u64 kMsSync = 4;

constexpr u64 kMclMask = 7;       // MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT
constexpr u64 kMlockOnFault = 1;  // mlock2

constexpr u64 kUserEnd = kUserRange.end.value();

AddressSpace& space() { return *current().space; }

i64 answer(Result<void> result) { return result ? 0 : to_errno(result.error()); }
i64 answer(Result<Gva> result) {
  return result ? static_cast<i64>(result->value()) : to_errno(result.error());
}

i64 use(VaRange range, Advice advice) {
  const auto noted = space().use(range, advice);
  // No memory of the kernel's: ENOMEM says that the program's is missing.
  return !noted && noted.error() == Status::kNoMemory ? -kEAGAIN : answer(noted);
}

constexpr bool aligned(u64 address) { return (address & kPageMask) == 0; }

// The pages of [start, start + bytes); wraps to 0 bytes when the length overflows, as PAGE_ALIGN does.
constexpr u64 round_up(u64 bytes) { return (bytes + kPageMask) & ~kPageMask; }
constexpr VaRange range_of(u64 start, u64 bytes) { return {Gva{start}, Gva{start + bytes}}; }

// The file's part of an mmap: object and flags. Negative errno, or 0.
i64 take_file(u64 descriptor, u64 flags, MapRequest& request) {
  files::File* file = files::current_files().table.get(descriptor);
  if (file == nullptr) return -kEBADF;
  switch (flags & kMapTypeMask) {
    case kMapSharedValidate:
      if ((flags & ~kMapValidated) != 0) return -kEOPNOTSUPP;
      [[fallthrough]];
    case kMapShared:
      request.sharing = Sharing::kShared;
      if (!file->writable()) {
        if (request.perm.write()) return -kEACCES;
        request.flags |= kVmaNoWrite;
      }
      break;
    case kMapPrivate:
      break;
    default:
      return -kEINVAL;
  }
  if (!file->readable()) return -kEACCES;
  if ((flags & kMapGrowsDown) != 0) return -kEINVAL;
  const auto object = file->mmap_object(request.perm, request.sharing);
  if (!object) return -object.error();
  // Without an object it is like anonymous memory (/dev/zero).
  request.object = Ref<MemoryObject>::adopt(*object);
  if (!request.object) request.offset_bytes = 0;
  return 0;
}

}  // namespace

i64 sys_mmap(const SyscallArgs& args) {
  const u64 bytes = args.a1;
  const u64 flags = args.a3;
  const u64 offset = args.a5;
  if (!aligned(offset)) return -kEINVAL;
  MapRequest request{
      .hint = Gva{args.a0}, .bytes = bytes, .perm = Perm(static_cast<u8>(args.a2 & Perm::kAll))};
  const bool anonymous = (flags & kMapAnonymous) != 0;
  if (!anonymous && files::current_files().table.get(args.a4) == nullptr) return -kEBADF;
  if (bytes == 0) return -kEINVAL;
  if (round_up(bytes) == 0 || (flags & kMapHugeTlb) != 0) return -kENOMEM;
  if (offset + round_up(bytes) < offset) return -kEOVERFLOW;

  if ((flags & (kMapFixed | kMapFixedNoReplace)) != 0) {
    const u64 rounded = round_up(bytes);
    if (rounded > kUserEnd || args.a0 > kUserEnd - rounded) return -kENOMEM;
    if (!aligned(args.a0)) return -kEINVAL;
    if (request.hint < kUserRange.begin) return -kEPERM;
    request.placement = (flags & kMapFixedNoReplace) != 0 ? Placement::kFixedNoReplace : Placement::kFixed;
  }
  if ((flags & kMapNoReserve) != 0) request.flags |= kVmaNoReserve;
  request.populate = (flags & kMapLocked) != 0 || (flags & (kMapPopulate | kMapNonBlock)) == kMapPopulate;

  if (anonymous) {
    switch (flags & kMapTypeMask) {
      case kMapShared:
        if ((flags & kMapGrowsDown) != 0) return -kEINVAL;
        request.sharing = Sharing::kShared;
        break;
      case kMapPrivate:
        if ((flags & kMapGrowsDown) != 0) request.flags |= kVmaGrowsDown;
        break;
      default:
        return -kEINVAL;
    }
  } else {
    request.offset_bytes = offset;
    if (const i64 error = take_file(args.a4, flags, request); error != 0) return error;
  }
  return answer(space().map(request));
}

i64 sys_munmap(const SyscallArgs& args) {
  const u64 start = args.a0;
  if (!aligned(start) || start > kUserEnd || args.a1 > kUserEnd - start) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (bytes == 0) return -kEINVAL;
  return answer(space().unmap(range_of(start, bytes)));
}

i64 sys_mprotect(const SyscallArgs& args) {
  u64 start = args.a0;
  const u64 grows = args.a2 & (kProtGrowsDown | kProtGrowsUp);
  const u64 prot = args.a2 & ~(kProtGrowsDown | kProtGrowsUp);
  if (grows == (kProtGrowsDown | kProtGrowsUp) || !aligned(start)) return -kEINVAL;
  if (args.a1 == 0) return 0;
  const u64 bytes = round_up(args.a1);
  u64 end = start + bytes;
  if (end <= start) return -kENOMEM;
  if ((prot & ~(u64{Perm::kAll} | kProtSem)) != 0) return -kEINVAL;
  if (grows != 0) {
    const auto vma = space().find(Gva{start});
    if (!vma) return -kENOMEM;
    if (grows == kProtGrowsUp || (vma->flags & kVmaGrowsDown) == 0) return -kEINVAL;
    start = vma->range.begin.value();
  }
  return answer(space().protect({Gva{start}, Gva{end}}, Perm(static_cast<u8>(prot & Perm::kAll))));
}

i64 sys_mremap(const SyscallArgs& args) {
  const u64 flags = args.a3;
  if ((flags & ~(kRemapMayMove | kRemapFixed)) != 0) return -kEINVAL;
  if ((flags & (kRemapMayMove | kRemapFixed)) == kRemapFixed) return -kEINVAL;
  if (!aligned(args.a0)) return -kEINVAL;
  const u64 old_bytes = round_up(args.a1);
  const u64 new_bytes = round_up(args.a2);
  if (new_bytes == 0) return -kEINVAL;
  if (!space().find(Gva{args.a0})) return -kEFAULT;
  if (old_bytes == 0) return -kEINVAL;
  if (args.a0 + old_bytes < args.a0 || args.a0 + old_bytes > kUserEnd) return -kEFAULT;
  if (new_bytes > kUserEnd) return (flags & kRemapFixed) != 0 ? -kEINVAL : -kENOMEM;
  RemapRequest request{.old = range_of(args.a0, old_bytes),
                       .new_pages = new_bytes >> kPageShift,
                       .may_move = (flags & kRemapMayMove) != 0,
                       .fixed = (flags & kRemapFixed) != 0,
                       .new_address = Gva{args.a4}};
  if (request.fixed && (!aligned(args.a4) || args.a4 > kUserEnd - new_bytes)) return -kEINVAL;
  return answer(space().remap(request));
}

i64 sys_madvise(const SyscallArgs& args) {
  const u64 start = args.a0;
  switch (args.a2) {
    case kMadvNormal:
    case kMadvRandom:
    case kMadvSequential:
    case kMadvWillNeed:
    case kMadvDontNeed:
    case kMadvFree:
    case kMadvHugePage:
    case kMadvNoHugePage:
    case kMadvDontDump:
    case kMadvDoDump:
    case kMadvCold:
    case kMadvPageOut:
    case kMadvPopulateRead:
    case kMadvPopulateWrite:
      break;
    default:
      return -kEINVAL;
  }
  if (!aligned(start)) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (args.a1 != 0 && bytes == 0) return -kEINVAL;
  if (start + bytes < start) return -kEINVAL;
  if (bytes == 0) return 0;
  const VaRange range = range_of(start, bytes);
  switch (args.a2) {
    case kMadvFree:
      // Dropping at once is one of the two things that a program must expect.
      for (auto vma = space().at_or_after(range.begin); vma && vma->range.begin < range.end;
           vma = space().at_or_after(vma->range.end)) {
        if (vma->object != nullptr) return -kEINVAL;
      }
      [[fallthrough]];
    case kMadvDontNeed:
      return answer(space().advise(range, Advice::kDontNeed));
    case kMadvWillNeed:
    case kMadvPopulateRead:
      return answer(space().advise(range, Advice::kWillNeed));
    case kMadvPopulateWrite:
      return answer(space().advise(range, Advice::kPopulate));
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
    default:
      // Hints.
      return space().covered(range) ? 0 : -kENOMEM;
  }
}

i64 sys_brk(const SyscallArgs& args) { return static_cast<i64>(space().set_brk(Gva{args.a0}).value()); }

i64 sys_mincore(const SyscallArgs& args) {
  const u64 start = args.a0;
  if (!aligned(start)) return -kEINVAL;
  if (start > kUserEnd || args.a1 > kUserEnd - start) return -kENOMEM;
  const u64 bytes = round_up(args.a1);
  if (bytes == 0) return 0;
  if (!space().covered(range_of(start, bytes))) return -kENOMEM;
  std::array<u8, kMostResident> vector;
  const u64 pages = bytes >> kPageShift;
  for (u64 done = 0; done < pages; done += vector.size()) {
    const u64 count = std::min<u64>(vector.size(), pages - done);
    const auto resident = space().resident(VaRange::of_pages(Gva{start} + pages_to_bytes(done), count));
    if (!resident) return to_errno(resident.error());
    for (u64 page = 0; page < count; ++page) vector[page] = *resident >> page & 1;
    if (const auto copied = arch::copy_to_user(Gva{args.a2 + done}, vector.data(), count); !copied) {
      return to_errno(copied.error());
    }
  }
  return 0;
}

i64 sys_msync(const SyscallArgs& args) {
  const u64 start = args.a0;
  const u64 flags = args.a2;
  if ((flags & ~(kMsAsync | kMsInvalidate | kMsSync)) != 0 || !aligned(start)) return -kEINVAL;
  if ((flags & kMsAsync) != 0 && (flags & kMsSync) != 0) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (start + bytes < start) return -kENOMEM;
  if (bytes == 0) return 0;
  // Files are their objects: there is nothing to write back.
  return space().covered(range_of(start, bytes)) ? 0 : -kENOMEM;
}

// Pages never leave memory: locking is what is left of it, having them there.
i64 sys_mlock(const SyscallArgs& args) {
  const u64 start = args.a0 & ~kPageMask;
  const u64 bytes = round_up(args.a1 + (args.a0 & kPageMask));
  if (start + bytes < start) return -kEINVAL;
  if (bytes == 0) return 0;
  const VaRange range = range_of(start, bytes);
  if (!space().covered(range)) return -kENOMEM;
  return answer(space().advise(range, Advice::kPopulate));
}

i64 sys_mlock2(const SyscallArgs& args) {
  if ((args.a2 & ~kMlockOnFault) != 0) return -kEINVAL;
  return (args.a2 & kMlockOnFault) != 0 ? sys_munlock(args) : sys_mlock(args);
}

i64 sys_munlock(const SyscallArgs& args) {
  const u64 start = args.a0 & ~kPageMask;
  const u64 bytes = round_up(args.a1 + (args.a0 & kPageMask));
  if (start + bytes < start) return -kEINVAL;
  return bytes == 0 || space().covered(range_of(start, bytes)) ? 0 : -kENOMEM;
}

i64 sys_mlockall(const SyscallArgs& args) {
  // MCL_ONFAULT (4) qualifies the other two.
  return (args.a0 & ~kMclMask) != 0 || (args.a0 & 3) == 0 ? -kEINVAL : 0;
}

i64 sys_munlockall(const SyscallArgs&) { return 0; }

}  // namespace nopte::guest
