// Changes to what inodes say about themselves, and questions about rights: access, chmod, chown, times.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// Whom access(2) asks for: the real user, with what capabilities that one has.
i64 as_real_user(Identity& who) {
  who.user.file = who.user.real;
  who.group.file = who.group.real;
  if ((who.secure_bits & kSecureNoSetuidFixup) == 0) {
    who.effective = who.user.real == 0 ? who.permitted : 0;
  }
  return commit_identity(current(), who);
}

i64 access_inode(u64 directory, u64 path, u32 mode, u32 flags) {
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(
      directory, path, flags & kAtSymlinkNoFollow ? FinalLink::kStay : FinalLink::kFollow, flags);
  if (!inode) {
    return negated(inode.error());
  }
  return mode == 0 ? 0 : permission(**inode, mode);
}

i64 access_path(u64 directory, u64 path, u64 mode, u32 flags) {
  constexpr u32 kKnown = kAtEffectiveAccess | kAtSymlinkNoFollow | kAtEmptyPath;
  const auto wanted = static_cast<u32>(mode);
  if ((wanted & ~7u) != 0 || (flags & ~kKnown) != 0) {
    return -kEINVAL;
  }
  const Identity& own = identity();
  const bool same = own.user.file == own.user.real && own.group.file == own.group.real &&
                    own.effective == (own.user.real == 0 ? own.permitted : 0);
  if (same || (flags & kAtEffectiveAccess) != 0) {
    return access_inode(directory, path, wanted, flags);
  }
  // The walk asks for that user, too: the thread is that one meanwhile.
  const Ref<Credentials> before(current().credentials);
  Identity who = own;
  if (const i64 error = as_real_user(who); error != 0) {
    return error;
  }
  const i64 answer = access_inode(directory, path, wanted, flags);
  std::exchange(current().credentials, Ref<Credentials>(before).detach())->release();
  return answer;
}

i64 set_mode(Inode& inode, u64 mode) {
  constexpr u32 kSetGroup = 02000;
  if (const i64 error = may_change_unless(inode, kFlagsFixed); error != 0) {
    return error;
  }
  if (!owns(inode) || keeps_mode(inode)) {
    return -kEPERM;
  }
  if (!identity().in_group(inode.gid) && !capable(Capability::kFsetid)) {
    mode &= ~u64{kSetGroup};
  }
  constexpr u64 kAnyMayExecute = 0111;
  const TmpfsFile* const file = inode.as_tmpfs_file();
  if (file != nullptr && (file->seals() & kSealExec) != 0 && ((inode.mode ^ mode) & kAnyMayExecute) != 0) {
    return -kEPERM;
  }
  inode.mode = (inode.mode & kModeTypeMask) | (static_cast<u32>(mode) & kModePermMask);
  inode.changed_ns = wall_clock_ns();
  notify(inode, kAttributes);
  return 0;
}

i64 set_owner(Inode& inode, u64 uid, u64 gid) {
  constexpr u32 kKeep = ~u32{0}, kSetUser = 04000, kSetGroup = 02000;
  const auto user = static_cast<u32>(uid);
  const auto group = static_cast<u32>(gid);
  const Identity& who = identity();
  if (const i64 error = may_change_unless(inode, kFlagsFixed); error != 0) {
    return error;
  }
  if (!who.has(Capability::kChown)) {
    const bool owner = who.user.file == inode.uid;
    if ((user != kKeep && (!owner || user != inode.uid)) ||
        (group != kKeep && (!owner || (group != inode.gid && !who.in_group(group))))) {
      return -kEPERM;
    }
  }
  if (!inode.is_directory()) {
    inode.mode &= ~kSetUser;
    if (loses_set_group(inode)) {
      inode.mode &= ~kSetGroup;
    }
  }
  inode.uid = user == kKeep ? inode.uid : user;
  inode.gid = group == kKeep ? inode.gid : group;
  inode.changed_ns = wall_clock_ns();
  if (user != kKeep || group != kKeep) {
    notify(inode, kAttributes);
  }
  return 0;
}

constexpr i64 kTimeNow = 0x3fff'ffff;
constexpr i64 kTimeOmit = 0x3fff'fffe;

i64 set_times(Inode& inode, const Timespec (&times)[2]) {
  const auto both = [&](i64 what) { return times[0].nanoseconds == what && times[1].nanoseconds == what; };
  if (both(kTimeOmit)) {
    return 0;
  }
  for (const Timespec& time : times) {
    if (time.nanoseconds != kTimeNow && time.nanoseconds != kTimeOmit &&
        (time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000)) {
      return -kEINVAL;
    }
  }
  if (const i64 error = may_change_unless(inode, both(kTimeNow) ? kFlagImmutable : kFlagsFixed); error != 0) {
    return error;
  }
  // To the present who may write may set them; to anything else the owner alone.
  if (!owns(inode)) {
    if (!both(kTimeNow)) {
      return -kEPERM;
    }
    if (const i64 error = permission(inode, kMayWrite); error != 0) {
      return error;
    }
  }
  const u64 now = wall_clock_ns();
  u64* const fields[2] = {&inode.accessed_ns, &inode.modified_ns};
  for (int i = 0; i < 2; ++i) {
    if (times[i].nanoseconds == kTimeNow) {
      *fields[i] = now;
    } else if (times[i].nanoseconds != kTimeOmit) {
      *fields[i] = from_timespec(times[i]);
    }
  }
  inode.changed_ns = now;
  const bool accessed = times[0].nanoseconds != kTimeOmit;
  const bool modified = times[1].nanoseconds != kTimeOmit;
  if (accessed || modified) {
    notify(inode, accessed && modified ? kAttributes : accessed ? kAccessed : kModified);
  }
  return 0;
}

