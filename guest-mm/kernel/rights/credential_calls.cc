// The calls that tell and change users and groups. Rules: kernel/sys.c, kernel/groups.c of 6.12.
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/rights/user_share.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u32 kKeep = ~u32{0};

// Users or groups: which four of an identity, and who may set them at will.
struct Kind {
  Ids Identity::* ids;
  Capability capability;
};
constexpr Kind kUser{&Identity::user, Capability::kSetuid};
constexpr Kind kGroup{&Identity::group, Capability::kSetgid};

i64 commit(Identity next) {
  const Identity& old = identity();
  fix_capabilities(old, next);
  const bool other = next.user.effective != old.user.effective ||
                     next.group.effective != old.group.effective || next.user.file != old.user.file ||
                     next.group.file != old.group.file;
  if (next.user.real != old.user.real) {
    current().too_many_processes =
        next.user.real != 0 && exceeds_processes(current_process(), next.user.real);
  }
  const i64 error = commit_identity(current(), std::move(next));
  if (error == 0 && other) {
    current_process().dumpable = false;
    current_process().parent_death_signal = 0;
  }
  return error;
}

i64 set_one(const Kind& kind, u32 id) {
  if (id == kKeep) {
    return -kEINVAL;
  }
  Identity next = identity();
  Ids& ids = next.*kind.ids;
  if (next.has(kind.capability)) {
    ids.real = ids.saved = id;
  } else if (id != ids.real && id != ids.saved) {
    return -kEPERM;
  }
  ids.effective = ids.file = id;
  return commit(std::move(next));
}

i64 set_two(const Kind& kind, u32 real, u32 effective) {
  Identity next = identity();
  Ids& ids = next.*kind.ids;
  const Ids old = ids;
  const bool may = next.has(kind.capability);
  if (real != kKeep) {
    if (real != old.real && real != old.effective && !may) {
      return -kEPERM;
    }
    ids.real = real;
  }
  if (effective != kKeep) {
    if (effective != old.real && effective != old.effective && effective != old.saved && !may) {
      return -kEPERM;
    }
    ids.effective = effective;
  }
  if (real != kKeep || (effective != kKeep && effective != old.real)) {
    ids.saved = ids.effective;
  }
  ids.file = ids.effective;
  return commit(std::move(next));
}

i64 set_three(const Kind& kind, u32 real, u32 effective, u32 saved) {
  Identity next = identity();
  Ids& ids = next.*kind.ids;
  const Ids old = ids;
  const auto ours = [&](u32 id) {
    return id == kKeep || id == old.real || id == old.effective || id == old.saved;
  };
  if (!next.has(kind.capability) && (!ours(real) || !ours(effective) || !ours(saved))) {
    return -kEPERM;
  }
  ids.real = real != kKeep ? real : old.real;
  ids.effective = effective != kKeep ? effective : old.effective;
  ids.saved = saved != kKeep ? saved : old.saved;
  ids.file = ids.effective;
  return commit(std::move(next));
}

// Always answers the former one.
i64 set_file(const Kind& kind, u32 id) {
  Identity next = identity();
  Ids& ids = next.*kind.ids;
  const u32 old = ids.file;
  const bool ours = id == ids.real || id == ids.effective || id == ids.saved || id == old;
  if (id != kKeep && id != old && (ours || next.has(kind.capability))) {
    ids.file = id;
    (void)commit(std::move(next));
  }
  return old;
}

i64 put_three(const Ids& ids, const SyscallArgs& args) {
  const auto put = [](u64 address, u32 id) { return arch::copy_to_user(Gva{address}, &id, sizeof(id)); };
  return put(args.a0, ids.real) && put(args.a1, ids.effective) && put(args.a2, ids.saved) ? 0 : -kEFAULT;
}

u32 id(u64 argument) { return static_cast<u32>(argument); }

}  // namespace

i64 sys_getuid(const SyscallArgs&) { return identity().user.real; }
i64 sys_geteuid(const SyscallArgs&) { return identity().user.effective; }
i64 sys_getgid(const SyscallArgs&) { return identity().group.real; }
i64 sys_getegid(const SyscallArgs&) { return identity().group.effective; }
i64 sys_setuid(const SyscallArgs& args) { return set_one(kUser, id(args.a0)); }
i64 sys_setgid(const SyscallArgs& args) { return set_one(kGroup, id(args.a0)); }
i64 sys_setreuid(const SyscallArgs& args) { return set_two(kUser, id(args.a0), id(args.a1)); }
i64 sys_setregid(const SyscallArgs& args) { return set_two(kGroup, id(args.a0), id(args.a1)); }
i64 sys_setresuid(const SyscallArgs& args) { return set_three(kUser, id(args.a0), id(args.a1), id(args.a2)); }
i64 sys_setresgid(const SyscallArgs& args) {
  return set_three(kGroup, id(args.a0), id(args.a1), id(args.a2));
}
i64 sys_setfsuid(const SyscallArgs& args) { return set_file(kUser, id(args.a0)); }
i64 sys_setfsgid(const SyscallArgs& args) { return set_file(kGroup, id(args.a0)); }
i64 sys_getresuid(const SyscallArgs& args) { return put_three(identity().user, args); }
i64 sys_getresgid(const SyscallArgs& args) { return put_three(identity().group, args); }

i64 sys_getgroups(const SyscallArgs& args) {
  const auto room = static_cast<i32>(args.a0);
  const Ref<GroupList>& groups = identity().groups;
  const u32 count = groups ? groups->count() : 0;
  if (room < 0 || (room != 0 && static_cast<u32>(room) < count)) {
    return -kEINVAL;
  }
  if (room != 0 && count != 0 && !arch::copy_to_user(Gva{args.a1}, groups->begin(), count * sizeof(u32))) {
    return -kEFAULT;
  }
  return count;
}

i64 sys_setgroups(const SyscallArgs& args) {
  const u32 count = id(args.a0);
  if (!capable(Capability::kSetgid)) {
    return -kEPERM;
  }
  if (count > GroupList::kMost) {
    return -kEINVAL;
  }
  Ref<GroupList> groups = GroupList::make(count);
  if (!groups) {
    return -kENOMEM;
  }
  u32* const begin = groups->begin();
  if (count == 0 || arch::copy_from_user(begin, Gva{args.a1}, count * sizeof(u32))) {
    if (std::find(begin, begin + count, kKeep) != begin + count) {
      return -kEINVAL;
    }
  } else {  // what is wrong with the first that has something wrong
    for (u64 i = 0; arch::copy_from_user(begin, Gva{args.a1 + i * sizeof(u32)}, sizeof(u32)); ++i) {
      if (*begin == kKeep) {
        return -kEINVAL;
      }
    }
    return -kEFAULT;
  }
  std::sort(groups->begin(), groups->begin() + count);
  Identity next = identity();
  next.groups = std::move(groups);
  return commit_identity(current(), std::move(next));
}

}  // namespace nopte::guest
