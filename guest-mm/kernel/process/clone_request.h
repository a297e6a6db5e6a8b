// What clone, clone3, fork and vfork ask for (uapi/linux/sched.h), and what Linux refuses of it.
#pragma once

#include "guest-mm/kernel/syscall.h"
#include "pvops/base/types.h"

namespace nopte::guest {

inline constexpr u64 kCloneVm = 0x100, kCloneFs = 0x200, kCloneFiles = 0x400, kCloneSighand = 0x800,
                     kClonePidfd = 0x1000, kClonePtrace = 0x2000, kCloneVfork = 0x4000, kCloneParent = 0x8000,
                     kCloneThread = 0x1'0000, kCloneSysvsem = 0x4'0000, kCloneSettls = 0x8'0000,
                     kCloneParentSettid = 0x10'0000, kCloneChildCleartid = 0x20'0000,
                     kCloneDetached = 0x40'0000, kCloneUntraced = 0x80'0000, kCloneChildSettid = 0x100'0000,
                     kCloneIo = 0x8000'0000, kCloneClearSighand = 0x1'0000'0000,
                     kCloneIntoCgroup = 0x2'0000'0000;
// CLONE_NEWCGROUP and its kin, all of them.
inline constexpr u64 kCloneNamespaces = 0x7e02'0080;

inline constexpr u64 kCloneSignalMask = 0xff;

struct CloneRequest {
  u64 flags = 0;  // without the signal
  i32 exit_signal = 0;
  u64 stack = 0;  // its top; 0: the parent's
  u64 parent_tid = 0;
  u64 child_tid = 0;
  u64 tls = 0;
  u64 pidfd = 0;       // where its number goes
  i32 wanted_tid = 0;  // 0: any
};

// clone(2)'s arguments; nothing of them is checked.
inline CloneRequest clone_request(const SyscallArgs& args) {
  return {.flags = static_cast<u32>(args.a0) & ~kCloneSignalMask,
          .exit_signal = static_cast<i32>(args.a0 & kCloneSignalMask),
          .stack = args.a1,
          .parent_tid = args.a2,
          .child_tid = args.a3,
          .tls = args.a4,
          .pidfd = args.a2};
}
// clone3(2)'s: 0, or -E2BIG, -EFAULT, -EINVAL.
i64 load_clone_request(const SyscallArgs& args, CloneRequest& request);
// These need no check.
inline constexpr u64 kCloneSimple = kCloneVm | kCloneFs | kCloneFiles | kCloneVfork | kCloneParentSettid |
                                    kCloneChildCleartid | kCloneChildSettid;
// What must go together, must not, or is not there at all: 0, or -EINVAL, -EPERM.
i64 check_clone_request(const CloneRequest& request, bool by_init);

}  // namespace nopte::guest
