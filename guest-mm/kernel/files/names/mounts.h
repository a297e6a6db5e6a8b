// What is mounted: instances of tmpfs beside the one that everything else is in. A walk that comes to a
// directory over which one lies goes on at its root, whose ".." is that of the directory.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// mount(2)'s flags that are kept.
inline constexpr u32 kMountReadOnly = 1, kMountNoSetuid = 2, kMountNoDevices = 4, kMountNoExec = 8;

class TmpfsInstance final : public RefCounted {
 public:
  TmpfsInstance(u64 number, u32 mount_flags) : device(number), flags(mount_flags) {}
  const u64 device;
  u32 flags;
  Inode* root = nullptr;  // while it is mounted
};

struct Mount : HeapAllocated {
  Ref<Inode> point;
  Ref<Inode> root;
  Ref<TmpfsInstance> instance;
  char source[64] = {};
  bool expiring = false;  // nobody used it since umount2(MNT_EXPIRE)
  Mount* next = nullptr;
};

extern Mount* g_mounts;  // the last one first

// Whether a walk through a mount is a use of it: not umount2's own.
extern bool g_walks_use_mounts;

// What lies over the inode: it, or the root of what is mounted there.
[[gnu::noinline]] Ref<Inode> over_mounts(Ref<Inode> inode);
// The mount whose root it is; null: of none.
Mount* mount_at(const Inode& inode);
inline bool is_mount_root(const Inode& inode) { return g_mounts != nullptr && mount_at(inode) != nullptr; }
// Whether something there must not be changed, used as a device, or run.
inline bool mounted_with(const Inode& inode, u32 flag) {
  return inode.instance && (inode.instance->flags & flag) != 0;
}
// Its mode as exec takes it.
inline u32 mode_for_exec(const Inode& inode) {
  constexpr u32 kSetIdBits = 06000;
  return mounted_with(inode, kMountNoSetuid) ? inode.mode & ~kSetIdBits : inode.mode;
}

// A new tmpfs over the directory, whose root has that mode. Errors: kENOMEM.
i64 mount_tmpfs(Inode& point, std::string_view source, u32 flags, u32 mode);
// Whether something is mounted below it, or, if that counts, somebody uses it.
enum class Users : bool { kDoNotCount, kCount };
bool is_busy(const Mount& mount, Users users);
// Takes it away. Precondition: nothing is mounted below it.
void unmount(Mount& mount);

}  // namespace nopte::guest::files
