// The mlock family: argument rules and errno values are Linux's (mm/mlock.c of 6.12). Pages never leave
// memory, so that locking is having them there, and what Linux refuses of locked ones.
#include "guest-mm/kernel/memory/memory_lock_limit.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u64 kMclCurrent = 1;
constexpr u64 kMclFuture = 2;
constexpr u64 kMclOnFault = 4;
constexpr u64 kMlockOnFault = 1;  // mlock2

// How far it comes: what nobody may access cannot be there.
i64 install(VaRange range) {
  return for_each_part(
      range,
      [](const Vma& vma, VaRange part) -> i64 {
        if (vma.perm.none()) return -kENOMEM;
        const VaRange there = part_with_pages(vma, part);
        if (shows_file_privately(vma)) fill_holes(vma, there);
        const i64 error = there.empty() ? 0 : answer(space().advise(there, Advice::kPopulate));
        return error != 0 || there == part ? error : -kENOMEM;
      },
      AtHole::kStops);
}

u64 limit_pages() {
  return bytes_to_pages(current_process().limits->of(Resource::kLockedBytes).now & ~kPageMask);
}

// How many pages of the range are promised with all of these flags.
u64 pages_with(u32 flags, VaRange range) {
  u64 pages = 0;
  for (auto vma = space().at_or_after(range.begin); vma && vma->range.begin < range.end;
       vma = space().at_or_after(vma->range.end)) {
    if ((vma->flags & flags) == flags) pages += vma->range.intersect(range).pages();
  }
  return pages;
}

i64 lock(const SyscallArgs& args, u32 how) {
  if (how != 0 && !may_lock()) return -kEPERM;
  const u64 start = args.a0 & ~kPageMask;
  const u64 bytes = round_up(args.a1 + (args.a0 & kPageMask));
  if (start + bytes < start) return -kEINVAL;
  if (bytes == 0) return 0;
  const VaRange range = range_of(start, bytes);
  // What is locked already counts once.
  if (how != 0 && !may_lock_more(range.pages()) &&
      space().locked_pages() + range.pages() - pages_with(kVmaLocked, range) > limit_pages()) {
    return -kENOMEM;
  }
  if (const auto locked = space().lock(range, how); !locked) return answer(locked);
  return how == kVmaLocked ? install(range) : 0;
}

void lock_all(u32 now, u32 future) {
  space().lock_future(future);
  // Of all regions alike: none is split, and holes do not matter.
  (void)space().mark(kUserRange, kVmaLockFlags, now);
}

}  // namespace

bool may_lock() {
  return current_process().limits->of(Resource::kLockedBytes).now != 0 || capable(Capability::kIpcLock);
}

bool may_lock_more(u64 pages) {
  return capable(Capability::kIpcLock) || space().locked_pages() + pages <= limit_pages();
}

i64 sys_mlock(const SyscallArgs& args) { return lock(args, kVmaLocked); }

i64 sys_mlock2(const SyscallArgs& args) {
  const u64 flags = static_cast<u32>(args.a2);
  if ((flags & ~kMlockOnFault) != 0) return -kEINVAL;
  return lock(args, (flags & kMlockOnFault) != 0 ? kVmaLockFlags : u32{kVmaLocked});
}

i64 sys_munlock(const SyscallArgs& args) { return lock(args, 0); }

i64 sys_mlockall(const SyscallArgs& args) {
  const u64 flags = static_cast<u32>(args.a0);
  if ((flags & ~(kMclCurrent | kMclFuture | kMclOnFault)) != 0 || (flags & (kMclCurrent | kMclFuture)) == 0) {
    return -kEINVAL;
  }
  if (!may_lock()) return -kEPERM;
  if ((flags & kMclCurrent) != 0 && !capable(Capability::kIpcLock) &&
      pages_with(0, kUserRange) > limit_pages()) {
    return -kENOMEM;
  }
  const u32 how = (flags & kMclOnFault) != 0 ? kVmaLockFlags : u32{kVmaLocked};
  const u32 future = (flags & kMclFuture) != 0 ? how : 0;
  if ((flags & kMclCurrent) == 0) {
    space().lock_future(future);
    return 0;
  }
  lock_all(how, future);
  if (how == kVmaLocked) {
    // As far as memory goes.
    (void)for_each_part(kUserRange, [](const Vma& vma, VaRange part) -> i64 {
      if (!vma.perm.none()) (void)space().advise(part, Advice::kPopulate);
      return 0;
    });
  }
  return 0;
}

i64 sys_munlockall(const SyscallArgs&) {
  lock_all(0, 0);
  return 0;
}

}  // namespace nopte::guest
