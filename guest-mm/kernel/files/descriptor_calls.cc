// Calls on descriptors: open, close, dup, fcntl, pipe.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/directory_notice.h"
#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/locks/lock_calls.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/pipes/pipe.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// fcntl commands (uapi/asm-generic/fcntl.h, uapi/linux/fcntl.h).
enum Command : u32 {
  kDupFd = 0,
  kGetFd = 1,
  kSetFd = 2,
  kGetFl = 3,
  kSetFl = 4,
  kGetLock = 5,
  kSetLock = 6,
  kSetLockWait = 7,
  kSetOwner = 8,
  kGetOwner = 9,
  kSetSignal = 10,
  kGetSignal = 11,
  kSetOwnerEx = 15,
  kGetOwnerEx = 16,
  kOfdGetLock = 36,
  kOfdSetLock = 37,
  kOfdSetLockWait = 38,
  kSetLease = 1024,
  kGetLease = 1025,
  kNotifyDirectory = 1026,
  kDupFdQuery = 1027,
  kCreatedQuery = 1028,
  kDupFdCloseOnExec = 1030,
  kSetPipeSize = 1031,
  kGetPipeSize = 1032,
  kAddSeals = 1033,
  kGetSeals = 1034,
  kGetWriteHint = 1035,
  kSetWriteHint = 1036,
};
constexpr u64 kFdCloseOnExec = 1;

// By a name, and not by a call of its own.
bool was_opened(const File& file) {
  const PipeInode* const pipe = file.inode()->as_pipe();
  return !file.path_only() && file.inode()->as_anonymous() == nullptr && (pipe == nullptr || pipe->named) &&
         file.inode()->as_socket() == nullptr;
}

CloseOnExec close_on_exec_of(u64 flags) {
  return flags & kOpenCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo;
}

// Flags that are at odds (fs/open.c, build_open_flags); O_PATH ignores them.
bool at_odds(u32 flags) {
  return (flags & kOpenPath) == 0 &&
         ((flags & (kOpenCreate | kOpenDirectory)) == (kOpenCreate | kOpenDirectory) ||
          ((flags & kOpenTmpFile) &&
           (!(flags & kOpenDirectory) || (flags & kOpenAccessMask) == kOpenReadOnly)));
}

i64 open_path(u64 directory, u64 path_address, u32 flags, u32 mode, u32 resolve = 0) {
  if (at_odds(flags)) {
    return -kEINVAL;
  }
  UserPath path;
  if (const i64 error = path.load(path_address); error != 0) {
    return error;
  }
  // Where the start is the root every path begins there.
  const PathStart start = path_start(directory, (resolve & kResolveInRoot) != 0 ? "." : path.text());
  if (start.error != 0) {
    return start.error;
  }
  ErrnoOr<Ref<File>> file = open(current_directories(), path.text(), flags, mode, start.start, resolve);
  if (!file) {
    return negated(file.error());
  }
  return current_files().table.insert(std::move(*file), close_on_exec_of(flags));
}

i64 duplicate_to(u64 from, u64 to, CloseOnExec close_on_exec) {
  File* const file = file_of(from);
  if (file == nullptr) {
    return -kEBADF;
  }
  return current_files().table.replace(static_cast<u32>(to), Ref<File>(file), close_on_exec);
}

i64 make_pipe_descriptors(u64 address, u32 flags) {
  constexpr u32 kNotifications = kOpenExclusive;  // O_NOTIFICATION_PIPE
  constexpr u32 kKnown = kOpenCloseOnExec | kOpenNonBlock | kOpenDirect | kNotifications;
  if (flags & ~kKnown) {
    return -kEINVAL;
  }
  if (flags & kNotifications) {
    return -kENOPKG;  // as where it is not configured
  }
  ErrnoOr<PipeEnds> ends = make_pipe(flags & (kOpenNonBlock | kOpenDirect));
  if (!ends) {
    return negated(ends.error());
  }
  FileTable& table = current_files().table;
  i32 descriptors[2];
  const i64 first = table.insert(std::move(ends->read_end), close_on_exec_of(flags));
  if (first < 0) {
    return first;
  }
  const i64 second = table.insert(std::move(ends->write_end), close_on_exec_of(flags));
  if (second < 0) {
    table.close(static_cast<u64>(first));
    return second;
  }
  descriptors[0] = static_cast<i32>(first);
  descriptors[1] = static_cast<i32>(second);
  const i64 error = put_user(address, descriptors);
  if (error != 0) {
    table.close(static_cast<u64>(first));
    table.close(static_cast<u64>(second));
  }
  return error;
}

// Those that a descriptor of O_PATH answers, too.
bool asks_of_descriptor(u64 command) {
  const auto which = static_cast<u32>(command);
  return which <= kGetFl || which == kDupFdQuery || which == kCreatedQuery || which == kDupFdCloseOnExec;
}

