// Calls on names: directories, nodes, links, rename, readlink.
#include <cstring>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/permission.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// Walks to a name that is to be made: -kEEXIST when something is there.
i64 walk_to_new(u64 directory, u64 path, PathTarget& target) {
  if (const i64 error = walk_user_path(directory, path, FinalLink::kName, target); error != 0) {
    return error;
  }
  return target.inode ? -kEEXIST : may_create(*target.directory);
}

i64 link_made(PathTarget& target, ErrnoOr<Ref<Inode>> inode) {
  if (!inode) {
    return negated(inode.error());
  }
  give_owner(**inode, target.directory.get());
  const bool is_directory = (*inode)->is_directory();
  const i64 error = target.directory->as_directory()->link(target.name(), std::move(*inode));
  if (error == 0) {
    notify_entry(*target.directory, target.name(), kCreated, is_directory);
  }
  return error;
}

i64 make_directory(u64 directory, u64 path, u64 mode) {
  PathTarget target;
  if (const i64 error = walk_to_new(directory, path, target); error != 0) {
    return error;
  }
  const u32 permissions = static_cast<u32>(mode) & 01777 & ~current_directories().umask;
  return link_made(target, target.directory->as_directory()->create(kModeDirectory | permissions, 0, {}));
}

i64 make_node(u64 directory, u64 path, u32 mode, u64 device) {
  const u32 type = (mode & kModeTypeMask) == 0 ? kModeRegular : mode & kModeTypeMask;
  switch (type) {
    case kModeRegular:
    case kModeCharacter:
    case kModeBlock:
    case kModeFifo:
    case kModeSocket:
      break;
    default:
      return type == kModeDirectory ? -kEPERM : -kEINVAL;
  }
  PathTarget target;
  if (const i64 error = walk_to_new(directory, path, target); error != 0) {
    return error;
  }
  if (target.trailing_slash) {
    return -kENOENT;
  }
  const bool whiteout = type == kModeCharacter && device == 0;  // leads nowhere: anybody may, since 5.8
  if ((type == kModeCharacter || type == kModeBlock) && !whiteout && !capable(Capability::kMknod)) {
    return -kEPERM;
  }
  const u32 permissions = mode & kModePermMask & ~current_directories().umask;
  return link_made(target, target.directory->as_directory()->create(type | permissions, device, {}));
}

// Takes the entry away. As Linux: what it was hears of it before the directory does.
i64 remove_entry(PathTarget& target) {
  const i64 error = target.directory->as_directory()->unlink(target.name());
  if (error == 0) {
    const bool is_directory = target.inode->is_directory();
    if (!is_directory) {
      notify_links(*target.inode);
    }
    notify_last_name(*target.inode, *target.directory, target.name());
    target.inode = nullptr;
    notify_entry(*target.directory, target.name(), kDeleted, is_directory);
  }
  return error;
}

i64 remove_directory(u64 directory, u64 path) {
  PathTarget target;
  if (const i64 error = walk_user_path(directory, path, FinalLink::kName, target); error != 0) {
    return error;
  }
  switch (target.last) {
    case PathTarget::Last::kDot:
      return -kEINVAL;
    case PathTarget::Last::kDotDot:
      return -kENOTEMPTY;
    case PathTarget::Last::kRoot:
      return -kEBUSY;
    case PathTarget::Last::kName:
      break;
  }
  if (!target.inode) {
    return -kENOENT;
  }
  if (const i64 error = may_remove(*target.directory, *target.inode); error != 0) {
    return error;
  }
  Directory* const victim = target.inode->as_directory();
  if (victim == nullptr) {
    return -kENOTDIR;
  }
  if (!victim->is_tmpfs() || is_mount_root(*victim)) {
    return -kEBUSY;
  }
  return victim->empty() ? remove_entry(target) : -kENOTEMPTY;
}

i64 remove_name(PathTarget& target) {
  if (target.last != PathTarget::Last::kName) {
    return -kEISDIR;
  }
  if (!target.inode) {
    return -kENOENT;
  }
  if (target.slash_after_file()) {
    return -kENOTDIR;
  }
  if (const i64 error = may_remove(*target.directory, *target.inode); error != 0) {
    return error;
  }
  if (target.inode->is_directory()) {
    return -kEISDIR;
  }
  return remove_entry(target);
}

i64 remove_name(u64 directory, u64 path) {
  PathTarget target;
  const i64 error = walk_user_path(directory, path, FinalLink::kName, target);
  return error != 0 ? error : remove_name(target);
}

// A file of another may only be linked by who could write it anyway (fs/namei.c, may_linkat).
bool may_link(const Inode& inode) {
  constexpr u32 kSetUser = 04000, kSetGroupToExecute = 02010;
  if (!g_protected_hardlinks || owns(inode)) {
    return true;
  }
  return inode.is_regular() && (inode.mode & kSetUser) == 0 &&
         (inode.mode & kSetGroupToExecute) != kSetGroupToExecute &&
         permission(inode, kMayRead | kMayWrite) == 0;
}

