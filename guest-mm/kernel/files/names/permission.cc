#include "guest-mm/kernel/files/names/permission.h"

#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest::files {

namespace {
constexpr u32 kSetUser = 04000, kSetGroup = 02000, kSticky = 01000, kGroupExecute = 010, kAnyExecute = 0111;
}  // namespace

bool may_slow(const Identity& who, const Inode& inode, u32 wanted) {
  const u32 shift = who.user.file == inode.uid ? 6 : who.in_group(inode.gid) ? 3 : 0;
  if ((wanted & ~(inode.mode >> shift)) == 0) {
    return true;
  }
  if (inode.is_directory()) {
    return who.has(Capability::kDacOverride) ||
           ((wanted & kMayWrite) == 0 && who.has(Capability::kDacReadSearch));
  }
  if (wanted == kMayRead && who.has(Capability::kDacReadSearch)) {
    return true;
  }
  // The superuser may all, but execute only what somebody may.
  return ((wanted & kMayExecute) == 0 || (inode.mode & kAnyExecute) != 0) &&
         who.has(Capability::kDacOverride);
}

bool owns(const Inode& inode) {
  const Identity& who = identity();
  return who.user.file == inode.uid || who.has(Capability::kFowner);
}

i64 may_create(const Inode& directory) {
  if (directory.links == 0) {
    return -kENOENT;
  }
  return permission(directory, kMayWrite | kMayExecute);
}

i64 may_remove(const Inode& directory, const Inode& victim) {
  if (const i64 error = permission(directory, kMayWrite | kMayExecute); error != 0) {
    return error;
  }
  const Identity& who = identity();
  const bool bound = (directory.mode & kSticky) != 0 && who.user.file != victim.uid &&
                     who.user.file != directory.uid && !who.has(Capability::kFowner);
  return bound || has_flag(directory, kFlagAppend) || has_flag(victim, kFlagsFixed) ? -kEPERM : 0;
}

void give_owner(Inode& made, const Inode* directory) {
  const Identity& who = identity();
  made.uid = who.user.file;
  made.gid = who.group.file;
  if (directory == nullptr || (directory->mode & kSetGroup) == 0) {
    return;
  }
  made.gid = directory->gid;
  if (made.is_directory()) {
    made.mode |= kSetGroup;
  } else if ((made.mode & (kSetGroup | kGroupExecute)) == (kSetGroup | kGroupExecute) &&
             !who.in_group(made.gid) && !who.has(Capability::kFsetid)) {
    made.mode &= ~kSetGroup;
  }
}

// Without the right to execute it the bit means something else, and its group may keep it
// (fs/attr.c, setattr_should_drop_sgid).
bool loses_set_group(const Inode& inode) {
  return (inode.mode & kGroupExecute) != 0 ||
         (!identity().in_group(inode.gid) && !capable(Capability::kFsetid));
}

void drop_privileged_bits(Inode& inode) {
  if ((inode.mode & (kSetUser | kSetGroup)) == 0 || !inode.is_regular() || capable(Capability::kFsetid)) {
    return;
  }
  inode.mode &= ~kSetUser;
  if (loses_set_group(inode)) {
    inode.mode &= ~kSetGroup;
  }
}

}  // namespace nopte::guest::files
