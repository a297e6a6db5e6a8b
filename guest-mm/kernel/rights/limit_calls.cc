// getrlimit, setrlimit, prlimit64.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

bool valid_resource(u64 resource) { return static_cast<u32>(resource) < kResources; }
Resource resource_of(u64 resource) { return static_cast<Resource>(resource); }

i64 put_limit(const Limit& limit, u64 address) {
  return arch::copy_to_user(Gva{address}, &limit, sizeof(limit)) ? 0 : -kEFAULT;
}

// Of another process: its users and groups must all be the caller's (kernel/sys.c, check_prlimit_permission).
bool may_change_limits(const Identity& other) {
  const Identity& own = identity();
  const auto all = [](const Ids& ids, u32 id) {
    return ids.real == id && ids.effective == id && ids.saved == id;
  };
  return (all(other.user, own.user.real) && all(other.group, own.group.real)) ||
         own.has(Capability::kSysResource);
}

}  // namespace

i64 sys_getrlimit(const SyscallArgs& args) {
  return valid_resource(args.a0) ? put_limit(limit_of(current_process(), resource_of(args.a0)), args.a1)
                                 : -kEINVAL;
}

i64 sys_setrlimit(const SyscallArgs& args) {
  Limit wanted;
  if (!arch::copy_from_user(&wanted, Gva{args.a1}, sizeof(wanted))) {
    return -kEFAULT;
  }
  return valid_resource(args.a0) ? set_limit(current_process(), resource_of(args.a0), wanted) : -kEINVAL;
}

i64 sys_prlimit64(const SyscallArgs& args) {
  if (!valid_resource(args.a1)) {
    return -kEINVAL;
  }
  Limit wanted;
  if (args.a2 != 0 && !arch::copy_from_user(&wanted, Gva{args.a2}, sizeof(wanted))) {
    return -kEFAULT;
  }
  const auto pid = static_cast<i32>(args.a0);
  Process* const process = pid == 0 ? &current_process() : find_process(pid);
  if (process == nullptr) {
    return -kESRCH;
  }
  if (process != &current_process() && !may_change_limits(identity_of(process->leader()))) {
    return -kEPERM;
  }
  const Limit before = limit_of(*process, resource_of(args.a1));
  if (args.a2 != 0) {
    if (const i64 error = set_limit(*process, resource_of(args.a1), wanted); error != 0) {
      return error;
    }
  }
  return args.a3 != 0 ? put_limit(before, args.a3) : 0;
}

}  // namespace nopte::guest
