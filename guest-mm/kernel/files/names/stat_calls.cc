// What inodes say about themselves, and their sizes: stat, truncate, fallocate, statfs.
#include <algorithm>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"
#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

struct StatxTime {
  i64 seconds;
  u32 nanoseconds;
  i32 reserved;
};

// uapi/linux/stat.h
struct Statx {
  u32 mask = 0;
  u32 block_bytes = 0;
  u64 attributes = 0;
  u32 links = 0;
  u32 uid = 0;
  u32 gid = 0;
  u16 mode = 0;
  u16 spare = 0;
  u64 inode = 0;
  u64 bytes = 0;
  u64 blocks_512 = 0;
  u64 attributes_mask = 0;
  StatxTime accessed{}, born{}, changed{}, modified{};
  u32 node_major = 0, node_minor = 0, device_major = 0, device_minor = 0;
  u64 mount = 0;
  u64 reserved[13] = {};
};
static_assert(sizeof(Statx) == 256);

struct StatFs {
  i64 type, block_bytes;
  u64 blocks, blocks_free, blocks_available, inodes, inodes_free;
  i32 id[2];
  i64 name_bytes, fragment_bytes, flags, spare[4];
};
static_assert(sizeof(StatFs) == 120);

constexpr u32 kStatFlags = kAtSymlinkNoFollow | kAtNoAutomount | kAtEmptyPath | kAtSyncTypes;

// Since Linux 6.11 a null path with kAtEmptyPath is an empty one.
ErrnoOr<Ref<Inode>> inode_to_describe(u64 directory, u64 path, u32 flags) {
  const FinalLink final = (flags & kAtSymlinkNoFollow) != 0 ? FinalLink::kStay : FinalLink::kFollow;
  return path == 0 && (flags & kAtEmptyPath) != 0 ? inode_of_path(directory, {}, final, flags)
                                                  : inode_of_user_path(directory, path, final, flags);
}

i64 stat_path(u64 directory, u64 path, u64 out, u32 flags) {
  if ((flags & ~kStatFlags) != 0) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_to_describe(directory, path, flags);
  if (!inode) {
    return negated(inode.error());
  }
  Stat stat;
  (*inode)->stat(stat);
  return put_user(out, stat);
}

StatxTime statx_time(const Timespec& time) { return {time.seconds, static_cast<u32>(time.nanoseconds), 0}; }

