// Calls on descriptors: open, close, dup, fcntl, ioctl, pipe.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/pipe.h"
#include "guest-mm/kernel/files/tmpfs.h"
#include "guest-mm/kernel/process.h"

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
  kOfdGetLock = 36,
  kOfdSetLock = 37,
  kOfdSetLockWait = 38,
  kDupFdCloseOnExec = 1030,
  kGetPipeSize = 1032,
  kAddSeals = 1033,
  kGetSeals = 1034,
};
constexpr u64 kFdCloseOnExec = 1;

// struct flock; a lock is never in anybody's way.
struct FileLock {
  u16 type;
  u16 whence;
  i64 start;
  i64 bytes;
  i32 pid;
};
constexpr u16 kUnlocked = 2;

CloseOnExec close_on_exec_of(u64 flags) {
  return flags & kOpenCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo;
}

i64 open_path(u64 directory, u64 path_address, u32 flags, u32 mode) {
  UserPath path;
  if (const i64 error = path.load(path_address); error != 0) {
    return error;
  }
  const PathStart start = path_start(directory, path.text());
  if (start.error != 0) {
    return start.error;
  }
  ErrnoOr<Ref<File>> file = open(current_directories(), path.text(), flags, mode, start.start);
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
  constexpr u32 kKnown = kOpenCloseOnExec | kOpenNonBlock;
  if (flags & ~kKnown) {
    return -kEINVAL;
  }
  ErrnoOr<PipeEnds> ends = make_pipe(flags & kOpenNonBlock);
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

i64 get_lock(u64 address) {
  FileLock lock{};
  if (const i64 error = get_user(lock, address); error != 0) {
    return error;
  }
  lock.type = kUnlocked;
  return put_user(address, lock);
}

i64 add_seals(const File& file, u64 seals) {
  TmpfsFile* const sealed = file.inode()->as_tmpfs_file();
  if (sealed == nullptr) {
    return -kEINVAL;
  }
  if (!file.writable()) {
    return -kEPERM;
  }
  return (seals & ~u64{kAllSeals}) != 0 ? -kEINVAL : sealed->add_seals(static_cast<u32>(seals));
}

}  // namespace

i64 sys_open(const SyscallArgs& args) {
  return open_path(static_cast<u64>(kAtCwd), args.a0, static_cast<u32>(args.a1), static_cast<u32>(args.a2));
}
i64 sys_openat(const SyscallArgs& args) {
  return open_path(args.a0, args.a1, static_cast<u32>(args.a2), static_cast<u32>(args.a3));
}
i64 sys_creat(const SyscallArgs& args) {
  return open_path(static_cast<u64>(kAtCwd), args.a0, kOpenCreate | kOpenWriteOnly | kOpenTruncate,
                   static_cast<u32>(args.a1));
}

i64 sys_close(const SyscallArgs& args) { return current_files().table.close(static_cast<u32>(args.a0)); }

i64 sys_close_range(const SyscallArgs& args) {
  constexpr u64 kCloseOnExecOnly = 4;
  const u64 first = static_cast<u32>(args.a0);
  const u64 last = static_cast<u32>(args.a1);
  if (first > last || (args.a2 & ~(kCloseOnExecOnly | 2)) != 0) {
    return -kEINVAL;
  }
  FileTable& table = current_files().table;
  const u64 bound = table.bound();
  for (u64 descriptor = first; descriptor <= last && descriptor < bound; ++descriptor) {
    if (table.get(descriptor) == nullptr) {
      continue;
    }
    if (args.a2 & kCloseOnExecOnly) {
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
  if (static_cast<u32>(args.a0) == static_cast<u32>(args.a1) || (args.a2 & ~u64{kOpenCloseOnExec}) != 0) {
    return -kEINVAL;
  }
  return duplicate_to(args.a0, args.a1, close_on_exec_of(args.a2));
}

i64 sys_fcntl(const SyscallArgs& args) {
  const u64 descriptor = static_cast<u32>(args.a0);
  FileTable& table = current_files().table;
  File* const file = table.get(descriptor);
  if (file == nullptr) {
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
      return file->flags() | kOpenLargeFile;
    case kSetFl:
      file->set_status_flags(static_cast<u32>(args.a2));
      return 0;
    case kGetLock:
    case kOfdGetLock:
      return get_lock(args.a2);
    case kSetLock:
    case kSetLockWait:
    case kOfdSetLock:
    case kOfdSetLockWait: {
      FileLock lock{};
      return get_user(lock, args.a2);
    }
    case kSetOwner:
    case kGetOwner:
      return 0;
    case kGetPipeSize:
      return file->inode()->type() == kModeFifo ? static_cast<i64>(PipeRing::kCapacityBytes) : -kEBADF;
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

i64 sys_flock(const SyscallArgs& args) { return file_of(args.a0) == nullptr ? -kEBADF : 0; }

i64 sys_ioctl(const SyscallArgs& args) {
  constexpr u32 kFigetbsz = 2;
  constexpr u32 kFionread = 0x541b;
  constexpr u32 kFionbio = 0x5421;
  constexpr u32 kFionclex = 0x5450;
  constexpr u32 kFioclex = 0x5451;
  const u64 descriptor = static_cast<u32>(args.a0);
  FileTable& table = current_files().table;
  File* const file = table.get(descriptor);
  if (file == nullptr) {
    return -kEBADF;
  }
  switch (const u32 request = static_cast<u32>(args.a1)) {
    case kFioclex:
    case kFionclex:
      table.set_close_on_exec(descriptor, request == kFioclex ? CloseOnExec::kYes : CloseOnExec::kNo);
      return 0;
    case kFionbio: {
      i32 on = 0;
      if (const i64 error = get_user(on, args.a2); error != 0) {
        return error;
      }
      file->set_status_flags(on != 0 ? file->flags() | kOpenNonBlock : file->flags() & ~kOpenNonBlock);
      return 0;
    }
    case kFigetbsz:
      return file->path_only() ? -kEBADF : put_user(args.a2, static_cast<i32>(kPageBytes));
    case kFionread:
      return file->inode()->is_regular()
                 ? put_user(args.a2, static_cast<i32>(file->end_bytes() - file->position))
                 : file->ioctl(request, args.a2);
    default:
      return file->ioctl(request, args.a2);
  }
}

i64 sys_pipe(const SyscallArgs& args) { return make_pipe_descriptors(args.a0, 0); }
i64 sys_pipe2(const SyscallArgs& args) { return make_pipe_descriptors(args.a0, static_cast<u32>(args.a1)); }

}  // namespace nopte::guest
