// Calls about directories: what is in them, where the process is, its root, and mounts, of which there are
// none to make.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/notify.h"
#include "guest-mm/kernel/files/permission.h"
#include "guest-mm/kernel/refusals.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// getdents64: struct linux_dirent64 {u64 ino; i64 off; u16 reclen; u8 type; char name[];}
struct DirentHeader {
  u64 inode;
  u64 next;
  u16 bytes;
  u8 type;
} __attribute__((packed));
static_assert(sizeof(DirentHeader) == 19);

}  // namespace

i64 sys_getdents64(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  const u64 capacity = static_cast<u32>(args.a2);
  u64 done = 0;
  u64 cookie = file->position;
  i64 error = 0;
  const auto visit = [&](std::string_view name, u64 ino, u32 mode, u64 next) {
    // Header, name, terminator, to 8 bytes; built whole, so that one copy puts it there.
    char record[(sizeof(DirentHeader) + kNameBytes + 1 + 7) & ~u64{7}];
    const u64 bytes = (sizeof(DirentHeader) + name.size() + 1 + 7) & ~u64{7};
    if (bytes > sizeof record || capacity - done < bytes) {
      error = done == 0 ? -kEINVAL : 0;
      return false;
    }
    const DirentHeader header{ino, next, static_cast<u16>(bytes), dirent_type(mode)};
    std::memcpy(record, &header, sizeof header);
    std::memcpy(record + sizeof header, name.data(), name.size());
    std::memset(record + sizeof header + name.size(), 0, bytes - sizeof header - name.size());
    if (const Result<void> copied = arch::copy_to_user(Gva(args.a1 + done), record, bytes); !copied) {
      error = done == 0 ? to_errno(copied.error()) : 0;
      return false;
    }
    done += bytes;
    cookie = next;
    return true;
  };
  if (const i64 refused = file->read_directory(cookie, visit); refused != 0) {
    return refused;
  }
  file->position = cookie;
  notify(*file->inode(), kAccessed);
  return done != 0 ? static_cast<i64>(done) : error;
}

i64 sys_getcwd(const SyscallArgs& args) {
  const HeapBuffer path(kPathBytes);
  if (!path) {
    return -kENOMEM;
  }
  ProcessFiles& view = current_directories();
  const i64 bytes = path_of(*view.cwd, path.data(), kPathBytes - 1, view.root.get());
  if (bytes < 0) {
    return bytes;
  }
  path.data()[bytes] = 0;
  const u64 with_terminator = static_cast<u64>(bytes) + 1;
  if (with_terminator > args.a1) {
    return -kERANGE;
  }
  const Result<void> copied = arch::copy_to_user(Gva(args.a0), path.data(), with_terminator);
  return copied ? static_cast<i64>(with_terminator) : to_errno(copied.error());
}

i64 sys_chdir(const SyscallArgs& args) {
  ErrnoOr<Ref<Inode>> inode = inode_of_user_path(kCwd, args.a0, FinalLink::kFollow);
  if (!inode) {
    return negated(inode.error());
  }
  if (!(*inode)->is_directory()) {
    return -kENOTDIR;
  }
  if (const i64 error = permission(**inode, kMayExecute); error != 0) {
    return error;
  }
  current_directories().cwd = std::move(*inode);
  return 0;
}

i64 sys_fchdir(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  if (!file->inode()->is_directory()) {
    return -kENOTDIR;
  }
  if (const i64 error = permission(*file->inode(), kMayExecute); error != 0) {
    return error;
  }
  current_directories().cwd = Ref<Inode>(file->inode());
  return 0;
}

i64 sys_chroot(const SyscallArgs& args) {
  ErrnoOr<Ref<Inode>> inode = inode_of_user_path(kCwd, args.a0, FinalLink::kFollow);
  if (!inode) {
    return negated(inode.error());
  }
  if (!(*inode)->is_directory()) {
    return -kENOTDIR;
  }
  if (const i64 error = permission(**inode, kMayExecute); error != 0) {
    return error;
  }
  if (!capable(Capability::kSysChroot)) {
    return -kEPERM;
  }
  current_directories().root = std::move(*inode);
  return 0;
}

i64 sys_umask(const SyscallArgs& args) {
  return std::exchange(current_directories().umask, static_cast<u32>(args.a0) & 0777);
}

// mount: /proc, /dev and /sys are there from the start; asking for them again changes nothing.
i64 sys_mount(const SyscallArgs& args) {
  UserPath type;
  if (const i64 error = type.load(args.a2); error != 0) {
    return error;
  }
  const ErrnoOr<Ref<Inode>> where = inode_of_user_path(kCwd, args.a1, FinalLink::kFollow);
  if (!where) {
    return negated(where.error());
  }
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  const auto is = [&](std::string_view name) {
    const ErrnoOr<Ref<Inode>> known = root_directory().lookup(name);
    return known && *known == *where;
  };
  return (type.text() == "proc" && is("proc")) || (type.text() == "devtmpfs" && is("dev")) ||
                 (type.text() == "sysfs" && is("sys"))
             ? 0
             : not_built(args, "other file systems", -kENODEV);
}

}  // namespace nopte::guest
