// What mode bits, owners and capabilities allow the running thread (path_resolution(7), credentials(7);
// fs/namei.c, generic_permission and may_delete).
#pragma once

#include "guest-mm/kernel/files/inode_flags.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

inline constexpr u32 kMayExecute = 1;
inline constexpr u32 kMayWrite = 2;
inline constexpr u32 kMayRead = 4;

// Whether `who` may do all of `wanted` with the inode.
bool may_slow(const Identity& who, const Inode& inode, u32 wanted);

// Whether the running thread may search the directory: root's case costs one test.
inline bool may_search(const Inode& directory) {
  const Identity& who = identity();
  return who.has(Capability::kDacOverride) || may_slow(who, directory, kMayExecute);
}
// Whether nothing there can be changed; devices, FIFOs and sockets can be written all the same.
inline bool read_only(const Inode& inode) {
  return mounted_with(inode, kMountReadOnly) &&
         (inode.is_regular() || inode.is_directory() || inode.is_symlink());
}
// 0, -EACCES or -EROFS; -EPERM: it is immutable.
inline i64 permission(const Inode& inode, u32 wanted) {
  if ((wanted & kMayWrite) != 0) {
    if (read_only(inode)) [[unlikely]] {
      return -kEROFS;
    }
    if (has_flag(inode, kFlagImmutable)) [[unlikely]] {
      return -kEPERM;
    }
  }
  return may_slow(identity(), inode, wanted) ? 0 : -kEACCES;
}
// /proc/sys/fs/protected_hardlinks.
inline constinit i32 g_protected_hardlinks = 1;
// Owner, or CAP_FOWNER.
bool owns(const Inode& inode);
// 0, or -EROFS: what is said of the inode cannot change.
inline i64 may_change(const Inode& inode) { return mounted_with(inode, kMountReadOnly) ? -kEROFS : 0; }
// 0, -EROFS, or -EPERM: it has one of `flags`.
inline i64 may_change_unless(const Inode& inode, u8 flags) {
  const i64 error = may_change(inode);
  return error != 0 ? error : has_flag(inode, flags) ? -kEPERM : 0;
}
// 0, or why no name may be made in the directory: -EACCES; -ENOENT when it was removed.
i64 may_create(const Inode& directory);
// 0, or why the name of `victim` may not be taken from the directory: -EACCES; -EPERM in a sticky one,
// or where either is append-only, or the victim immutable.
i64 may_remove(const Inode& directory, const Inode& victim);
// Owner and group of what the running thread makes in the directory; set-group-ID directories hand theirs on.
void give_owner(Inode& made, const Inode* directory);
// Whether a file that changes its owner, or is written without CAP_FSETID, is set-group-ID no more.
bool loses_set_group(const Inode& inode);
// Takes set-user-ID and set-group-ID away from a file that is written, unless the writer has CAP_FSETID.
void drop_privileged_bits(Inode& inode);

}  // namespace nopte::guest::files