i64 set_flags(File& file, u64 descriptor, u32 flags) {
  if (((flags ^ file.flags()) & kOpenAppend) != 0 && has_flag(*file.inode(), kFlagAppend)) {
    return -kEPERM;
  }
  if ((flags & kOpenNoAccessTime) != 0 && (file.flags() & kOpenNoAccessTime) == 0 && !owns(*file.inode())) {
    return -kEPERM;
  }
  if ((flags & kOpenDirect) != 0 && !may_be_direct(file)) {
    return -kEINVAL;
  }
  if (!file.signals_events()) {
    flags &= ~kOpenAsync;
  } else if (((flags ^ file.flags()) & kOpenAsync) != 0) [[unlikely]] {
    if (const i64 error = set_asynchronous(file, descriptor, (flags & kOpenAsync) != 0); error != 0) {
      return error;
    }
  }
  file.set_status_flags(flags);
  return 0;
}

// How long what is written lives: kept and told.
i64 write_hint(const File& file, u32 command, u64 address) {
  constexpr u64 kLast = 5;  // RWH_WRITE_LIFE_EXTREME
  u64 hint = file.inode()->write_hint;
  if (command == kGetWriteHint) {
    return put_user(address, hint);
  }
  if (const i64 error = get_user(hint, address); error != 0) {
    return error;
  }
  if (hint > kLast) {
    return -kEINVAL;
  }
  if (!owns(*file.inode())) {
    return -kEPERM;
  }
  file.inode()->write_hint = static_cast<u8>(hint);
  return 0;
}

i64 add_seals(const File& file, u64 seals) {
  if (!file.writable()) {
    return -kEPERM;
  }
  TmpfsFile* const sealed = file.inode()->as_tmpfs_file();
  if (sealed == nullptr || (seals & ~u64{kAllSeals}) != 0) {
    return -kEINVAL;
  }
  return sealed->add_seals(static_cast<u32>(seals));
}

}  // namespace

i64 sys_open(const SyscallArgs& args) {
  return open_path(static_cast<u64>(kAtCwd), args.a0, static_cast<u32>(args.a1), static_cast<u32>(args.a2));
}
i64 sys_openat(const SyscallArgs& args) {
  return open_path(args.a0, args.a1, static_cast<u32>(args.a2), static_cast<u32>(args.a3));
}
// What open ignores it refuses (fs/open.c, build_open_flags).
i64 sys_openat2(const SyscallArgs& args) {
  struct {
    u64 flags = 0, mode = 0, resolve = 0;
  } how;
  constexpr u64 kKnownFlags = 037777703,
                kPathFlags = kOpenPath | kOpenDirectory | kOpenNoFollow | kOpenCloseOnExec;
  constexpr u32 kScoped = kResolveBeneath | kResolveInRoot, kKnownRules = 2 * kResolveCached - 1;
  if (const i64 error = get_grown_user(how, args.a2, args.a3, sizeof how); error != 0) {
    return error;
  }
  const bool makes = (how.flags & (kOpenCreate | kOpenTmpFile)) != 0;
  if ((how.flags & ~kKnownFlags) != 0 || (how.resolve & ~u64{kKnownRules}) != 0 ||
      (how.resolve & kScoped) == kScoped || (how.mode & ~u64{makes ? kModePermMask : 0}) != 0 ||
      ((how.flags & kOpenPath) != 0 && (how.flags & ~kPathFlags) != 0)) {
    return -kEINVAL;
  }
  if ((how.resolve & kResolveCached) != 0 && (makes || (how.flags & kOpenTruncate) != 0)) {
    return -kEAGAIN;
  }
  return open_path(args.a0, args.a1, static_cast<u32>(how.flags), static_cast<u32>(how.mode),
                   static_cast<u32>(how.resolve));
}
i64 sys_creat(const SyscallArgs& args) {
  return open_path(static_cast<u64>(kAtCwd), args.a0, kOpenCreate | kOpenWriteOnly | kOpenTruncate,
                   static_cast<u32>(args.a1));
}

i64 sys_close(const SyscallArgs& args) { return current_files().table.close(static_cast<u32>(args.a0)); }

i64 sys_close_range(const SyscallArgs& args) {
  constexpr u32 kUnshare = 2, kCloseOnExecOnly = 4;
  const auto flags = static_cast<u32>(args.a2);
  const u64 first = static_cast<u32>(args.a0);
  const u64 last = static_cast<u32>(args.a1);
  if (first > last || (flags & ~(kCloseOnExecOnly | kUnshare)) != 0) {
    return -kEINVAL;
  }
  if ((flags & kUnshare) != 0 && !unshare_current_table()) {
    return -kENOMEM;
  }
  FileTable& table = current_files().table;
  const u64 bound = table.bound();
  for (u64 descriptor = first; descriptor <= last && descriptor < bound; ++descriptor) {
    if (table.get(descriptor) == nullptr) {
      continue;
    }
    if ((flags & kCloseOnExecOnly) != 0) {
      table.set_close_on_exec(descriptor, CloseOnExec::kYes);
    } else {
      table.close(descriptor);
    }
  }
  return 0;
}

