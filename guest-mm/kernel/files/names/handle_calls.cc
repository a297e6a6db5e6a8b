// name_to_handle_at, open_by_handle_at: a file of tmpfs by its number (fs/fhandle.c, mm/shmem.c of Linux
// 6.12). A handle is looked for where names lead: one of a file without a name is stale.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/names/permission.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

struct HandleHeader {
  u32 bytes;
  i32 type;
};
struct TmpfsHandle {
  u32 generation;
  u32 low;
  u32 high;
};
constexpr u32 kMostBytes = 128;
constexpr i32 kTmpfsType = 1;

Directory& root_of(const Inode& inode) {
  return inode.instance && inode.instance->root != nullptr ? *inode.instance->root->as_directory()
                                                           : root_directory();
}

// Depth first, without a stack: back up by parents. Null: there is none.
Ref<Inode> find_number(Directory& root, u64 number) {
  if (root.number == number) {
    return Ref<Inode>(&root);
  }
  Directory* here = &root;
  u64 cookie = 0;
  for (;;) {
    u64 at = 0;
    u64 its_number = 0;
    char name[kNameBytes];
    u64 name_bytes = 0;
    bool is_directory = false;
    here->iterate(cookie, [&](std::string_view entry, u64 ino, u32 mode, u64 next) {
      at = next;
      its_number = ino;
      name_bytes = entry.copy(name, sizeof name);
      is_directory = (mode & kModeTypeMask) == kModeDirectory;
      return false;
    });
    if (at == 0) {
      if (here == &root) {
        return nullptr;
      }
      // Behind this one in the directory above.
      const u64 own = here->number;
      here = here->parent;
      cookie = 0;
      here->iterate(0, [&](std::string_view, u64 ino, u32, u64 next) {
        cookie = next;
        return ino != own;
      });
      continue;
    }
    cookie = at;
    const ErrnoOr<Ref<Inode>> found = here->lookup({name, name_bytes});
    if (!found || !(*found)->in_tmpfs()) {
      continue;
    }
    if (its_number == number) {
      return *found;
    }
    if (is_directory) {
      here = (*found)->as_directory();
      cookie = 0;
    }
  }
}

}  // namespace

// name_to_handle_at(directory, path, handle*, mount*, flags)
i64 sys_name_to_handle_at(const SyscallArgs& args) {
  const auto flags = static_cast<u32>(args.a4);
  constexpr u32 kUniqueMount = 1, kIdOnly = 0x200;
  if ((flags & ~(kAtSymlinkFollow | kAtEmptyPath | kUniqueMount | kIdOnly)) != 0) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(
      args.a0, args.a1, (flags & kAtSymlinkFollow) != 0 ? FinalLink::kFollow : FinalLink::kStay,
      flags & kAtEmptyPath);
  if (!inode) {
    return negated(inode.error());
  }
  if (!(*inode)->in_tmpfs()) {
    return -kEOPNOTSUPP;
  }
  HandleHeader header{};
  if (const i64 error = get_user(header, args.a2); error != 0) {
    return error;
  }
  if (header.bytes > kMostBytes) {
    return -kEINVAL;
  }
  const bool fits = header.bytes >= sizeof(TmpfsHandle);
  header = {sizeof(TmpfsHandle), fits ? kTmpfsType : 255};
  const u64 number = (*inode)->number;
  const TmpfsHandle handle{0, static_cast<u32>(number), static_cast<u32>(number >> 32)};
  const u64 mount = device_minor((*inode)->device_of_file_system());
  const i64 told =
      (flags & kUniqueMount) != 0 ? put_user(args.a3, mount) : put_user(args.a3, static_cast<i32>(mount));
  if (told != 0 || put_user(args.a2, header) != 0 ||
      (fits && put_user(args.a2 + sizeof header, handle) != 0)) {
    return -kEFAULT;
  }
  return fits ? 0 : -kEOVERFLOW;
}

// open_by_handle_at(directory of the mount, handle*, flags)
i64 sys_open_by_handle_at(const SyscallArgs& args) {
  const File* const anchor = static_cast<i32>(args.a0) == kAtCwd ? nullptr : file_of(args.a0);
  if (anchor == nullptr && static_cast<i32>(args.a0) != kAtCwd) {
    return -kEBADF;
  }
  if (!capable(Capability::kDacReadSearch)) {
    return -kEPERM;
  }
  HandleHeader header{};
  if (const i64 error = get_user(header, args.a1); error != 0) {
    return error;
  }
  if (header.bytes > kMostBytes || header.bytes == 0) {
    return -kEINVAL;
  }
  TmpfsHandle handle{};
  const Inode& where = anchor == nullptr ? *current_directories().cwd : *anchor->inode();
  if (header.bytes < sizeof handle || header.type != kTmpfsType || !where.in_tmpfs()) {
    return -kESTALE;
  }
  if (const i64 error = get_user(handle, args.a1 + sizeof header); error != 0) {
    return error;
  }
  Ref<Inode> inode = find_number(root_of(where), handle.low | u64{handle.high} << 32);
  if (!inode) {
    return -kESTALE;
  }
  const auto flags = static_cast<u32>(args.a2);
  ErrnoOr<Ref<File>> file = open_inode(std::move(inode), flags);
  if (!file) {
    return negated(file.error());
  }
  return current_files().table.insert(std::move(*file),
                                      (flags & kOpenCloseOnExec) != 0 ? CloseOnExec::kYes : CloseOnExec::kNo);
}

}  // namespace nopte::guest
