// What fcntl's commands on locks do.
#pragma once

#include "guest-mm/kernel/files/locks/file_locks.h"

namespace nopte::guest::files {

class File;

enum class LockOwner : bool { kProcess, kOpenFile };

// F_GETLK, F_OFD_GETLK: what would be in the way of the struct flock at `address`.
i64 get_file_lock(const File& file, LockOwner owner, u64 address);
// F_SETLK, F_SETLKW and those of open files. -kEBADF also when the descriptor was closed meanwhile.
i64 set_file_lock(File& file, u64 descriptor, LockOwner owner, Wait wait, u64 address);

// F_SETLEASE and F_GETLEASE; LockType is their type.
i64 set_lease(File& file, u64 descriptor, u64 type);
i64 get_lease(const File& file);

}  // namespace nopte::guest::files
