// shmget, shmat, shmdt, shmctl.
#include "guest-mm/core/commit_limit.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/ipc/shm.h"
#include "guest-mm/kernel/memory/memory_lock_limit.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

using namespace ipc;  // NOLINT(google-build-using-namespace): the calls are this folder's
using files::get_user;
using files::put_user;

namespace {

// uapi/linux/shm.h
constexpr u64 kShmHugeTlb = 04000, kShmNoReserve = 010000;
constexpr u64 kShmReadOnly = 010000, kShmRound = 020000, kShmRemap = 040000, kShmExecute = 0100000;
constexpr i32 kShmLock = 11, kShmUnlock = 12, kShmStat = 13, kShmInfo = 14, kShmStatAny = 15;

// shmid64_ds
struct ShmStatus {
  Permissions permissions;
  u64 bytes = 0;
  i64 attached_at = 0;
  i64 detached_at = 0;
  i64 changed_at = 0;
  i32 creator_pid = 0;
  i32 last_pid = 0;
  u64 attached = 0;
  u64 unused[2] = {};
};
static_assert(sizeof(ShmStatus) == 112);

// shminfo64
struct ShmBounds {
  u64 most_bytes, least_bytes, most_segments, most_per_process, most_pages, unused[4];
};
// shm_info
struct ShmUse {
  i32 used;
  i32 padding;
  u64 pages, resident, swapped, swap_attempts, swap_successes;
};

i64 create(i32 key, u64 bytes, u32 flags) {
  if (bytes < 1 || bytes > g_shm_limits.bytes) return -kEINVAL;
  const u64 pages = bytes_to_pages(bytes);
  if (pages_to_bytes(pages) < bytes) return -kENOSPC;
  if (segment_pages() + pages < pages || segment_pages() + pages > g_shm_limits.pages) return -kENOSPC;
  if ((flags & kShmHugeTlb) != 0) {
    // Who may have them gets none: none are reserved. vm.hugetlb_shm_group is 0.
    return capable(Capability::kIpcLock) || identity().in_group(0) ? -kENOMEM : -kEPERM;
  }
  if ((flags & kShmNoReserve) == 0 && !may_commit(pages)) return -kENOMEM;
  auto memory = MemoryObject::create(pages_to_bytes(pages));
  if (!memory) return to_errno(memory.error());
  MemoryObject& object = **memory;
  Ref<Segment> segment = files::make_counted<Segment>(std::move(*memory), bytes);
  if (!segment) return -kENOMEM;
  Segment& made = *segment;
  const i64 id = segments().add(std::move(segment), key, flags, g_shm_limits.segments);
  if (id < 0) return id;
  made.creator_pid = current_process().pid;
  made.changed_at = now_seconds();
  char name[] = "/SYSV00000000 (deleted)";
  for (u32 digit = 0; digit < 8; ++digit) name[5 + digit] = "0123456789abcdef"[key >> (28 - 4 * digit) & 15];
  object.set_name({name, sizeof(name) - 1});
  object.set_inode(static_cast<u64>(id));
  return id;
}

ShmStatus status_of(const Segment& segment) {
  return {.permissions = segment.permissions,
          .bytes = segment.bytes(),
          .attached_at = segment.attached_at,
          .detached_at = segment.detached_at,
          .changed_at = segment.changed_at,
          .creator_pid = segment.creator_pid,
          .last_pid = segment.last_pid,
          .attached = segment.attached()};
}

i64 tell(i32 id, i32 command, u64 to) {
  const bool by_slot = command != kStat;
  const Found found = find(segments(), id, by_slot);
  if (found.object == nullptr) return found.error;
  const auto& segment = static_cast<const Segment&>(*found.object);
  if (command != kShmStatAny && !permitted(segment, kRead)) return -kEACCES;
  if (const i64 error = put_user(to, status_of(segment)); error != 0) return error;
  return by_slot ? segment.id() : 0;
}

i64 tell_bounds(u64 to) {
  const ShmBounds bounds{.most_bytes = g_shm_limits.bytes,
                         .least_bytes = 1,
                         .most_segments = g_shm_limits.segments,
                         .most_per_process = g_shm_limits.segments,
                         .most_pages = g_shm_limits.pages,
                         .unused = {}};
  const i64 error = put_user(to, bounds);
  return error != 0 ? error : segments().last_slot();
}

i64 tell_use(u64 to) {
  const ShmUse use{.used = static_cast<i32>(segments().used()),
                   .padding = 0,
                   .pages = segment_pages(),
                   .resident = segment_pages(),
                   .swapped = 0,
                   .swap_attempts = 0,
                   .swap_successes = 0};
  const i64 error = put_user(to, use);
  return error != 0 ? error : segments().last_slot();
}

// Of a process that has it mapped, the pages stay where they are: nobody takes any.
i64 change(Segment& segment, i32 command, const ShmStatus& wanted) {
  switch (command) {
    case kSet:
      if (const i64 error = set_permissions(segment, wanted.permissions); error != 0) return error;
      segment.changed_at = now_seconds();
      return 0;
    case kRemove:
      if (!may_change(segment)) return -kEPERM;
      segment.remove();
      return 0;
    default:
      if (!may_change(segment)) return -kEPERM;
      if (command == kShmLock) {
        if (!may_lock()) return -kEPERM;
        segment.permissions.mode |= kShmLocked;
      } else {
        segment.permissions.mode &= ~kShmLocked;
      }
      return 0;
  }
}

}  // namespace

