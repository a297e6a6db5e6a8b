// open(2): what to create, what to refuse.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/path_file.h"
#include "guest-mm/kernel/files/names/path_walk.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest::files {

namespace {

ErrnoOr<Ref<Inode>> create_at(ProcessFiles& view, PathTarget& target, u32 mode) {
  Directory& directory = *target.directory->as_directory();
  if (const i64 error = may_create(directory); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  ErrnoOr<Ref<Inode>> inode = directory.create(kModeRegular | (mode & kModePermMask & ~view.umask), 0, {});
  if (!inode) {
    // As Linux, where a directory has no way to do it.
    return inode.error() == kEPERM ? ErrnoFail(kEACCES) : ErrnoFail(inode.error());
  }
  give_owner(**inode, &directory);
  if (const i64 error = directory.link(target.name(), *inode); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  notify_entry(directory, target.name(), kCreated, false);
  return inode;
}

// O_TMPFILE: a file without a name in that directory's file system.
ErrnoOr<Ref<File>> open_unnamed(ProcessFiles& view, Inode& where, u32 flags, u32 mode) {
  Directory* const directory = where.as_directory();
  if (directory == nullptr) {
    return ErrnoFail(kENOTDIR);
  }
  if ((flags & kOpenAccessMask) == kOpenReadOnly) {
    return ErrnoFail(kEINVAL);
  }
  if (const i64 error = may_create(*directory); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  const ErrnoOr<Ref<Inode>> inode =
      directory->create(kModeRegular | (mode & kModePermMask & ~view.umask), 0, {});
  if (!inode) {
    return ErrnoFail(inode.error());
  }
  give_owner(**inode, directory);
  (*inode)->links = 0;
  (*inode)->nameless = (flags & kOpenExclusive) == 0;
  return (*inode)->open(flags & ~kOpenExclusive);
}

// What a file that was there must allow (fs/namei.c, may_open).
i64 may_open(const Inode& inode, u32 flags) {
  constexpr u32 kWanted[] = {kMayRead, kMayWrite, kMayRead | kMayWrite, kMayRead | kMayWrite};
  const bool device = inode.type() == kModeCharacter || inode.type() == kModeBlock;
  if (device && mounted_with(inode, kMountNoDevices)) [[unlikely]] {
    return -kEACCES;
  }
  const u32 truncates = (flags & kOpenTruncate) != 0 ? kMayWrite : 0;
  if (const i64 error = permission(inode, kWanted[flags & kOpenAccessMask] | truncates); error != 0) {
    return error;
  }
  // Append-only: it is only added to.
  const bool adds = (flags & kOpenAccessMask) == kOpenReadOnly || (flags & kOpenAppend) != 0;
  if (has_flag(inode, kFlagAppend) && (!adds || truncates != 0)) [[unlikely]] {
    return -kEPERM;
  }
  return (flags & kOpenNoAccessTime) != 0 && !owns(inode) ? -kEPERM : 0;
}

}  // namespace

i64 others_may(Inode& inode, u32 flags) {
  TmpfsFile* const file = inode.as_tmpfs_file();
  const bool writes = (flags & kOpenAccessMask) != kOpenReadOnly || (flags & kOpenTruncate) != 0;
  if (writes && inode.running != 0 && file != nullptr) {
    return -kETXTBSY;
  }
  if (!inode.locks || !inode.locks->leases.any() || file == nullptr) {
    return 0;
  }
  // Who waits counts as one that has it open.
  const u32 access = writes && (flags & kOpenAccessMask) == kOpenReadOnly ? kOpenWriteOnly : flags;
  file->note_opening(access);
  const i64 error = inode.locks->leases.make_way(flags);
  file->note_closing(access);
  return error;
}

namespace {

// `found` is there, and `created` just now.
ErrnoOr<Ref<File>> open_found(ProcessFiles& view, Ref<Inode> found, u32 flags, u32 mode, bool created) {
  Inode& inode = *found;
  if (inode.is_symlink() && !(flags & kOpenPath)) {
    return ErrnoFail(kELOOP);
  }
  if ((flags & kOpenDirectory) && !inode.is_directory()) {
    return ErrnoFail(kENOTDIR);
  }
  if (flags & kOpenPath) {
    return open_path_only(std::move(found), flags);
  }
  if ((flags & kOpenTmpFile) == kOpenTmpFile && (flags & kOpenDirectory)) {
    return open_unnamed(view, inode, flags, mode);
  }
  if (inode.is_directory() &&
      ((flags & kOpenAccessMask) != kOpenReadOnly || (flags & (kOpenCreate | kOpenTruncate)))) {
    return ErrnoFail(kEISDIR);
  }
  if (!created) {
    if (const i64 error = may_open(inode, flags); error != 0) {
      return ErrnoFail(static_cast<Errno>(-error));
    }
    if (inode.running != 0 || inode.locks) [[unlikely]] {
      if (const i64 error = others_may(inode, flags); error != 0) {
        return ErrnoFail(static_cast<Errno>(-error));
      }
    }
  }
  // Of O_NOCTTY a device must know.
  const u32 no_tty = inode.type() == kModeCharacter ? 0 : kOpenNoTty;
  ErrnoOr<Ref<File>> file = inode.open(
      flags & ~(kOpenCreate | kOpenExclusive | kOpenTruncate | no_tty | kOpenCloseOnExec | kOpenNoFollow));
  if (file && (flags & kOpenDirect) != 0 && !may_be_direct(**file)) [[unlikely]] {
    return ErrnoFail(kEINVAL);
  }
  if (file) {
    (*file)->created = created;
    notify(inode, kOpened);
  }
  if (file && !created && (flags & kOpenTruncate) && inode.is_regular()) {
    if (const i64 error = inode.truncate(0); error != 0) {
      return ErrnoFail(static_cast<Errno>(-error));
    }
    drop_privileged_bits(inode);
    notify(inode, kModified);
  }
  return file;
}

// Without what O_PATH ignores.
u32 checked(u32 flags) {
  return (flags & kOpenPath) != 0 ? flags & (kOpenPath | kOpenDirectory | kOpenNoFollow | kOpenCloseOnExec)
                                  : flags;
}

}  // namespace

ErrnoOr<Ref<File>> open(ProcessFiles& view, std::string_view path, u32 flags, u32 mode, Inode* start,
                        u32 resolve) {
  flags = checked(flags);
  if ((flags & kOpenAccessMask) == kOpenAccessMask) {  // neither to read nor to write: not built
    return ErrnoFail(kEINVAL);
  }
  const bool exclusive = (flags & kOpenCreate) && (flags & kOpenExclusive);
  PathTarget target;
  const bool made_directory = (flags & kOpenCreate) && path.ends_with('/');  // no link is followed to say so
  const FinalLink final = made_directory                         ? FinalLink::kName
                          : exclusive || (flags & kOpenNoFollow) ? FinalLink::kStay
                                                                 : FinalLink::kFollow;
  if (const i64 error = resolve == 0 ? walk_path(view, path, final, start, target)
                                     : walk_restricted(view, path, final, start, resolve, target);
      error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  if (target.trailing_slash && target.last == PathTarget::Last::kName) {
    if ((flags & kOpenCreate) != 0) {
      return ErrnoFail(kEISDIR);
    }
    if (target.slash_after_file()) {
      return ErrnoFail(kENOTDIR);
    }
  }
  bool created = false;
  if (!target.inode) {
    if (!(flags & kOpenCreate)) {
      return ErrnoFail(kENOENT);
    }
    ErrnoOr<Ref<Inode>> inode = create_at(view, target, mode);
    if (!inode) {
      return ErrnoFail(inode.error());
    }
    target.inode = std::move(*inode);
    created = true;
  } else if (exclusive) {
    return ErrnoFail(kEEXIST);
  }

  return open_found(view, std::move(target.inode), flags, mode, created);
}

ErrnoOr<Ref<File>> open_inode(Ref<Inode> inode, u32 flags) {
  return open_found(current_directories(), std::move(inode), checked(flags), 0, false);
}

}  // namespace nopte::guest::files
