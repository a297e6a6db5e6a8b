// The memory system calls: argument rules and errno values are Linux's (mm/mmap.c, mm/mprotect.c,
// mm/mremap.c, mm/madvise.c of 6.1), the work is AddressSpace's.
#include <algorithm>
#include <array>

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/inode_flags.h"
#include "guest-mm/kernel/ipc/shm.h"
#include "guest-mm/kernel/memory/memory_lock_limit.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

namespace {

// mmap flags.
constexpr u64 kMapTypeMask = 0x0f;
constexpr u64 kMapShared = 0x01;
constexpr u64 kMapPrivate = 0x02;
constexpr u64 kMapSharedValidate = 0x03;
constexpr u64 kMapDroppable = 0x08;
constexpr u64 kMapFixed = 0x10;
constexpr u64 kMapAnonymous = 0x20;
constexpr u64 kMap32Bit = 0x40;
constexpr u64 kMapGrowsDown = 0x0100;
constexpr u64 kMapLocked = 0x2000;
constexpr u64 kMapNoReserve = 0x4000;
constexpr u64 kMapPopulate = 0x8000;
constexpr u64 kMapNonBlock = 0x1'0000;
constexpr u64 kMapHugeTlb = 0x4'0000;
constexpr u64 kMapFixedNoReplace = 0x10'0000;
// Flags that MAP_SHARED_VALIDATE knows: LEGACY_MAP_MASK of include/linux/mman.h.
constexpr u64 kMapValidated = kMapSharedValidate | kMapFixed | kMapAnonymous | kMap32Bit |
                              0x80 /* ABOVE4G */ | kMapGrowsDown | 0x800 /* DENYWRITE */ |
                              0x1000 /* EXECUTABLE */ | kMapLocked | kMapNoReserve | kMapPopulate |
                              kMapNonBlock | 0x2'0000 /* STACK */ | kMapHugeTlb |
                              u64{21} << 26 /* HUGE_2MB */ | u64{30} << 26 /* HUGE_1GB */;
constexpr u64 kMostFileBytes = ~u64{0} >> 1;

// Where addresses end for Linux (TASK_SIZE), some pages above kUserEnd.
constexpr u64 kTaskEnd = 0x7fff'ffff'f000;

constexpr u64 kProtSem = 8;
constexpr u64 kProtGrowsDown = 0x0100'0000;
constexpr u64 kProtGrowsUp = 0x0200'0000;

constexpr u64 kRemapMayMove = 1;
constexpr u64 kRemapFixed = 2;
constexpr u64 kRemapDontUnmap = 4;

constexpr u64 kMsAsync = 1;
constexpr u64 kMsInvalidate = 2;
constexpr u64 kMsSync = 4;

i64 answer(Result<Gva> result) {
  return result ? static_cast<i64>(result->value()) : to_errno(result.error());
}

// No large pages are reserved, and there are those of two sizes; no file is of such.
i64 refuse_large(u64 flags, bool anonymous) {
  const u64 size = flags >> 26 & 63;
  return anonymous && (size == 0 || size == 21 || size == 30) ? -kENOMEM : -kEINVAL;
}

// Flags that few ask for, and memory that is to be locked. Negative errno, or 0.
[[gnu::noinline, gnu::cold]] i64 take_rare_flags(u64 flags, MapRequest& request) {
  const u64 pages = bytes_to_pages(request.bytes);
  if ((flags & kMap32Bit) != 0 && request.placement == Placement::kAnywhere) {
    request.hint = space().low_place(request.hint.page_base(), pages);
    if (request.hint == Gva{}) return -kENOMEM;
  }
  if ((flags & kMapNoReserve) != 0) request.flags |= kVmaNoReserve;
  if ((flags & kMapLocked) != 0) {
    if (!may_lock()) return -kEPERM;
    request.flags |= kVmaLocked;
  }
  return ((request.flags | space().future_locks()) & kVmaLocked) != 0 && !may_lock_more(pages) ? -kEAGAIN : 0;
}

// The file's part of an mmap: object and flags. Negative errno, or 0.
i64 take_file(u64 descriptor, u64 flags, MapRequest& request) {
  files::File* file = files::current_files().table.get(descriptor);
  if (file == nullptr) return -kEBADF;
  const u64 bytes = round_up(request.bytes);
  if (bytes > kMostFileBytes || request.offset_bytes > kMostFileBytes - bytes) return -kEOVERFLOW;
  switch (flags & kMapTypeMask) {
    case kMapSharedValidate:
      if ((flags & ~kMapValidated) != 0) return -kEOPNOTSUPP;
      [[fallthrough]];
    case kMapShared:
      request.sharing = Sharing::kShared;
      if (!file->writable() || file->sealed_for_writing()) {
        if (request.perm.write()) return file->writable() ? -kEPERM : -kEACCES;
        request.flags |= kVmaNoWrite;
      } else if (files::has_flag(*file->inode(), files::kFlagAppend)) {
        return -kEACCES;
      }
      break;
    case kMapPrivate:
      break;
    default:
      return -kEINVAL;
  }
  if (!file->readable()) return -kEACCES;
  if ((flags & kMapGrowsDown) != 0) return -kEINVAL;
  if (file->is_secret()) [[unlikely]] {
    if (request.sharing != Sharing::kShared) return -kEINVAL;
    if (!may_lock_more(bytes_to_pages(bytes))) return -kEAGAIN;
    request.flags |= kVmaLocked | kVmaDontDump | kVmaSecret;
  }
  const auto object = file->mmap_object(request.perm, request.sharing);
  if (!object) return -object.error();
  // Without an object it is like anonymous memory (/dev/zero).
  request.object = Ref<MemoryObject>::adopt(*object);
  if (!request.object) request.offset_bytes = 0;
  return 0;
}

// PR_SET_MDWE: what is to be executable is neither written nor made so later (mm/mman.h,
// map_deny_write_exec).
[[gnu::noinline, gnu::cold]] i64 check_exec(VaRange range, Perm wanted, bool fresh) {
  if (wanted.write()) return -kEACCES;
  for (auto vma = space().at_or_after(range.begin); !fresh && vma && vma->range.begin < range.end;
       vma = space().at_or_after(vma->range.end)) {
    if (!vma->perm.exec()) return -kEACCES;
  }
  return 0;
}

// The rest of what is asked for, and the call. Negative errno, or the address.
[[gnu::always_inline]] inline i64 map_as_asked(const SyscallArgs& args, MapRequest& request) {
  const u64 flags = args.a3;
  const u64 offset = args.a5;
  if (((flags & (kMapNoReserve | kMap32Bit | kMapLocked)) | space().future_locks()) != 0) [[unlikely]] {
    if (const i64 error = take_rare_flags(flags, request); error != 0) return error;
  }
  if (request.perm.exec() && space().write_exec_barred() != 0) [[unlikely]] {
    if (const i64 error = check_exec({}, request.perm, true); error != 0) return error;
  }
  request.populate = (flags & kMapLocked) != 0 || (flags & (kMapPopulate | kMapNonBlock)) == kMapPopulate;

  if ((flags & kMapAnonymous) != 0) {
    switch (flags & kMapTypeMask) {
      case kMapShared:
        if ((flags & kMapGrowsDown) != 0) return -kEINVAL;
        request.sharing = Sharing::kShared;
        break;
      case kMapDroppable:
        if (offset != 0 || (flags & kMapLocked) != 0) return -kEINVAL;
        request.flags |= kVmaNoReserve | kVmaWipeOnFork | kVmaDontDump;
        [[fallthrough]];
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
  if (round_up(bytes) == 0) return -kENOMEM;
  if ((flags & kMapHugeTlb) != 0) return not_built(args, "MAP_HUGETLB", refuse_large(flags, anonymous));

  if ((flags & (kMapFixed | kMapFixedNoReplace)) != 0) {
    const u64 rounded = round_up(bytes);
    if (rounded > kUserEnd || args.a0 > kUserEnd - rounded) return -kENOMEM;
    if (!aligned(args.a0)) return -kEINVAL;
    if (request.hint < kUserRange.begin) return -kEPERM;
    request.placement = (flags & kMapFixedNoReplace) != 0 ? Placement::kFixedNoReplace : Placement::kFixed;
    if (sealed(range_of(args.a0, rounded))) {
      return request.placement == Placement::kFixed ? -kEPERM : -kEEXIST;
    }
  }
  const i64 mapped = map_as_asked(args, request);
  // Of several errors this one comes first: what is there is noticed before flags and files are looked at
  // (mm/mmap.c, do_mmap).
  if (mapped < 0 && request.placement == Placement::kFixedNoReplace &&
      !space().tree().free(range_of(args.a0, round_up(bytes)))) {
    return -kEEXIST;
  }
  return mapped;
}

i64 sys_munmap(const SyscallArgs& args) {
  const u64 start = args.a0;
  if (!aligned(start) || start > kTaskEnd || args.a1 > kTaskEnd - start) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (bytes == 0) return -kEINVAL;
  if (start >= kUserEnd) return 0;  // nothing is ever there
  if (sealed(range_of(start, bytes))) return -kEPERM;
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
  const VaRange range{Gva{start}, Gva{end}};
  const Perm perm(static_cast<u8>(prot & Perm::kAll));
  if (sealed(range)) return -kEPERM;
  if (perm.exec() && space().write_exec_barred() != 0) [[unlikely]] {
    if (const i64 error = check_exec(range, perm, false); error != 0) return error;
  }
  return answer(space().protect(range, perm));
}

i64 sys_mremap(const SyscallArgs& args) {
  const u64 flags = args.a3;
  const bool may_move = (flags & kRemapMayMove) != 0;
  const bool fixed = (flags & kRemapFixed) != 0;
  const bool keeps_source = (flags & kRemapDontUnmap) != 0;
  if ((flags & ~(kRemapMayMove | kRemapFixed | kRemapDontUnmap)) != 0) return -kEINVAL;
  if ((fixed || keeps_source) && !may_move) return -kEINVAL;
  if (keeps_source && args.a1 != args.a2) return -kEINVAL;
  if (!aligned(args.a0)) return -kEINVAL;
  const u64 old_bytes = round_up(args.a1);
  const u64 new_bytes = round_up(args.a2);
  if (new_bytes == 0) return -kEINVAL;
  const auto vma = space().find(Gva{args.a0});
  if (!vma) return -kEFAULT;
  if (args.a0 + old_bytes < args.a0 || args.a0 + old_bytes > kUserEnd) return -kEFAULT;
  if (new_bytes > kUserEnd) return fixed || keeps_source ? -kEINVAL : -kENOMEM;
  RemapRequest request{.old = range_of(args.a0, old_bytes),
                       .new_pages = new_bytes >> kPageShift,
                       .may_move = may_move,
                       .fixed = fixed,
                       .keeps_source = keeps_source,
                       .new_address = Gva{args.a4}};
  if ((fixed || keeps_source) && (!aligned(args.a4) || args.a4 > kUserEnd - new_bytes)) return -kEINVAL;
  if (sealed(request.old) || (fixed && sealed(range_of(args.a4, new_bytes)))) return -kEPERM;
  if ((vma->flags & kVmaLocked) != 0 && new_bytes > old_bytes &&
      !may_lock_more((new_bytes - old_bytes) >> kPageShift)) {
    return -kEAGAIN;
  }
  return answer(space().remap(request));
}

// As mmap does it, for a shared mapping (mm/mmap.c): what it shows begins at another page of its object.
i64 sys_remap_file_pages(const SyscallArgs& args) {
  const u64 start = args.a0 & ~kPageMask;
  const u64 bytes = args.a1 & ~kPageMask;
  const u64 page = args.a3;
  if (args.a2 != 0 || start + bytes <= start) return -kEINVAL;
  if (page + (bytes >> kPageShift) < page || page + (bytes >> kPageShift) > kMostFileBytes >> kPageShift) {
    return -kEINVAL;
  }
  const auto vma = space().find(Gva{start});
  const VaRange range = range_of(start, bytes);
  if (!vma || vma->sharing != Sharing::kShared || !space().covered(range)) return -kEINVAL;
  for (auto next = vma; next && next->range.begin < range.end; next = space().at_or_after(next->range.end)) {
    if (next->object != vma->object || next->flags != vma->flags) return -kEINVAL;
  }
  if (sealed(range)) return -kEPERM;
  Ref<MemoryObject> object(vma->object);
  if (ipc::Segment* const segment = ipc::Segment::of(object.get()); segment != nullptr) {
    // What is replaced goes first: if it was the last that showed a removed segment, there is none to map.
    const Ref<ipc::Object> held(segment);
    if (segment->goes_unmapped()) {
      if (const auto gone = space().unmap(range); !gone) return to_errno(gone.error());
      if (segment->removed()) return -kEINVAL;
    }
  }
  const auto mapped = space().map({.hint = Gva{start},
                                   .bytes = bytes,
                                   .perm = vma->perm,
                                   .sharing = Sharing::kShared,
                                   .placement = Placement::kFixed,
                                   .flags = vma->flags,
                                   .populate = true,
                                   .object = std::move(object),
                                   .offset_bytes = pages_to_bytes(page)});
  return mapped ? 0 : to_errno(mapped.error());
}

i64 sys_mseal(const SyscallArgs& args) {
  const u64 start = args.a0;
  const u64 bytes = round_up(args.a1);
  if (args.a2 != 0 || !aligned(start) || (args.a1 != 0 && bytes == 0) || start + bytes < start)
    return -kEINVAL;
  if (bytes == 0) return 0;
  if (!space().covered(range_of(start, bytes))) return -kENOMEM;
  return answer(space().mark(range_of(start, bytes), kVmaSealed, kVmaSealed));
}

i64 sys_brk(const SyscallArgs& args) {
  const Gva end = Gva{args.a0};
  const Gva now = space().brk();
  if (space().future_locks() != 0 && now < end && end < kUserRange.end &&
      !may_lock_more(bytes_to_pages(round_up(end.value()) - round_up(now.value())))) [[unlikely]] {
    return static_cast<i64>(now.value());
  }
  return static_cast<i64>(space().set_brk(end).value());
}

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
  const u64 flags = static_cast<u32>(args.a2);
  if ((flags & ~(kMsAsync | kMsInvalidate | kMsSync)) != 0 || !aligned(start)) return -kEINVAL;
  if ((flags & kMsAsync) != 0 && (flags & kMsSync) != 0) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (start + bytes < start) return -kENOMEM;
  if (bytes == 0) return 0;
  if ((flags & kMsInvalidate) != 0 && space().may_have(kVmaLocked)) {
    return for_each_part(range_of(start, bytes), [](const Vma& vma, VaRange) -> i64 {
      return (vma.flags & kVmaLocked) != 0 ? -kEBUSY : 0;
    });
  }
  // Files are their objects: there is nothing to write back.
  return space().covered(range_of(start, bytes)) ? 0 : -kENOMEM;
}

}  // namespace nopte::guest