i64 sys_dup(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  return file == nullptr ? -kEBADF : current_files().table.insert(Ref<File>(file), CloseOnExec::kNo);
}
i64 sys_dup2(const SyscallArgs& args) {
  if (static_cast<u32>(args.a0) == static_cast<u32>(args.a1)) {
    return file_of(args.a0) == nullptr ? -kEBADF : static_cast<i64>(static_cast<u32>(args.a0));
  }
  return duplicate_to(args.a0, args.a1, CloseOnExec::kNo);
}
i64 sys_dup3(const SyscallArgs& args) {
  if (static_cast<u32>(args.a0) == static_cast<u32>(args.a1) ||
      (static_cast<u32>(args.a2) & ~kOpenCloseOnExec) != 0) {
    return -kEINVAL;
  }
  return duplicate_to(args.a0, args.a1, close_on_exec_of(args.a2));
}

i64 sys_fcntl(const SyscallArgs& args) {
  const u64 descriptor = static_cast<u32>(args.a0);
  FileTable& table = current_files().table;
  File* const file = table.get(descriptor);
  if (file == nullptr || (!asks_of_descriptor(args.a1) && file->path_only())) {
    return -kEBADF;
  }
  switch (static_cast<u32>(args.a1)) {
    case kDupFd:
      return table.insert(Ref<File>(file), CloseOnExec::kNo, args.a2);
    case kDupFdCloseOnExec:
      return table.insert(Ref<File>(file), CloseOnExec::kYes, args.a2);
    case kGetFd:
      return table.close_on_exec(descriptor) ? 1 : 0;
    case kSetFd:
      table.set_close_on_exec(descriptor, args.a2 & kFdCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo);
      return 0;
    case kGetFl:
      return file->flags() | (was_opened(*file) ? kOpenLargeFile : 0);
    case kSetFl:
      return set_flags(*file, descriptor, static_cast<u32>(args.a2));
    case kGetLock:
      return get_file_lock(*file, LockOwner::kProcess, args.a2);
    case kOfdGetLock:
      return get_file_lock(*file, LockOwner::kOpenFile, args.a2);
    case kSetLock:
      return set_file_lock(*file, descriptor, LockOwner::kProcess, Wait::kNo, args.a2);
    case kSetLockWait:
      return set_file_lock(*file, descriptor, LockOwner::kProcess, Wait::kYes, args.a2);
    case kOfdSetLock:
      return set_file_lock(*file, descriptor, LockOwner::kOpenFile, Wait::kNo, args.a2);
    case kOfdSetLockWait:
      return set_file_lock(*file, descriptor, LockOwner::kOpenFile, Wait::kYes, args.a2);
    case kSetOwner:
      return set_owner_by_number(*file, args.a2);
    case kGetOwner:
      return owner_number(*file);
    case kSetOwnerEx:
      return set_owner_from_user(*file, args.a2);
    case kGetOwnerEx:
      return put_owner(*file, args.a2);
    case kSetSignal:
      return set_owner_signal(*file, args.a2);
    case kGetSignal:
      return owner_signal(*file);
    case kSetLease:
      return set_lease(*file, descriptor, args.a2);
    case kGetLease:
      return get_lease(*file);
    case kNotifyDirectory:
      return notice_directory(*file, descriptor, static_cast<u32>(args.a2));
    case kDupFdQuery: {
      const File* const other = file_of(args.a2);
      return other == nullptr ? -kEBADF : other == file ? 1 : 0;
    }
    case kCreatedQuery:
      return file->created ? 1 : 0;
    case kGetWriteHint:
    case kSetWriteHint:
      return write_hint(*file, static_cast<u32>(args.a1), args.a2);
    case kGetPipeSize:
    case kSetPipeSize: {
      PipeInode* const pipe = file->path_only() ? nullptr : file->inode()->as_pipe();
      if (pipe == nullptr) {
        return -kEBADF;
      }
      return static_cast<u32>(args.a1) == kGetPipeSize ? static_cast<i64>(pipe->ring.capacity())
                                                       : pipe->set_capacity(args.a2);
    }
    case kAddSeals:
      return add_seals(*file, args.a2);
    case kGetSeals: {
      const TmpfsFile* const sealed = file->inode()->as_tmpfs_file();
      return sealed == nullptr ? -kEINVAL : static_cast<i64>(sealed->seals());
    }
    default:
      return -kEINVAL;
  }
}

i64 sys_pipe(const SyscallArgs& args) { return make_pipe_descriptors(args.a0, 0); }
i64 sys_pipe2(const SyscallArgs& args) { return make_pipe_descriptors(args.a0, static_cast<u32>(args.a1)); }

}  // namespace nopte::guest
