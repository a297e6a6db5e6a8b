// What chattr(1) sets on a file or directory of tmpfs: FS_*_FL of uapi/linux/fs.h, which are statx's
// STATX_ATTR_* as well (mm/shmem.c of Linux 6.12; read-only and append-only in fs/namei.c, fs/attr.c).
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

inline constexpr u8 kFlagImmutable = 0x10;
inline constexpr u8 kFlagAppend = 0x20;
inline constexpr u8 kFlagNoDump = 0x40;
inline constexpr u8 kFlagNoAccessTime = 0x80;  // kept and told
// Neither its owner nor its mode, its names nor its attributes change.
inline constexpr u8 kFlagsFixed = kFlagImmutable | kFlagAppend;

inline bool has_flag(const Inode& inode, u8 any_of) { return (inode.kept_flags & any_of) != 0; }
// Whether it has any of them to set.
inline bool takes_flags(const Inode& inode) {
  return (inode.is_regular() || inode.is_directory()) && inode.in_tmpfs();
}

}  // namespace nopte::guest::files