i64 make_hard_link(u64 old_directory, u64 old_path, u64 new_directory, u64 new_path, u32 flags) {
  if ((flags & ~(kAtSymlinkFollow | kAtEmptyPath)) != 0) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(
      old_directory, old_path, flags & kAtSymlinkFollow ? FinalLink::kFollow : FinalLink::kStay, flags);
  if (!inode) {
    return negated(inode.error());
  }
  PathTarget target;
  if (const i64 error = walk_user_path(new_directory, new_path, FinalLink::kName, target); error != 0) {
    return error;
  }
  if (target.inode || target.last != PathTarget::Last::kName) {
    return -kEEXIST;
  }
  if (target.trailing_slash) {
    return -kENOENT;
  }
  if (const i64 error = may_change(*target.directory); error != 0) {
    return error;
  }
  if ((*inode)->device_of_file_system() != target.directory->device_of_file_system()) {
    return -kEXDEV;
  }
  if (has_flag(**inode, kFlagsFixed) || !may_link(**inode)) {
    return -kEPERM;
  }
  if (const i64 error = may_create(*target.directory); error != 0) {
    return error;
  }
  if ((*inode)->links == 0 && !(*inode)->nameless) {
    return -kENOENT;
  }
  if ((*inode)->is_directory()) {
    return -kEPERM;
  }
  const i64 error = target.directory->as_directory()->link(target.name(), *inode);
  if (error == 0) {
    (*inode)->nameless = false;
    notify_links(**inode);
    notify_entry(*target.directory, target.name(), kCreated, false);
  }
  return error;
}

i64 make_symbolic_link(u64 text_address, u64 directory, u64 path) {
  UserPath text;
  if (const i64 error = text.load(text_address); error != 0) {
    return error;
  }
  if (text.text().empty()) {
    return -kENOENT;
  }
  PathTarget target;
  if (const i64 error = walk_to_new(directory, path, target); error != 0) {
    return error;
  }
  if (target.trailing_slash) {
    return -kENOENT;
  }
  return link_made(target, target.directory->as_directory()->create(kModeSymlink | 0777, 0, text.text()));
}

// Whether `inode` is `directory` or above it.
bool above(const Inode& inode, const Inode& directory) {
  for (const Inode* at = &directory; at != nullptr; at = at->parent) {
    if (at == &inode) {
      return true;
    }
    if (at->parent == at) {
      break;
    }
  }
  return false;
}

// Whether `to` may be replaced by `from`.
i64 may_replace(const Inode& from, Inode& to) {
  if (from.is_directory()) {
    Directory* const directory = to.as_directory();
    return directory == nullptr ? -kENOTDIR : directory->empty() ? 0 : -kENOTEMPTY;
  }
  return to.is_directory() ? -kEISDIR : 0;
}

i64 rename_path(u64 old_directory, u64 old_path, u64 new_directory, u64 new_path, u32 flags) {
  constexpr u32 kNoReplace = 1, kExchange = 2;
  const bool exchange = (flags & kExchange) != 0;
  if ((flags & ~(kNoReplace | kExchange)) != 0 || flags == (kNoReplace | kExchange)) {
    return -kEINVAL;
  }
  PathTarget from;
  PathTarget to;
  if (const i64 error = walk_user_path(old_directory, old_path, FinalLink::kName, from); error != 0) {
    return error;
  }
  if (const i64 error = walk_user_path(new_directory, new_path, FinalLink::kName, to); error != 0) {
    return error;
  }
  if (from.directory && to.directory &&
      from.directory->device_of_file_system() != to.directory->device_of_file_system()) {
    return -kEXDEV;
  }
  if (from.last != PathTarget::Last::kName) {
    return -kEBUSY;
  }
  if (to.last != PathTarget::Last::kName) {
    return (flags & kNoReplace) != 0 ? -kEEXIST : -kEBUSY;
  }
  if (!from.inode || (exchange && !to.inode)) {
    return -kENOENT;
  }
  if (to.inode && (flags & kNoReplace)) {
    return -kEEXIST;
  }
  if ((!from.inode->is_directory() && (from.trailing_slash || (to.trailing_slash && !exchange))) ||
      (exchange && to.slash_after_file())) {
    return -kENOTDIR;
  }
  if (from.inode->is_directory() && above(*from.inode, *to.directory)) {
    return -kEINVAL;
  }
  if (exchange && above(*to.inode, *from.directory)) {
    return -kEINVAL;
  }
  if (const i64 error = may_remove(*from.directory, *from.inode); error != 0) {
    return error;
  }
  if (const i64 error = to.inode ? may_remove(*to.directory, *to.inode) : may_create(*to.directory);
      error != 0) {
    return error;
  }
  // Its ".." is written.
  for (const Inode* moved : {from.inode.get(), exchange ? to.inode.get() : nullptr}) {
    if (moved != nullptr && moved->is_directory() && from.directory != to.directory) {
      if (const i64 error = permission(*moved, kMayWrite); error != 0) {
        return error;
      }
    }
  }
  if (is_mount_root(*from.inode) || (to.inode && is_mount_root(*to.inode))) {
    return -kEBUSY;
  }
  if (exchange) {
    return from.directory->as_directory()->exchange(from.name(), *to.directory->as_directory(), to.name());
  }
  if (to.inode && to.inode != from.inode) {
    if (const i64 error = may_replace(*from.inode, *to.inode); error != 0) {
      return error;
    }
  }
  const i64 error =
      from.directory->as_directory()->rename(from.name(), *to.directory->as_directory(), to.name());
  if (error == 0 && to.inode != from.inode) {
    notify_move(*from.inode, *from.directory, from.name(), *to.directory, to.name(), to.inode.get());
  }
  return error;
}

