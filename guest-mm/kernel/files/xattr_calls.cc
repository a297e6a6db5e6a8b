// Extended attributes: no file system here has any. What is wrong with the arguments is said first, as on
// Linux; then reading and changing one is EOPNOTSUPP, and the list of them is empty.
#include "guest-mm/kernel/files/call_support.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u64 kNameRoom = 256;  // XATTR_NAME_MAX and what ends it
constexpr u64 kLongestValue = 64 << 10;
constexpr u64 kFlags = 3;  // XATTR_CREATE, XATTR_REPLACE

i64 check_name(u64 address) {
  char name[kNameRoom];
  const Result<u64> length = arch::copy_string_from_user(name, Gva(address), sizeof name);
  if (!length) {
    return length.error() == Status::kLimit ? -kERANGE : to_errno(length.error());
  }
  return *length == 0 ? -kERANGE : 0;
}

i64 refuse(u64 name) {
  const i64 error = check_name(name);
  return error != 0 ? error : -kEOPNOTSUPP;
}

i64 refuse_change(const SyscallArgs& args) {
  if ((args.a4 & ~kFlags) != 0) {
    return -kEINVAL;
  }
  if (const i64 error = check_name(args.a1); error != 0) {
    return error;
  }
  if (args.a3 > kLongestValue) {
    return -kE2BIG;
  }
  // The value is looked at.
  u8 byte;
  if (args.a3 != 0 && (get_user(byte, args.a2) != 0 || get_user(byte, args.a2 + args.a3 - 1) != 0)) {
    return -kEFAULT;
  }
  return -kEOPNOTSUPP;
}

// Errors of the path come before those of the other arguments.
template <class Then>
i64 on_path(u64 path, FinalLink final, Then then) {
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(static_cast<u64>(kAtCwd), path, final);
  return inode ? then() : negated(inode.error());
}

template <class Then>
i64 on_descriptor(u64 descriptor, Then then) {
  const File* const file = file_of(descriptor);
  return file == nullptr || file->path_only() ? -kEBADF : then();
}

}  // namespace

i64 sys_setxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kFollow, [&] { return refuse_change(args); });
}
i64 sys_lsetxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kStay, [&] { return refuse_change(args); });
}
i64 sys_fsetxattr(const SyscallArgs& args) {
  return on_descriptor(args.a0, [&] { return refuse_change(args); });
}

i64 sys_getxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kFollow, [&] { return refuse(args.a1); });
}
i64 sys_lgetxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kStay, [&] { return refuse(args.a1); });
}
i64 sys_fgetxattr(const SyscallArgs& args) {
  return on_descriptor(args.a0, [&] { return refuse(args.a1); });
}

i64 sys_listxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kFollow, [] { return i64{0}; });
}
i64 sys_llistxattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kStay, [] { return i64{0}; });
}
i64 sys_flistxattr(const SyscallArgs& args) {
  return on_descriptor(args.a0, [] { return i64{0}; });
}

i64 sys_removexattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kFollow, [&] { return refuse(args.a1); });
}
i64 sys_lremovexattr(const SyscallArgs& args) {
  return on_path(args.a0, FinalLink::kStay, [&] { return refuse(args.a1); });
}
i64 sys_fremovexattr(const SyscallArgs& args) {
  return on_descriptor(args.a0, [&] { return refuse(args.a1); });
}

}  // namespace nopte::guest