// uapi/linux/magic.h
constexpr i64 kTmpfsMagic = 0x0102'1994;
struct Magic {
  u64 device;
  i64 type;
  bool has_names;
};
constexpr Magic kMagics[] = {
    {kProcDevice, 0x9fa0, true},         {kSysDevice, 0x6265'6572, true},
    {kPtsDevice, 0x1cd1, true},          {kPipeDevice, 0x5049'5045, false},
    {kSocketDevice, 0x534f'434b, false}, {kAnonymousDevice, 0x0904'1934, false},
    {kPidfdDevice, 0x5049'4446, false},
};

i64 put_statfs(const Inode& inode, u64 out) {
  const bool tmpfs = inode.in_tmpfs();
  const TmpfsUse use = tmpfs ? tmpfs_use() : TmpfsUse{};
  StatFs answer{};
  const u64 device = inode.device_of_file_system();
  const auto* const known = std::ranges::find(kMagics, device, &Magic::device);
  answer.type = tmpfs || known == std::end(kMagics) ? kTmpfsMagic : known->type;
  answer.block_bytes = answer.fragment_bytes = kPageBytes;
  answer.blocks = use.limit_bytes / kPageBytes;
  answer.blocks_free = answer.blocks_available = use.free_bytes() / kPageBytes;
  answer.inodes = answer.blocks;
  answer.inodes_free = answer.blocks_free;
  answer.name_bytes = kNameBytes;
  constexpr i64 kValid = 0x20, kRelativeTimes = 0x1000;
  const i64 times = known != std::end(kMagics) && !known->has_names ? 0 : kRelativeTimes;
  answer.flags = kValid | times | (inode.instance ? inode.instance->flags : 0);
  answer.id[0] = static_cast<i32>(device);
  return put_user(out, answer);
}

// Growing a file obeys RLIMIT_FSIZE (fs/attr.c, inode_newsize_ok).
bool may_become(const Inode& inode, u64 bytes) {
  const bool may =
      bytes <= inode.size_bytes() || bytes <= current_process().limits->of(Resource::kFileBytes).now;
  if (!may) {
    send_signal(current(), kSIGXFSZ);
  }
  return may;
}

// What a change of the contents answers; who watches is told.
i64 modified(Inode& inode, i64 error) {
  if (error == 0) {
    drop_privileged_bits(inode);
    notify(inode, kModified);
  }
  return error;
}

// Whether it is a file or directory that could be written back, were there something to write it to.
bool kept_in_tmpfs(const Inode& inode) {
  return (inode.is_regular() || inode.is_directory()) && inode.in_tmpfs();
}

i64 truncate_inode(Inode& inode, u64 bytes) {
  if (static_cast<i64>(bytes) < 0) {
    return -kEINVAL;
  }
  if (inode.is_directory()) {
    return -kEISDIR;
  }
  if (const i64 error = inode.is_regular() ? permission(inode, kMayWrite) : -kEINVAL; error != 0) {
    return error;
  }
  if (has_flag(inode, kFlagAppend)) {
    return -kEPERM;
  }
  if (inode.running != 0 || inode.locks) [[unlikely]] {
    if (const i64 error = others_may(inode, kOpenWriteOnly); error != 0) {
      return error;
    }
  }
  if (!may_become(inode, bytes)) {
    return -kEFBIG;
  }
  return modified(inode, inode.truncate(bytes));
}

}  // namespace

i64 sys_stat(const SyscallArgs& args) { return stat_path(kCwd, args.a0, args.a1, 0); }
i64 sys_lstat(const SyscallArgs& args) { return stat_path(kCwd, args.a0, args.a1, kAtSymlinkNoFollow); }
i64 sys_newfstatat(const SyscallArgs& args) {
  return stat_path(args.a0, args.a1, args.a2, static_cast<u32>(args.a3));
}
i64 sys_fstat(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  Stat stat;
  file->stat(stat);
  return put_user(args.a1, stat);
}

i64 sys_statx(const SyscallArgs& args) {
  constexpr u32 kBasicStats = 0x7ff, kBorn = 0x800, kMountId = 0x1000, kMountRoot = 0x2000;
  constexpr u64 kReservedMask = 0x8000'0000;
  const u32 flags = static_cast<u32>(args.a2);
  if ((args.a3 & kReservedMask) != 0 || (flags & kAtSyncTypes) == kAtSyncTypes ||
      (flags & ~kStatFlags) != 0) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_to_describe(args.a0, args.a1, flags);
  if (!inode) {
    return negated(inode.error());
  }
  Stat stat;
  (*inode)->stat(stat);
  Statx answer;
  answer.mask = kBasicStats | kMountId;
  answer.mount = device_minor(stat.dev);
  answer.attributes_mask = kMountRoot;
  const Inode& found = **inode;
  const bool root = &found == &root_directory() || is_mount_root(found) ||
                    (found.parent != nullptr && found.is_directory() &&
                     found.parent->device_of_file_system() != found.device_of_file_system());
  answer.attributes = root ? kMountRoot : 0;
  if (takes_flags(found)) {
    constexpr u64 kTold = kFlagsFixed | kFlagNoDump;
    answer.attributes_mask |= kTold;
    answer.attributes |= found.kept_flags & kTold;
  }
  if ((args.a3 & kBorn) != 0 && found.in_tmpfs()) {
    const Timespec born = signed_timespec(found.born_ns);
    answer.mask |= kBorn;
    answer.born = statx_time(born);
  }
  answer.block_bytes = static_cast<u32>(stat.block_bytes);
  answer.links = static_cast<u32>(stat.nlink);
  answer.uid = stat.uid;
  answer.gid = stat.gid;
  answer.mode = static_cast<u16>(stat.mode);
  answer.inode = stat.ino;
  answer.bytes = static_cast<u64>(stat.bytes);
  answer.blocks_512 = static_cast<u64>(stat.blocks_512);
  answer.accessed = statx_time(stat.accessed);
  answer.modified = statx_time(stat.modified);
  answer.changed = statx_time(stat.changed);
  answer.node_major = device_major(stat.rdev);
  answer.node_minor = device_minor(stat.rdev);
  answer.device_major = device_major(stat.dev);
  answer.device_minor = device_minor(stat.dev);
  return put_user(args.a4, answer);
}

i64 sys_truncate(const SyscallArgs& args) {
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return truncate_inode(inode, args.a1); });
}
i64 sys_ftruncate(const SyscallArgs& args) {
  if (static_cast<i64>(args.a1) < 0) {
    return -kEINVAL;
  }
  File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  if (!file->writable()) {
    return -kEINVAL;
  }
  if (has_flag(*file->inode(), kFlagAppend)) {
    return -kEPERM;
  }
  return file->inode()->is_regular() && !may_become(*file->inode(), args.a1)
             ? -kEFBIG
             : modified(*file->inode(), file->truncate(args.a1));
}

