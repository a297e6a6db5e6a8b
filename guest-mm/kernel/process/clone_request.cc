#include "guest-mm/kernel/process/clone_request.h"

#include <cstddef>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kSignalMask = kCloneSignalMask, kLegacyFlags = 0xffff'ffff, kNewTime = 0x80;
// Tracing is not there, I/O contexts and semaphore undo lists would do nothing.
constexpr u64 kKnown = kCloneVm | kCloneFs | kCloneFiles | kCloneSighand | kClonePidfd | kClonePtrace |
                       kCloneVfork | kCloneParent | kCloneThread | kCloneSysvsem | kCloneSettls |
                       kCloneParentSettid | kCloneChildCleartid | kCloneDetached | kCloneUntraced |
                       kCloneChildSettid | kCloneIo | kCloneClearSighand;

constexpr u64 kNewMounts = 0x2'0000, kNewPids = 0x2000'0000;
// All but users'; those of time are clone3's.
constexpr u64 kPrivilegedNamespaces = kNewMounts | kNewPids | 0x4e00'0000;

// struct clone_args.
struct CloneArguments {
  u64 flags = 0;
  u64 pidfd = 0;
  u64 child_tid = 0;
  u64 parent_tid = 0;
  u64 exit_signal = 0;
  u64 stack = 0;
  u64 stack_bytes = 0;
  u64 tls = 0;
  u64 set_tid = 0;
  u64 set_tid_count = 0;
  u64 cgroup = 0;
};
constexpr u64 kFirstBytes = offsetof(CloneArguments, set_tid);
static_assert(kFirstBytes == 64 && sizeof(CloneArguments) == 88);

constexpr bool has(u64 flags, u64 all) { return (flags & all) == all; }

bool valid(const CloneArguments& arguments, u64 bytes) {
  constexpr u64 kMostLevels = 32;  // MAX_PID_NS_LEVEL
  const u64 flags = arguments.flags;
  if (arguments.set_tid_count > kMostLevels || (arguments.set_tid == 0) != (arguments.set_tid_count == 0) ||
      arguments.exit_signal > kSignals) {
    return false;
  }
  if ((flags & kCloneIntoCgroup) != 0 &&
      (arguments.cgroup > static_cast<u64>(INT32_MAX) || bytes < sizeof(CloneArguments))) {
    return false;
  }
  if ((flags & ~(kLegacyFlags | kCloneClearSighand | kCloneIntoCgroup)) != 0 ||
      (flags & (kCloneDetached | (kSignalMask & ~kNewTime))) != 0 ||
      has(flags, kCloneSighand | kCloneClearSighand) ||
      ((flags & (kCloneThread | kCloneParent)) != 0 && arguments.exit_signal != 0)) {
    return false;
  }
  if (arguments.stack == 0) {
    return arguments.stack_bytes == 0;
  }
  const u64 end = kUserRange.end.value();
  return arguments.stack_bytes != 0 && arguments.stack_bytes <= end &&
         arguments.stack <= end - arguments.stack_bytes;
}

}  // namespace

i64 load_clone_request(const SyscallArgs& args, CloneRequest& request) {
  const u64 bytes = args.a1;
  CloneArguments arguments;
  if (const i64 error = files::get_grown_user(arguments, args.a0, bytes, kFirstBytes); error != 0) {
    return error;
  }
  if (!valid(arguments, bytes)) {
    return -kEINVAL;
  }
  i32 wanted_tid = 0;
  if (arguments.set_tid_count != 0) {
    // There is one namespace of numbers.
    if (const i64 error = files::get_user(wanted_tid, arguments.set_tid);
        error != 0 || arguments.set_tid_count > 1) {
      return error != 0 ? error : -kEINVAL;
    }
    if (wanted_tid <= 0 || wanted_tid >= g_pid_limit) {
      return -kEINVAL;
    }
    if (!capable(Capability::kSysAdmin) && !capable(Capability::kCheckpointRestore)) {
      return -kEPERM;
    }
  }
  if ((arguments.flags & kCloneIntoCgroup) != 0) {
    return -kEBADF;  // no descriptor is of a control group
  }
  request = {.flags = arguments.flags,
             .exit_signal = static_cast<i32>(arguments.exit_signal),
             .stack = arguments.stack + arguments.stack_bytes,
             .parent_tid = arguments.parent_tid,
             .child_tid = arguments.child_tid,
             .tls = arguments.tls,
             .pidfd = arguments.pidfd,
             .wanted_tid = wanted_tid};
  return 0;
}

// As Linux built without namespaces: who may not make them hears that first, where nothing else is wrong.
static i64 refuse_namespaces(u64 flags) {
  const bool wrong = (flags & ~(kKnown | kPrivilegedNamespaces)) != 0 || has(flags, kNewMounts | kCloneFs) ||
                     has(flags, kNewPids | kCloneThread);
  return wrong || capable(Capability::kSysAdmin) ? -kEINVAL : -kEPERM;
}

i64 check_clone_request(const CloneRequest& request, bool by_init) {
  const u64 flags = request.flags;
  if ((flags & kPrivilegedNamespaces) != 0) {
    return refuse_namespaces(flags);
  }
  if ((flags & ~kKnown) != 0 || (has(flags, kCloneThread) && !has(flags, kCloneSighand)) ||
      (has(flags, kCloneSighand) && !has(flags, kCloneVm)) || (has(flags, kCloneParent) && by_init) ||
      has(flags, kClonePidfd | kCloneDetached) ||
      (has(flags, kClonePidfd | kCloneParentSettid) && request.pidfd == request.parent_tid)) {
    return -kEINVAL;
  }
  return has(flags, kCloneSettls) && request.tls >= kUserRange.end.value() ? -kEPERM : 0;
}

}  // namespace nopte::guest
