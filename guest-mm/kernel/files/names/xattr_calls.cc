// Extended attributes: tmpfs has those of user., trusted. and security. (fs/xattr.c, mm/shmem.c of Linux
// 6.12); no other file system here has any. Nothing reads what they say.
#include <algorithm>
#include <cstring>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/attributes.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u64 kNameRoom = 256;  // XATTR_NAME_MAX and what ends it
constexpr u64 kLongestValue = 64 << 10;
constexpr std::string_view kTrusted = "trusted.", kUser = "user.", kSecurity = "security.";

struct AttributeName {
  char text[kNameRoom];
  u64 bytes = 0;
  [[nodiscard]] std::string_view view() const { return {text, bytes}; }
  [[nodiscard]] bool in(std::string_view space) const {
    return bytes > space.size() && view().starts_with(space);
  }

  i64 load(u64 address) {
    const Result<u64> length = arch::copy_string_from_user(text, Gva(address), sizeof text);
    if (!length) {
      return length.error() == Status::kLimit ? -kERANGE : to_errno(length.error());
    }
    bytes = *length;
    return bytes == 0 ? -kERANGE : 0;
  }
};

// Whether the running thread may read (kMayRead) or change such an attribute (xattr_permission,
// cap_inode_setxattr), and tmpfs has such.
i64 may_use(const Inode& inode, const AttributeName& name, u32 wanted) {
  const bool writes = wanted == kMayWrite;
  if (const i64 error = writes ? may_change_unless(inode, kFlagsFixed) : 0; error != 0) {
    return error;
  }
  const bool user = name.view().starts_with(kUser);
  if (name.view().starts_with(kTrusted) && !capable(Capability::kSysAdmin)) {
    return writes ? -kEPERM : -kENODATA;
  }
  if (user) {
    constexpr u32 kSticky = 01000;
    if (!inode.is_regular() && !inode.is_directory()) {
      return writes ? -kEPERM : -kENODATA;
    }
    if (inode.is_directory() && (inode.mode & kSticky) != 0 && writes && !owns(inode)) {
      return -kEPERM;
    }
  }
  if (user || name.view().starts_with(kTrusted)) {
    if (const i64 error = permission(inode, wanted); error != 0) {
      return error;
    }
  }
  if (name.view().starts_with(kSecurity) && writes) {
    const Capability needed =
        name.view() == "security.capability" ? Capability::kSetfcap : Capability::kSysAdmin;
    if (!capable(needed)) {
      return -kEPERM;
    }
  }
  if (!inode.in_tmpfs()) {
    return -kEOPNOTSUPP;
  }
  if (name.view() == kUser || name.view() == kTrusted || name.view() == kSecurity) {
    return -kEINVAL;
  }
  return name.in(kUser) || name.in(kTrusted) || name.in(kSecurity) ? 0 : -kEOPNOTSUPP;
}

i64 changed(Inode& inode, i64 error) {
  if (error == 0) {
    inode.changed_ns = wall_clock_ns();
    notify(inode, kAttributes);
  }
  return error;
}

i64 set_attribute(Inode& inode, const SyscallArgs& args) {
  if ((args.a4 & ~u64{Attributes::kCreate | Attributes::kReplace} & 0xffff'ffff) != 0) {
    return -kEINVAL;
  }
  AttributeName name;
  if (const i64 error = name.load(args.a1); error != 0) {
    return error;
  }
  if (args.a3 > kLongestValue) {
    return -kE2BIG;
  }
  HeapBuffer value(args.a3);
  if (args.a3 != 0) {
    if (!value) {
      return -kENOMEM;
    }
    if (const Result<void> copied = arch::copy_from_user(value.data(), Gva(args.a2), args.a3); !copied) {
      return to_errno(copied.error());
    }
  }
  if (const i64 error = may_use(inode, name, kMayWrite); error != 0) {
    return error;
  }
  if (!inode.attributes) {
    inode.attributes = make_unique<Attributes>();
  }
  return inode.attributes
             ? changed(inode, inode.attributes->set(name.view(), std::move(value), static_cast<u32>(args.a4)))
             : -kENOSPC;
}

i64 get_attribute(const Inode& inode, const SyscallArgs& args) {
  AttributeName name;
  if (const i64 error = name.load(args.a1); error != 0) {
    return error;
  }
  if (const i64 error = may_use(inode, name, kMayRead); error != 0) {
    return error;
  }
  if (!inode.attributes) {
    return -kENODATA;
  }
  const auto value = inode.attributes->get(name.view());
  if (!value) {
    return negated(value.error());
  }
  if (args.a3 != 0) {
    if (args.a3 < value->size) {
      return -kERANGE;
    }
    if (value->size != 0) {
      const Result<void> copied = arch::copy_to_user(Gva(args.a2), value->bytes, value->size);
      if (!copied) {
        return to_errno(copied.error());
      }
    }
  }
  return static_cast<i64>(value->size);
}

i64 list_attributes(const Inode& inode, const SyscallArgs& args) {
  u64 done = 0;
  i64 error = 0;
  const bool all = capable(Capability::kSysAdmin);
  const auto visit = [&](std::string_view name) {
    if (error != 0 || (!all && name.starts_with(kTrusted))) {
      return;
    }
    char text[kNameRoom] = {};
    name.copy(text, sizeof text - 1);
    if (args.a2 != 0) {
      if (done + name.size() + 1 > args.a2) {
        error = -kERANGE;
        return;
      }
      const Result<void> copied = arch::copy_to_user(Gva(args.a1 + done), text, name.size() + 1);
      error = copied ? 0 : to_errno(copied.error());
    }
    done += name.size() + 1;
  };
  if (inode.attributes) {
    inode.attributes->for_each(visit);
  }
  return error != 0 ? error : static_cast<i64>(done);
}

i64 remove_attribute(Inode& inode, const SyscallArgs& args) {
  AttributeName name;
  if (const i64 error = name.load(args.a1); error != 0) {
    return error;
  }
  if (const i64 error = may_use(inode, name, kMayWrite); error != 0) {
    return error;
  }
  return inode.attributes ? changed(inode, inode.attributes->remove(name.view())) : -kENODATA;
}

// Errors of the path come before those of the other arguments.
template <class Then>
i64 on_name(const SyscallArgs& args, FinalLink final, Then then) {
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(kCwd, args.a0, final);
  return inode ? then(**inode, args) : negated(inode.error());
}
template <class Then>
i64 on_file(const SyscallArgs& args, Then then) {
  return on_descriptor(args.a0, [&](Inode& inode) { return then(inode, args); });
}

}  // namespace

i64 sys_setxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kFollow, set_attribute); }
i64 sys_lsetxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kStay, set_attribute); }
i64 sys_fsetxattr(const SyscallArgs& args) { return on_file(args, set_attribute); }
i64 sys_getxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kFollow, get_attribute); }
i64 sys_lgetxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kStay, get_attribute); }
i64 sys_fgetxattr(const SyscallArgs& args) { return on_file(args, get_attribute); }
i64 sys_listxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kFollow, list_attributes); }
i64 sys_llistxattr(const SyscallArgs& args) { return on_name(args, FinalLink::kStay, list_attributes); }
i64 sys_flistxattr(const SyscallArgs& args) { return on_file(args, list_attributes); }
i64 sys_removexattr(const SyscallArgs& args) { return on_name(args, FinalLink::kFollow, remove_attribute); }
i64 sys_lremovexattr(const SyscallArgs& args) { return on_name(args, FinalLink::kStay, remove_attribute); }
i64 sys_fremovexattr(const SyscallArgs& args) { return on_file(args, remove_attribute); }

}  // namespace nopte::guest
