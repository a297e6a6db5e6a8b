// Calls about directories: what is in them, where the process is, and its root.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/system/refusals.h"

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

// getdents: struct linux_dirent {u64 ino; i64 off; u16 reclen; char name[];}, the type in its last byte.
struct OldDirentHeader {
  u64 inode;
  u64 next;
  u16 bytes;
} __attribute__((packed));
static_assert(sizeof(OldDirentHeader) == 18);

struct DirentRecord {
  // Header, name, terminator, type, to 8 bytes; built whole, so that one copy puts it there.
  char text[(sizeof(DirentHeader) + kNameBytes + 1 + 7) & ~u64{7}];
  u64 bytes;
};

template <class Header>
void build(DirentRecord& record, std::string_view name, u64 ino, u32 mode, u64 next) {
  constexpr bool kOld = std::is_same_v<Header, OldDirentHeader>;
  record.bytes = (sizeof(Header) + name.size() + (kOld ? 2 : 1) + 7) & ~u64{7};
  Header header{};
  header.inode = ino;
  header.next = next;
  header.bytes = static_cast<u16>(record.bytes);
  if constexpr (!kOld) {
    header.type = dirent_type(mode);
  }
  std::memset(record.text, 0, record.bytes);
  std::memcpy(record.text, &header, sizeof header);
  std::memcpy(record.text + sizeof header, name.data(), name.size());
  if constexpr (kOld) {
    record.text[record.bytes - 1] = static_cast<char>(dirent_type(mode));
  }
}

template <class Header>
i64 get_entries(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  if (file->inode()->is_directory() && file->inode()->links == 0) {
    return -kENOENT;
  }
  const u64 capacity = static_cast<u32>(args.a2);
  u64 done = 0;
  u64 cookie = file->position;
  i64 error = 0;
  const auto visit = [&](std::string_view name, u64 ino, u32 mode, u64 next) {
    DirentRecord record;
    build<Header>(record, name, ino, mode, next);
    if (capacity - done < record.bytes) {
      error = done == 0 ? -kEINVAL : 0;
      return false;
    }
    if (const Result<void> copied = arch::copy_to_user(Gva(args.a1 + done), record.text, record.bytes);
        !copied) {
      error = done == 0 ? to_errno(copied.error()) : 0;
      return false;
    }
    done += record.bytes;
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

// The directory found, when the process may make it its own. Errors: that of the search, ENOTDIR, EACCES.
ErrnoOr<Ref<Inode>> to_enter(ErrnoOr<Ref<Inode>> found) {
  if (!found) {
    return found;
  }
  if (!(*found)->is_directory()) {
    return ErrnoFail(kENOTDIR);
  }
  if (const i64 error = permission(**found, kMayExecute); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  return found;
}

}  // namespace

i64 sys_getdents(const SyscallArgs& args) { return get_entries<OldDirentHeader>(args); }
i64 sys_getdents64(const SyscallArgs& args) { return get_entries<DirentHeader>(args); }

i64 sys_getcwd(const SyscallArgs& args) {
  const HeapBuffer path(kPathBytes);
  if (!path) {
    return -kENOMEM;
  }
  ProcessFiles& view = current_directories();
  const i64 bytes = path_of(*view.cwd, path.data(), kPathBytes - 1, view.root.get());
  if (bytes < 0) {
    return bytes == -kERANGE ? -kENAMETOOLONG : bytes;
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
  const ErrnoOr<Ref<Inode>> directory = to_enter(inode_of_user_path(kCwd, args.a0, FinalLink::kFollow));
  if (!directory) {
    return negated(directory.error());
  }
  current_directories().cwd = *directory;
  return 0;
}

i64 sys_fchdir(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  const ErrnoOr<Ref<Inode>> directory = to_enter(Ref<Inode>(file->inode()));
  if (!directory) {
    return negated(directory.error());
  }
  current_directories().cwd = *directory;
  return 0;
}

i64 sys_chroot(const SyscallArgs& args) {
  const ErrnoOr<Ref<Inode>> directory = to_enter(inode_of_user_path(kCwd, args.a0, FinalLink::kFollow));
  if (!directory) {
    return negated(directory.error());
  }
  if (!capable(Capability::kSysChroot)) {
    return -kEPERM;
  }
  current_directories().root = *directory;
  return 0;
}

i64 sys_umask(const SyscallArgs& args) {
  return std::exchange(current_directories().umask, static_cast<u32>(args.a0) & 0777);
}

}  // namespace nopte::guest
