#include "guest-mm/kernel/rights/credentials.h"

#include <algorithm>
#include <new>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/ptrace.h"

namespace nopte::guest {

Ref<GroupList> GroupList::make(u32 count) {
  HeapBuffer values(std::max<u64>(count, 1) * sizeof(u32));
  void* const memory = values ? heap_alloc(sizeof(GroupList)) : nullptr;
  return memory == nullptr ? Ref<GroupList>()
                           : Ref<GroupList>::adopt(::new (memory) GroupList(count, std::move(values)));
}

bool Identity::in_group(u32 id) const {
  return group.file == id ||
         (groups && std::binary_search(static_cast<const u32*>(groups->begin()), groups->end(), id));
}

Credentials& Credentials::initial() {
  // Never destroyed: the last reference is its own.
  union Storage {
    constexpr Storage() : credentials() {}
    ~Storage() {}  // NOLINT: see above
    Credentials credentials;
  };
  static constinit Storage storage;
  return storage.credentials;
}

i64 commit_identity(Thread& thread, Identity identity) {
  if (thread.credentials->references_ == 1) {
    thread.credentials->identity_ = std::move(identity);
    return 0;
  }
  void* const memory = heap_alloc(sizeof(Credentials));
  if (memory == nullptr) {
    return -kENOMEM;
  }
  std::exchange(thread.credentials, ::new (memory) Credentials(std::move(identity)))->release();
  return 0;
}

bool may_signal(const Thread& target) {
  const Identity& own = identity();
  const Identity& other = identity_of(target);
  return own.user.effective == other.user.saved || own.user.effective == other.user.real ||
         own.user.real == other.user.saved || own.user.real == other.user.real || own.has(Capability::kKill);
}

bool may_inspect(const Thread& target) {
  const Identity& own = identity();
  if (target.process == current().process || own.has(Capability::kSysPtrace)) {
    return true;
  }
  const Identity& other = identity_of(target);
  const auto all_are = [](const Ids& ids, u32 id) {
    return ids.real == id && ids.effective == id && ids.saved == id;
  };
  return all_are(other.user, own.user.real) && all_are(other.group, own.group.real) &&
         target.process->dumpable && (other.permitted & ~own.permitted) == 0;
}

bool owns_thread(const Thread& target) {
  const Ids& other = identity_of(target).user;
  const u32 own = identity().user.effective;
  return own == other.effective || own == other.real;
}

void fix_capabilities(const Identity& old, Identity& next) {
  constexpr CapabilitySet kFileSystem =
      capability_bit(Capability::kChown) | capability_bit(Capability::kMknod) |
      capability_bit(Capability::kDacOverride) | capability_bit(Capability::kDacReadSearch) |
      capability_bit(Capability::kFowner) | capability_bit(Capability::kFsetid) |
      capability_bit(Capability::kLinuxImmutable) | u64{1} << 32;  // CAP_MAC_OVERRIDE
  if ((old.secure_bits & kSecureNoSetuidFixup) != 0) {
    return;
  }
  if (old.user.file == 0 && next.user.file != 0) {
    next.effective &= ~kFileSystem;
  } else if (old.user.file != 0 && next.user.file == 0) {
    next.effective |= next.permitted & kFileSystem;
  }
  const auto any_root = [](const Ids& user) {
    return user.real == 0 || user.effective == 0 || user.saved == 0;
  };
  if (any_root(old.user) && !any_root(next.user)) {
    if ((old.secure_bits & kSecureKeepCaps) == 0) {
      next.permitted = next.effective = 0;
    }
    next.ambient = 0;
  }
  if (old.user.effective == 0 && next.user.effective != 0) {
    next.effective = 0;
  } else if (old.user.effective != 0 && next.user.effective == 0) {
    next.effective = next.permitted;
  }
}

namespace {
constexpr u32 kSetUser = 04000, kSetGroup = 02000, kGroupExecute = 010;
}  // namespace

bool sets_identity(const Identity& old, const ExecOwner& file) {
  return (file.mode & (kSetUser | kSetGroup)) != 0 && !old.no_new_privileges &&
         ((file.mode & kSetUser) != 0 ||
          (file.mode & (kSetGroup | kGroupExecute)) == (kSetGroup | kGroupExecute)) &&
         (old.has(Capability::kSetuid) || tracer_allows_identity());
}

ExecIdentity identity_after_exec(const Identity& old, const ExecOwner& file) {
  ExecIdentity result{.identity = old, .sets_identity = sets_identity(old, file)};
  Identity& next = result.identity;
  if (result.sets_identity) {
    if ((file.mode & kSetUser) != 0) {
      next.user.effective = file.uid;
    }
    if ((file.mode & (kSetGroup | kGroupExecute)) == (kSetGroup | kGroupExecute)) {
      next.group.effective = file.gid;
    }
  }
  const bool other = next.user.effective != old.user.real || next.group.effective != old.group.real;
  const bool changed =
      next.user.effective != old.user.effective || next.group.effective != old.group.effective;
  CapabilitySet permitted = 0;
  bool effective = false;
  if ((old.secure_bits & kSecureNoRoot) == 0) {
    if (next.user.effective == 0 || next.user.real == 0) {
      permitted = old.bounding | old.inheritable;
    }
    effective = next.user.effective == 0;
  }
  if (changed) {
    next.ambient = 0;
  }
  next.permitted = permitted | next.ambient;
  next.effective = effective ? next.permitted : next.ambient;
  next.user.saved = next.user.file = next.user.effective;
  next.group.saved = next.group.file = next.group.effective;
  next.secure_bits &= ~kSecureKeepCaps;
  result.secure = other || (old.user.real != 0 && effective);
  return result;
}

void limit_gain(const Identity& old, Identity& next) {
  if (!old.no_new_privileges && tracer_allows_identity()) return;
  next.permitted &= old.permitted;
  next.effective &= next.permitted;
}

}  // namespace nopte::guest
