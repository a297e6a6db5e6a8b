// ioctl: what every file answers (fs/ioctl.c of Linux); the rest is the file's own.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// uapi/linux/fs.h, asm-generic/ioctls.h
enum Request : u32 {
  kBlockOf = 1,    // FIBMAP
  kBlockSize = 2,  // FIGETBSZ
  kAvailable = 0x541b,
  kNonBlock = 0x5421,
  kKeepOnExec = 0x5450,
  kCloseOnExec = 0x5451,
  kSignalled = 0x5452,  // FIOASYNC
  kUsedBytes = 0x5460,  // FIOQSIZE
  kGetFlags = 0x80086601,
  kSetFlags = 0x40086602,  // FS_IOC_*FLAGS: an int, whatever the number says
};
constexpr u64 kBlockBytes = 512;

// Of a regular file.
i64 regular_ioctl(File& file, u32 request, u64 argument) {
  switch (request) {
    case kBlockOf: {
      i32 block = 0;
      const i64 error = get_user(block, argument);
      return error != 0 ? error : -kEINVAL;  // there are none
    }
    case kAvailable:
      return put_user(argument, static_cast<i32>(file.end_bytes() - file.position));
    default:
      return file.ioctl(request, argument);
  }
}

// In the order of ioctl_setflags and vfs_fileattr_set.
i64 set_flags(Inode& inode, u64 from) {
  u32 wanted = 0;
  if (const i64 error = get_user(wanted, from); error != 0) {
    return error;
  }
  if (const i64 error = may_change(inode); error != 0) {
    return error;
  }
  const bool fixes = ((wanted ^ inode.kept_flags) & kFlagsFixed) != 0;
  if (!owns(inode) || (fixes && !capable(Capability::kLinuxImmutable))) {
    return -kEPERM;
  }
  constexpr u32 kAll = kFlagsFixed | kFlagNoDump | kFlagNoAccessTime;
  if ((wanted & ~kAll) != 0) {
    return -kEOPNOTSUPP;
  }
  inode.kept_flags = static_cast<u8>(wanted);
  inode.changed_ns = wall_clock_ns();
  return 0;
}

}  // namespace

i64 sys_ioctl(const SyscallArgs& args) {
  const u64 descriptor = static_cast<u32>(args.a0);
  FileTable& table = current_files().table;
  File* const file = table.get(descriptor);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  const Ref<File> hold = held(file);
  i32 on = 0;
  switch (const u32 request = static_cast<u32>(args.a1)) {
    case kCloseOnExec:
    case kKeepOnExec:
      table.set_close_on_exec(descriptor, request == kCloseOnExec ? CloseOnExec::kYes : CloseOnExec::kNo);
      return 0;
    case kNonBlock:
      if (const i64 error = get_user(on, args.a2); error != 0) {
        return error;
      }
      file->set_status_flags(on != 0 ? file->flags() | kOpenNonBlock : file->flags() & ~kOpenNonBlock);
      return 0;
    case kSignalled: {
      if (const i64 error = get_user(on, args.a2); error != 0) {
        return error;
      }
      const u32 flags = on != 0 ? file->flags() | kOpenAsync : file->flags() & ~kOpenAsync;
      if (flags == file->flags()) {
        return 0;
      }
      if (!file->signals_events()) {
        return -kENOTTY;
      }
      const i64 error = set_asynchronous(*file, descriptor, on != 0);
      if (error == 0) {
        file->set_status_flags(flags);
      }
      return error;
    }
    case kUsedBytes: {
      const Inode& inode = *file->inode();
      if (!inode.is_regular() && !inode.is_directory()) {
        return -kENOTTY;
      }
      Stat stat;
      file->stat(stat);
      return put_user(args.a2, stat.blocks_512 * static_cast<i64>(kBlockBytes));
    }
    case kGetFlags:
    case kSetFlags:
      if (takes_flags(*file->inode())) {
        return request == kSetFlags ? set_flags(*file->inode(), args.a2)
                                    : put_user(args.a2, u32{file->inode()->kept_flags});
      }
      return file->ioctl(request, args.a2);
    case kBlockSize:
      return put_user(args.a2, static_cast<i32>(kPageBytes));
    default:
      return file->inode()->is_regular() ? regular_ioctl(*file, request, args.a2)
                                         : file->ioctl(request, args.a2);
  }
}

}  // namespace nopte::guest
