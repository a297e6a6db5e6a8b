// What the file system calls share: descriptors and paths of the running process.
#pragma once

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/names/path_walk.h"
#include "guest-mm/kernel/files/names/user_path.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest::files {

// Whether O_DIRECT means something: files of tmpfs, since Linux 6.6, and pipes.
inline bool may_be_direct(const File& file) {
  Inode& inode = *file.inode();
  return inode.as_tmpfs_file() != nullptr || inode.as_pipe() != nullptr;
}

// Whether those that run the file, or have a lease on it, let it be opened so, or cut (kOpenWriteOnly): 0,
// -kETXTBSY, or what Leases::make_way answers.
i64 others_may(Inode& inode, u32 flags);

// Linux's MAX_RW_COUNT: one call moves no more.
inline constexpr u64 kTransferLimit = 0x7fff'f000;

// The working directory, as a call's argument.
inline constexpr u64 kCwd = static_cast<u64>(kAtCwd);

inline File* file_of(u64 descriptor) { return current_files().table.get(static_cast<u32>(descriptor)); }

// Keeps the file while a call lets others run, if one of them could close the descriptor meanwhile.
inline Ref<File> held(File* file) { return current_files().table_shared() ? Ref<File>(file) : nullptr; }

inline i64 negated(Errno error) { return -static_cast<i64>(error); }

// How many of the bytes a write to the file may move from `offset` on (RLIMIT_FSIZE, of regular files). 0,
// when `bytes` is not: the process was sent SIGXFSZ, and the call answers -EFBIG.
u64 within_file_limit_slow(const File& file, u64 offset, u64 bytes);
inline u64 within_file_limit(const File& file, u64 offset, u64 bytes) {
  const u64 limit = current_process().limits->of(Resource::kFileBytes).now;
  return limit == kUnlimited ? bytes : within_file_limit_slow(file, offset, bytes);
}

// Where a path of an *at call begins. `start` is null for the working directory.
struct PathStart {
  i64 error = 0;
  Inode* start = nullptr;
};
// -kENOENT of an empty path without kAtEmptyPath, -kEBADF, -kENOTDIR.
PathStart path_start(u64 directory_descriptor, std::string_view path, u32 flags = 0);

// Copies the path in and walks it. 0, or a negative errno.
i64 walk_user_path(u64 directory_descriptor, u64 path_address, FinalLink final, PathTarget& target);
// The same for calls that need an inode and have the path.
ErrnoOr<Ref<Inode>> inode_of_path(u64 directory_descriptor, std::string_view path, FinalLink final,
                                  u32 flags = 0);
// The same for calls that need an inode; with kAtEmptyPath in flags, an empty path is the descriptor itself.
ErrnoOr<Ref<Inode>> inode_of_user_path(u64 directory_descriptor, u64 path_address, FinalLink final,
                                       u32 flags = 0);

// change() of the inode of a path, with inode_of_user_path's flags: its answer, or a negative errno.
i64 on_path(u64 directory_descriptor, u64 path_address, u32 flags, FunctionRef<i64(Inode&)> change);
// The same for a descriptor; -EBADF for one that is not open, or by O_PATH only.
i64 on_descriptor(u64 descriptor, FunctionRef<i64(Inode&)> change);

}  // namespace nopte::guest::files