i64 sys_shmget(const SyscallArgs& args) {
  const auto key = static_cast<i32>(args.a0);
  const auto flags = static_cast<u32>(args.a2);
  return get(
      segments(), key, flags,
      [&](Object& there) -> i64 { return static_cast<Segment&>(there).bytes() < args.a1 ? -kEINVAL : 0; },
      [&] { return create(key, args.a1, flags); });
}

i64 sys_shmat(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const u64 flags = args.a2;
  u64 address = args.a1;
  if (id < 0) return -kEINVAL;
  if (address != 0 && !aligned(address)) {
    if ((flags & kShmRound) == 0) return -kEINVAL;
    address &= ~kPageMask;
    if (address == 0 && (flags & kShmRemap) != 0) return -kEINVAL;
  } else if (address == 0 && (flags & kShmRemap) != 0) {
    return -kEINVAL;
  }
  const Found found = find(segments(), id, false);
  if (found.object == nullptr) return found.error;
  auto& segment = static_cast<Segment&>(*found.object);
  const bool writes = (flags & kShmReadOnly) == 0;
  const bool executes = (flags & kShmExecute) != 0;
  if (!permitted(segment, kRead | (writes ? kWrite : 0) | (executes ? kExecute : 0))) return -kEACCES;
  MapRequest request{
      .hint = Gva{address},
      .bytes = segment.bytes(),
      .perm = Perm(static_cast<u8>(Perm::kRead | (writes ? Perm::kWrite : 0) | (executes ? Perm::kExec : 0))),
      .sharing = Sharing::kShared,
      .object = Ref<MemoryObject>(&segment.memory())};
  if (!writes) request.flags |= kVmaNoWrite;
  if (address != 0) {
    const u64 bytes = round_up(segment.bytes());
    if (bytes > kUserEnd || address > kUserEnd - bytes) {
      return (flags & kShmRemap) != 0 ? -kENOMEM : -kEINVAL;
    }
    if (request.hint < kUserRange.begin) return -kEPERM;
    request.placement = (flags & kShmRemap) != 0 ? Placement::kFixed : Placement::kFixedNoReplace;
  }
  const Ref<Object> held(&segment);  // what is replaced may have been the last that showed it
  const auto at = space().map(request);
  if (!at) return at.error() == Status::kOverlap ? -kEINVAL : to_errno(at.error());
  segment.attached_at = now_seconds();
  segment.last_pid = current_process().pid;
  return static_cast<i64>(at->value());
}

// Takes away the mapping that was made at the address, as far as it is there still: what shows the segment at
// the distances that it had.
i64 sys_shmdt(const SyscallArgs& args) {
  const u64 address = args.a0;
  if (!aligned(address)) return -kEINVAL;
  Ref<Segment> segment;
  u64 end = kUserEnd;
  for (auto vma = space().at_or_after(Gva{address}); vma && vma->range.begin.value() < end;
       vma = space().at_or_after(vma->range.end)) {
    Segment* const shown = Segment::of(vma->object);
    if (shown == nullptr || (segment && segment.get() != shown) ||
        vma->range.begin.value() - address != vma->offset_bytes) {
      continue;
    }
    if (!segment) {
      segment = Ref<Segment>(shown);
      end = address + round_up(shown->bytes());
    }
    if (const auto gone = space().unmap(vma->range); !gone) return to_errno(gone.error());
  }
  if (!segment) return -kEINVAL;
  segment->detached_at = now_seconds();
  segment->last_pid = current_process().pid;
  return 0;
}

i64 sys_shmctl(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const auto command = static_cast<i32>(args.a1);
  if (id < 0 || command < 0) return -kEINVAL;
  ShmStatus wanted;
  switch (command) {
    case kInfo:
      return tell_bounds(args.a2);
    case kShmInfo:
      return tell_use(args.a2);
    case kStat:
    case kShmStat:
    case kShmStatAny:
      return tell(id, command, args.a2);
    case kSet:
      if (const i64 error = get_user(wanted, args.a2); error != 0) return error;
      [[fallthrough]];
    case kRemove:
    case kShmLock:
    case kShmUnlock: {
      const Found found = find(segments(), id, false);
      return found.object == nullptr ? found.error
                                     : change(static_cast<Segment&>(*found.object), command, wanted);
    }
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
