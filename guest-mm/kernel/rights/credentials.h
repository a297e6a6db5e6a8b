// Who a thread is: users, groups, capabilities (credentials(7), capabilities(7)). Threads and processes share
// one set until one of them changes it: fork copies a pointer. There is one user namespace.
//
// Concurrency: one CPU, non-preemptible kernel.
#pragma once

#include <utility>

#include "guest-mm/core/heap.h"
#include "guest-mm/core/ref.h"
#include "guest-mm/kernel/process/thread.h"
#include "guest-mm/kernel/rights/seccomp.h"

namespace nopte::guest {

// uapi/linux/capability.h; those that are asked for here.
enum class Capability : u32 {
  kChown = 0,
  kDacOverride = 1,
  kDacReadSearch = 2,
  kFowner = 3,
  kFsetid = 4,
  kKill = 5,
  kSetgid = 6,
  kSetuid = 7,
  kSetpcap = 8,
  kLinuxImmutable = 9,
  kNetBindService = 10,
  kNetAdmin = 12,
  kNetRaw = 13,
  kIpcLock = 14,
  kIpcOwner = 15,
  kSysRawio = 17,
  kSysChroot = 18,
  kSysPtrace = 19,
  kSysPacct = 20,
  kSysAdmin = 21,
  kSysBoot = 22,
  kSysNice = 23,
  kSysResource = 24,
  kSysTime = 25,
  kSysTtyConfig = 26,
  kMknod = 27,
  kLease = 28,
  kSetfcap = 31,
  kSyslog = 34,
  kCheckpointRestore = 40,
};
inline constexpr u32 kLastCapability = 40;
using CapabilitySet = u64;
inline constexpr CapabilitySet kAllCapabilities = (u64{1} << (kLastCapability + 1)) - 1;
constexpr CapabilitySet capability_bit(Capability capability) {
  return u64{1} << static_cast<u32>(capability);
}

// A user, or a group, in its four roles.
struct Ids {
  u32 real = 0;
  u32 effective = 0;
  u32 saved = 0;
  u32 file = 0;
  bool operator==(const Ids&) const = default;
};

// Supplementary groups, sorted; many sets of credentials have one list.
class GroupList : public HeapAllocated {
 public:
  static constexpr u32 kMost = 65536;

  // Room for so many, not filled in. Null: no memory.
  static Ref<GroupList> make(u32 count);
  [[nodiscard]] u32 count() const { return count_; }
  [[nodiscard]] u32* begin() { return reinterpret_cast<u32*>(values_.data()); }
  [[nodiscard]] const u32* begin() const { return reinterpret_cast<const u32*>(values_.data()); }
  [[nodiscard]] const u32* end() const { return begin() + count_; }
  void retain() { ++references_; }
  void release() {
    if (--references_ == 0) {
      delete this;
    }
  }

 private:
  GroupList(u32 count, HeapBuffer values) : count_(count), values_(std::move(values)) {}
  u32 references_ = 1;
  u32 count_;
  HeapBuffer values_;
};

// What changes as one: a call makes a copy, changes it and commits it.
struct Identity {
  Ids user;
  Ids group;
  Ref<GroupList> groups;  // null: none
  CapabilitySet effective = kAllCapabilities;
  CapabilitySet permitted = kAllCapabilities;
  CapabilitySet inheritable = 0;
  CapabilitySet bounding = kAllCapabilities;
  CapabilitySet ambient = 0;
  u32 secure_bits = 0;
  bool no_new_privileges = false;
  Seccomp seccomp = Seccomp::kOff;
  Ref<SeccompFilter> filter;  // of Seccomp::kFilter
  bool operator==(const Identity&) const = default;

  [[nodiscard]] bool has(Capability capability) const {
    return (effective & capability_bit(capability)) != 0;
  }
  // Whether the group is its file system group or a supplementary one.
  [[nodiscard]] bool in_group(u32 id) const;
};

class Credentials : public HeapAllocated {
 public:
  [[nodiscard]] const Identity& identity() const { return identity_; }
  void retain() { ++references_; }
  void release() {
    if (--references_ == 0) {
      delete this;
    }
  }
  // The first process's: root, all capabilities.
  static Credentials& initial();

 private:
  friend i64 commit_identity(Thread& thread, Identity identity);
  constexpr Credentials() = default;
  explicit Credentials(Identity identity) : identity_(std::move(identity)) {}

  u32 references_ = 1;
  Identity identity_;
};

inline const Identity& identity_of(const Thread& thread) { return thread.credentials->identity(); }
// The running thread's; root's while the kernel starts.
inline const Identity& identity() {
  return g_current == nullptr ? Credentials::initial().identity() : identity_of(*g_current);
}
inline bool capable(Capability capability) { return identity().has(capability); }

// Makes it the thread's. 0, or -ENOMEM: it is then as before.
i64 commit_identity(Thread& thread, Identity identity);
// Whether the running thread may send the signal's like to that one (kill(2)).
bool may_signal(const Thread& target);
// Whether the running thread may look into that one's memory and descriptors, and change them
// (kernel/ptrace.c,
// __ptrace_may_access with real credentials).
bool may_inspect(const Thread& target);
// Whether the running thread is that one's user, or may change others' scheduling (kernel/sched/syscalls.c,
// check_same_owner).
bool owns_thread(const Thread& target);
// The capabilities after a change of users, as Linux's cap_emulate_setxuid and cap_task_fix_setuid have it.
void fix_capabilities(const Identity& old, Identity& next);

// What exec makes of the credentials, for a file of that mode and owner: set-user-ID bits and capabilities
// (security/commoncap.c, cap_bprm_creds_from_file).
struct ExecOwner {
  u32 mode;
  u32 uid;
  u32 gid;
};
struct ExecIdentity {
  Identity identity;
  bool secure = false;  // AT_SECURE
  bool sets_identity = false;
};
// Whether the file's set-user-ID or set-group-ID bit counts.
bool sets_identity(const Identity& old, const ExecOwner& file);
ExecIdentity identity_after_exec(const Identity& old, const ExecOwner& file);
// Takes from what an exec makes of `old` the capabilities that it gained and may not: with no_new_privileges,
// or a tracer without rights.
void limit_gain(const Identity& old, Identity& next);

// secure_bits (uapi/linux/securebits.h).
inline constexpr u32 kSecureNoRoot = 1 << 0;
inline constexpr u32 kSecureNoSetuidFixup = 1 << 2;
inline constexpr u32 kSecureKeepCaps = 1 << 4;
inline constexpr u32 kSecureKeepCapsLocked = 1 << 5;
inline constexpr u32 kSecureNoAmbientRaise = 1 << 6;
inline constexpr u32 kSecureAll = 0xff;
inline constexpr u32 kSecureLocks = 0xaa;

}  // namespace nopte::guest