i64 sys_fallocate(const SyscallArgs& args) {
  // Of the other modes tmpfs, in Linux as here, knows none.
  constexpr u64 kKeepSize = 1;
  constexpr u64 kPunchHole = 2;
  File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  // In the order of vfs_fallocate.
  const u64 mode = static_cast<u32>(args.a1);
  const i64 offset = static_cast<i64>(args.a2);
  const i64 bytes = static_cast<i64>(args.a3);
  i64 end = 0;
  if (offset < 0 || bytes <= 0) {
    return -kEINVAL;
  }
  if ((mode & ~(kKeepSize | kPunchHole)) != 0 || mode == kPunchHole) {
    return -kEOPNOTSUPP;
  }
  if (!file->writable()) {
    return -kEBADF;
  }
  const bool adds = (mode & ~kKeepSize) == 0;
  if (has_flag(*file->inode(), adds ? kFlagImmutable : kFlagsFixed)) {
    return -kEPERM;
  }
  if (!file->inode()->is_regular()) {
    return file->inode()->type() == kModeFifo ? -kESPIPE
           : file->inode()->is_directory()    ? -kEISDIR
                                              : -kENODEV;
  }
  if (__builtin_add_overflow(offset, bytes, &end)) {
    return -kEFBIG;
  }
  if ((mode & kPunchHole) != 0) {
    const Ref<File> hold = held(file);
    return modified(*file->inode(), file->punch(args.a2, args.a3));
  }
  if (!may_become(*file->inode(), static_cast<u64>(end))) {
    return -kEFBIG;
  }
  if (const i64 error = file->allocate(args.a2, args.a3); error != 0) {
    return error;
  }
  if ((mode & kKeepSize) || static_cast<u64>(end) <= file->end_bytes()) {
    return modified(*file->inode(), 0);
  }
  return modified(*file->inode(), file->truncate(static_cast<u64>(end)));
}

// There is nothing to write back, but not everything can be asked for it.
i64 sys_fsync(const SyscallArgs& args) {
  return on_descriptor(args.a0,
                       [](const Inode& inode) -> i64 { return kept_in_tmpfs(inode) ? 0 : -kEINVAL; });
}
i64 sys_fdatasync(const SyscallArgs& args) { return sys_fsync(args); }
i64 sys_syncfs(const SyscallArgs& args) {
  return on_descriptor(args.a0, [](const Inode&) -> i64 { return 0; });
}
i64 sys_sync(const SyscallArgs&) { return 0; }
i64 sys_fadvise64(const SyscallArgs& args) {
  constexpr u32 kLastAdvice = 5;
  return on_descriptor(args.a0, [&](const Inode& inode) -> i64 {
    if (inode.type() == kModeFifo) {
      return -kESPIPE;
    }
    return static_cast<i64>(args.a2) < 0 || static_cast<u32>(args.a3) > kLastAdvice ? -kEINVAL : 0;
  });
}

i64 sys_readahead(const SyscallArgs& args) {
  const File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only() || !file->readable()) {
    return -kEBADF;
  }
  const u32 type = file->inode()->type();
  const bool has_pages = type == kModeRegular && file->inode()->as_tmpfs_file() != nullptr;
  return has_pages && !file->is_secret() ? 0 : -kEINVAL;
}

// Everything is where it is written to.
i64 sys_sync_file_range(const SyscallArgs& args) {
  constexpr u64 kFlags = 7;  // WAIT_BEFORE, WRITE, WAIT_AFTER
  return on_descriptor(args.a0, [&](const Inode& inode) -> i64 {
    const auto offset = static_cast<i64>(args.a1);
    i64 end = 0;
    if ((args.a3 & ~kFlags & 0xffff'ffff) != 0 || offset < 0 ||
        __builtin_add_overflow(offset, static_cast<i64>(args.a2), &end) || end < 0 || end < offset) {
      return -kEINVAL;
    }
    const u32 type = inode.type();
    return type == kModeRegular || type == kModeBlock || type == kModeDirectory || type == kModeSymlink
               ? 0
               : -kESPIPE;
  });
}

i64 sys_statfs(const SyscallArgs& args) {
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return put_statfs(inode, args.a1); });
}
i64 sys_fstatfs(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  return file == nullptr ? -kEBADF : put_statfs(*file->inode(), args.a1);
}

}  // namespace nopte::guest
