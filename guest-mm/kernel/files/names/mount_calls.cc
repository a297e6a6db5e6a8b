// mount, umount2, pivot_root, ustat, sysfs. What can be mounted anew is tmpfs; /proc, /dev and /sys are there
// from the start, and asking for them again changes nothing.
#include <algorithm>
#include <cstring>
#include <utility>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// uapi/linux/mount.h
constexpr u32 kRemount = 32, kBind = 4096, kMove = 8192, kPropagation = 0x1e'0000;
constexpr u32 kKeptFlags = kMountReadOnly | kMountNoSetuid | kMountNoDevices | kMountNoExec;
constexpr std::string_view kFileSystems[] = {"sysfs", "tmpfs", "devtmpfs", "devpts", "proc"};

bool is_one(const Inode& inode, std::string_view name) {
  const ErrnoOr<Ref<Inode>> known = root_directory().lookup(name);
  return known && known->get() == &inode;
}
bool is_first_mount(const Inode& inode) {
  return &inode == &root_directory() || is_one(inode, "proc") || is_one(inode, "dev") || is_one(inode, "sys");
}

// mode=, in the options; the others change nothing here.
i64 mode_in(u64 options_address, u32& mode) {
  if (options_address == 0) {
    return 0;
  }
  UserPath options;
  if (const i64 error = options.load(options_address); error != 0) {
    return error;
  }
  std::string_view rest = options.text();
  while (!rest.empty()) {
    const std::string_view option = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), option.size() + 1));
    constexpr std::string_view kMode = "mode=";
    if (!option.starts_with(kMode)) {
      continue;
    }
    mode = 0;
    for (const char digit : option.substr(kMode.size())) {
      if (digit < '0' || digit > '7') {
        return -kEINVAL;
      }
      mode = mode * 8 + static_cast<u32>(digit - '0');
    }
    mode &= kModePermMask;
  }
  return 0;
}

i64 mount_over(Inode& where, u64 source_address, u64 type_address, u32 flags, u64 options) {
  if (type_address == 0) {
    return -kEINVAL;
  }
  UserPath type;
  UserPath source;
  if (const i64 error = type.load(type_address); error != 0) {
    return error;
  }
  if (source_address != 0) {
    if (const i64 error = source.load(source_address); error != 0) {
      return error;
    }
  }
  if ((type.text() == "proc" && is_one(where, "proc")) ||
      (type.text() == "devtmpfs" && is_one(where, "dev")) ||
      (type.text() == "sysfs" && is_one(where, "sys")) ||
      (type.text() == "devpts" && where.device_of_file_system() == kPtsDevice)) {
    return 0;
  }
  if (type.text() != "tmpfs" && type.text() != "ramfs") {
    return -kENODEV;
  }
  u32 mode = 01777;
  if (const i64 error = mode_in(options, mode); error != 0) {
    return error;
  }
  if (!where.is_directory()) {
    return -kENOTDIR;
  }
  if (!where.as_directory()->is_tmpfs()) {
    return -kEINVAL;
  }
  return mount_tmpfs(where, source.text(), flags & kKeptFlags, mode);
}

}  // namespace

i64 sys_mount(const SyscallArgs& args) {
  UserPath type;
  if (args.a2 != 0) {
    if (const i64 error = type.load(args.a2); error != 0) {
      return error == -kENAMETOOLONG ? -kEINVAL : error;
    }
  }
  const ErrnoOr<Ref<Inode>> where = inode_of_user_path(kCwd, args.a1, FinalLink::kFollow);
  if (!where) {
    return negated(where.error());
  }
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  const auto flags = static_cast<u32>(args.a3);
  Mount* const here = mount_at(**where);
  if ((flags & kRemount) != 0) {
    if (here == nullptr) {
      return is_first_mount(**where) ? 0 : -kEINVAL;
    }
    here->instance->flags = flags & kKeptFlags;
    return 0;
  }
  if ((flags & kPropagation) != 0) {
    return here != nullptr || is_first_mount(**where) ? 0 : -kEINVAL;
  }
  if ((flags & (kBind | kMove)) != 0) {
    const ErrnoOr<Ref<Inode>> from = inode_of_user_path(kCwd, args.a0, FinalLink::kFollow);
    return from ? -kEINVAL : negated(from.error());
  }
  return mount_over(**where, args.a0, args.a2, flags, args.a4);
}