// Two struct timeval (or the current time) into two timespecs.
i64 load_timevals(u64 address, Timespec (&times)[2]) {
  times[0] = times[1] = {0, kTimeNow};
  if (address == 0) {
    return 0;
  }
  if (const i64 error = get_user(times, address); error != 0) {
    return error;
  }
  for (Timespec& time : times) {
    if (time.nanoseconds < 0 || time.nanoseconds >= 1'000'000) {
      return -kEINVAL;
    }
    time.nanoseconds *= 1000;
  }
  return 0;
}

}  // namespace

i64 sys_access(const SyscallArgs& args) { return access_path(kCwd, args.a0, args.a1, 0); }
i64 sys_faccessat(const SyscallArgs& args) { return access_path(args.a0, args.a1, args.a2, 0); }
i64 sys_faccessat2(const SyscallArgs& args) {
  return access_path(args.a0, args.a1, args.a2, static_cast<u32>(args.a3));
}

i64 sys_chmod(const SyscallArgs& args) {
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return set_mode(inode, args.a1); });
}
i64 sys_fchmod(const SyscallArgs& args) {
  return on_descriptor(args.a0, [&](Inode& inode) { return set_mode(inode, args.a1); });
}
i64 sys_fchmodat(const SyscallArgs& args) {
  return on_path(args.a0, args.a1, 0, [&](Inode& inode) { return set_mode(inode, args.a2); });
}
i64 sys_fchmodat2(const SyscallArgs& args) {
  return on_path(args.a0, args.a1, static_cast<u32>(args.a3),
                 [&](Inode& inode) { return inode.is_symlink() ? -kEOPNOTSUPP : set_mode(inode, args.a2); });
}

i64 sys_chown(const SyscallArgs& args) {
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return set_owner(inode, args.a1, args.a2); });
}
i64 sys_lchown(const SyscallArgs& args) {
  return on_path(kCwd, args.a0, kAtSymlinkNoFollow,
                 [&](Inode& inode) { return set_owner(inode, args.a1, args.a2); });
}
i64 sys_fchown(const SyscallArgs& args) {
  return on_descriptor(args.a0, [&](Inode& inode) { return set_owner(inode, args.a1, args.a2); });
}
i64 sys_fchownat(const SyscallArgs& args) {
  return on_path(args.a0, args.a1, static_cast<u32>(args.a4),
                 [&](Inode& inode) { return set_owner(inode, args.a2, args.a3); });
}

i64 sys_utimensat(const SyscallArgs& args) {
  Timespec times[2] = {{0, kTimeNow}, {0, kTimeNow}};
  if (args.a2 != 0) {
    if (const i64 error = get_user(times, args.a2); error != 0) {
      return error;
    }
  }
  if (times[0].nanoseconds == kTimeOmit && times[1].nanoseconds == kTimeOmit) {
    return 0;
  }
  if (args.a1 == 0 && static_cast<i32>(args.a0) != kAtCwd) {
    return static_cast<u32>(args.a3) != 0
               ? -kEINVAL
               : on_descriptor(args.a0, [&](Inode& inode) { return set_times(inode, times); });
  }
  return on_path(args.a0, args.a1, static_cast<u32>(args.a3),
                 [&](Inode& inode) { return set_times(inode, times); });
}
i64 sys_futimesat(const SyscallArgs& args) {
  Timespec times[2];
  if (const i64 error = load_timevals(args.a2, times); error != 0) {
    return error;
  }
  if (args.a1 == 0 && static_cast<i32>(args.a0) != kAtCwd) {
    return on_descriptor(args.a0, [&](Inode& inode) { return set_times(inode, times); });
  }
  return on_path(args.a0, args.a1, 0, [&](Inode& inode) { return set_times(inode, times); });
}
i64 sys_utimes(const SyscallArgs& args) {
  Timespec times[2];
  if (const i64 error = load_timevals(args.a1, times); error != 0) {
    return error;
  }
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return set_times(inode, times); });
}
i64 sys_utime(const SyscallArgs& args) {
  Timespec times[2] = {{0, kTimeNow}, {0, kTimeNow}};
  if (args.a1 != 0) {
    i64 seconds[2];
    if (const i64 error = get_user(seconds, args.a1); error != 0) {
      return error;
    }
    times[0] = {seconds[0], 0};
    times[1] = {seconds[1], 0};
  }
  return on_path(kCwd, args.a0, 0, [&](Inode& inode) { return set_times(inode, times); });
}

}  // namespace nopte::guest