i64 read_symbolic_link(u64 directory, u64 path, u64 out, i32 capacity) {
  if (capacity <= 0) {
    return -kEINVAL;
  }
  UserPath name;
  if (const i64 error = name.load(path); error != 0) {
    return error;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_of_path(directory, name.text(), FinalLink::kStay, kAtEmptyPath);
  if (!inode) {
    return negated(inode.error());
  }
  if (!(*inode)->is_symlink()) {
    return name.text().empty() ? -kENOENT : -kEINVAL;
  }
  if (const i64 error = (*inode)->may_see_target(); error != 0) {
    return error;
  }
  const std::string_view text = (*inode)->link_text().substr(0, static_cast<u64>(capacity));
  if (text.empty()) {
    return -kENAMETOOLONG;  // of /proc alone
  }
  const Result<void> copied = arch::copy_to_user(Gva(out), text.data(), text.size());
  return copied ? static_cast<i64>(text.size()) : to_errno(copied.error());
}

}  // namespace

i64 files::remove(ProcessFiles& view, std::string_view path) {
  PathTarget target;
  const i64 error = walk_path(view, path, FinalLink::kName, nullptr, target);
  return error != 0 ? error : remove_name(target);
}

i64 sys_mkdir(const SyscallArgs& args) { return make_directory(kCwd, args.a0, args.a1); }
i64 sys_mkdirat(const SyscallArgs& args) { return make_directory(args.a0, args.a1, args.a2); }
i64 sys_mknod(const SyscallArgs& args) {
  return make_node(kCwd, args.a0, static_cast<u32>(args.a1), static_cast<u32>(args.a2));
}
i64 sys_mknodat(const SyscallArgs& args) {
  return make_node(args.a0, args.a1, static_cast<u32>(args.a2), static_cast<u32>(args.a3));
}
i64 sys_rmdir(const SyscallArgs& args) { return remove_directory(kCwd, args.a0); }
i64 sys_unlink(const SyscallArgs& args) { return remove_name(kCwd, args.a0); }
i64 sys_unlinkat(const SyscallArgs& args) {
  if ((static_cast<u32>(args.a2) & ~u32{kAtRemoveDir}) != 0) {
    return -kEINVAL;
  }
  return args.a2 & kAtRemoveDir ? remove_directory(args.a0, args.a1) : remove_name(args.a0, args.a1);
}
i64 sys_link(const SyscallArgs& args) { return make_hard_link(kCwd, args.a0, kCwd, args.a1, 0); }
i64 sys_linkat(const SyscallArgs& args) {
  return make_hard_link(args.a0, args.a1, args.a2, args.a3, static_cast<u32>(args.a4));
}
i64 sys_symlink(const SyscallArgs& args) { return make_symbolic_link(args.a0, kCwd, args.a1); }
i64 sys_symlinkat(const SyscallArgs& args) { return make_symbolic_link(args.a0, args.a1, args.a2); }
i64 sys_rename(const SyscallArgs& args) { return rename_path(kCwd, args.a0, kCwd, args.a1, 0); }
i64 sys_renameat(const SyscallArgs& args) { return rename_path(args.a0, args.a1, args.a2, args.a3, 0); }
i64 sys_renameat2(const SyscallArgs& args) {
  return rename_path(args.a0, args.a1, args.a2, args.a3, static_cast<u32>(args.a4));
}
i64 sys_readlink(const SyscallArgs& args) {
  return read_symbolic_link(kCwd, args.a0, args.a1, static_cast<i32>(args.a2));
}
i64 sys_readlinkat(const SyscallArgs& args) {
  return read_symbolic_link(args.a0, args.a1, args.a2, static_cast<i32>(args.a3));
}

}  // namespace nopte::guest