i64 sys_umount2(const SyscallArgs& args) {
  constexpr u32 kForce = 1, kDetach = 2, kExpire = 4, kNoFollow = 8;
  const auto flags = static_cast<u32>(args.a1);
  if ((flags & ~(kForce | kDetach | kExpire | kNoFollow)) != 0) {
    return -kEINVAL;
  }
  g_walks_use_mounts = false;
  ErrnoOr<Ref<Inode>> where =
      inode_of_user_path(kCwd, args.a0, (flags & kNoFollow) != 0 ? FinalLink::kStay : FinalLink::kFollow);
  if (where) {
    *where = over_mounts(std::move(*where));
  }
  g_walks_use_mounts = true;
  if (!where) {
    return negated(where.error());
  }
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  Mount* const mount = mount_at(**where);
  if (mount == nullptr) {
    return is_first_mount(**where) ? -kEBUSY : -kEINVAL;
  }
  if ((flags & kExpire) != 0 && (flags & (kForce | kDetach)) != 0) {
    return -kEINVAL;
  }
  *where = nullptr;
  if (is_busy(*mount, (flags & kDetach) != 0 ? Users::kDoNotCount : Users::kCount)) {
    return -kEBUSY;
  }
  if ((flags & kExpire) != 0 && !std::exchange(mount->expiring, true)) {
    return -kEAGAIN;
  }
  unmount(*mount);
  return 0;
}

// Nothing can take the place of the first file system.
i64 sys_pivot_root(const SyscallArgs& args) {
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  Inode* root = nullptr;
  for (const u64 path : {args.a0, args.a1}) {
    const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(kCwd, path, FinalLink::kFollow);
    if (!inode) {
      return negated(inode.error());
    }
    if (!(*inode)->is_directory()) {
      return -kENOTDIR;
    }
    root = root == nullptr ? inode->get() : root;
  }
  return root->device_of_file_system() == current_directories().root->device_of_file_system() ? -kEBUSY
                                                                                              : -kEINVAL;
}

// ustat(device, struct ustat*)
i64 sys_ustat(const SyscallArgs& args) {
  struct {
    i32 blocks_free = 0, hole = 0;
    u64 inodes_free = 0;
    char name[6] = {}, pack[6] = {};
    i32 end = 0;
  } answer;
  const auto device = static_cast<u32>(args.a0);
  bool known = device == kFileSystemDevice || device == kProcDevice || device == kSysDevice;
  for (const Mount* mount = g_mounts; mount != nullptr; mount = mount->next) {
    known = known || mount->instance->device == device;
  }
  if (!known) {
    return -kEINVAL;
  }
  if (device != kProcDevice && device != kSysDevice) {
    answer.inodes_free = tmpfs_use().free_bytes() / kPageBytes;
    answer.blocks_free = static_cast<i32>(answer.inodes_free);
  }
  return put_user(args.a1, answer);
}

// sysfs(option, ...): names and numbers of file systems.
i64 sys_sysfs(const SyscallArgs& args) {
  constexpr u64 kNumberOfName = 1, kNameOfNumber = 2, kHowMany = 3;
  switch (args.a0) {
    case kNumberOfName: {
      UserPath name;
      if (const i64 error = name.load(args.a1); error != 0) {
        return error;
      }
      const auto* const found = std::find(std::begin(kFileSystems), std::end(kFileSystems), name.text());
      return found == std::end(kFileSystems) ? -kEINVAL : found - kFileSystems;
    }
    case kNameOfNumber: {
      if (static_cast<u32>(args.a1) >= std::size(kFileSystems)) {
        return -kEINVAL;
      }
      const std::string_view name = kFileSystems[static_cast<u32>(args.a1)];
      const Result<void> copied = arch::copy_to_user(Gva(args.a2), name.data(), name.size() + 1);
      return copied ? 0 : to_errno(copied.error());
    }
    case kHowMany:
      return std::size(kFileSystems);
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
