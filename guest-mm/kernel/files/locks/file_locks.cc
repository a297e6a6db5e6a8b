#include "guest-mm/kernel/files/locks/file_locks.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

bool overlap(const FileLock& one, const FileLock& other) {
  return one.first <= other.last && other.first <= one.last;
}

constinit u64 g_most = ~u64{0};

// The account that one more of the running thread counts in; null: no memory, or it has as many as it may.
Ref<UserAccount> account_for_another() {
  Ref<UserAccount> account = UserAccount::of(identity().user.real);
  return account && (account->file_locks < g_most || capable(Capability::kSysResource)) ? account
                                                                                        : Ref<UserAccount>();
}

void insert(FileLock*& at, FileLock* lock) {
  lock->next = std::exchange(at, lock);
  ++lock->account->file_locks;
}
void erase(FileLock*& at) {
  FileLock* const gone = at;
  at = gone->next;
  --gone->account->file_locks;
  destroy(gone);
}

// A process that waits for bytes; on its kernel stack while it does.
class Waiting {
 public:
  // Apart: g++ 14 warns of a head that outlives what it links.
  [[gnu::noinline]] Waiting(const FileLocks& locks, const FileLock& wanted) : locks_(locks), wanted_(wanted) {
    if (!wanted.of_file) next_ = std::exchange(g_first, this);
  }
  ~Waiting() {
    for (Waiting** link = &g_first; *link != nullptr; link = &(*link)->next_) {
      if (*link == this) {
        *link = next_;
        break;
      }
    }
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  // Whether who is in the way waits, perhaps by way of others, for what `owner` has. As Linux: of a process
  // whose threads wait for several one is looked at, and a longer chain is not seen.
  static bool closes_circle(const void* owner, const FileLock* obstacle) {
    constexpr u32 kLongestChain = 10;
    for (u32 links = 0; obstacle != nullptr && !obstacle->of_file && links <= kLongestChain; ++links) {
      if (obstacle->owner == owner) return true;
      const Waiting* waiting = g_first;
      while (waiting != nullptr && waiting->wanted_.owner != obstacle->owner) waiting = waiting->next_;
      obstacle = waiting != nullptr ? waiting->locks_.obstacle(waiting->wanted_) : nullptr;
    }
    return false;
  }

 private:
  static constinit Waiting* g_first;
  const FileLocks& locks_;
  const FileLock& wanted_;
  Waiting* next_ = nullptr;
};
constinit Waiting* Waiting::g_first = nullptr;

}  // namespace

namespace {
constinit FileLocks* g_all = nullptr;
}

void set_lock_limit(u64 memory_bytes) { g_most = memory_bytes / 8 / sizeof(FileLock); }

FileLocks::FileLocks(Inode& of) : inode_(of), next_(std::exchange(g_all, this)) {}

FileLocks::~FileLocks() {
  FileLocks** link = &g_all;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
  while (ranges_ != nullptr) erase(ranges_);
  while (wholes_ != nullptr) erase(wholes_);
}

const FileLock* FileLocks::obstacle_in(const FileLock* list, const FileLock& wanted) {
  for (const FileLock* lock = list; lock != nullptr; lock = lock->next) {
    // Who asks for "unlocked" asks what it has itself (F_OFD_GETLK).
    const bool counts = wanted.type == LockType::kNone
                            ? lock->owner == wanted.owner
                            : lock->owner != wanted.owner &&
                                  (lock->type == LockType::kWrite || wanted.type == LockType::kWrite);
    if (counts && overlap(*lock, wanted)) return lock;
  }
  return nullptr;
}

void FileLocks::place(FileLock wanted, UniquePtr<FileLock> one, UniquePtr<FileLock> other) {
  FileLock** at = &ranges_;
  while (*at != nullptr && (*at)->owner != wanted.owner) at = &(*at)->next;
  while (*at != nullptr && (*at)->owner == wanted.owner) {
    FileLock& lock = **at;
    const bool alike = lock.type == wanted.type;
    // What touches one of its kind becomes a part of it.
    if (lock.last < wanted.first - (alike ? 1 : 0)) {
      at = &lock.next;
      continue;
    }
    if (lock.first - (alike ? 1 : 0) > wanted.last) break;
    if (alike) {
      wanted.first = std::min(wanted.first, lock.first);
      wanted.last = std::max(wanted.last, lock.last);
      erase(*at);
      continue;
    }
    const bool before = lock.first < wanted.first;
    const bool behind = lock.last > wanted.last;
    if (before && behind) {
      FileLock* const rest = other.release();
      *rest = lock;
      rest->first = wanted.last + 1;
      insert(lock.next, rest);
    }
    if (before) {
      lock.last = wanted.first - 1;
      at = &lock.next;
    } else if (behind) {
      lock.first = wanted.last + 1;
      break;
    } else {
      erase(*at);
    }
  }
  if (wanted.type != LockType::kNone) {
    *one = std::move(wanted);
    insert(*at, one.release());
  }
  wake(changed_);
}

// Who has as many as it may can let go of parts, but not without end: each may leave one lock more.
bool FileLocks::splits_too_much(const FileLock& wanted) const {
  for (const FileLock* lock = ranges_; lock != nullptr; lock = lock->next) {
    if (lock->owner == wanted.owner && lock->first < wanted.first && lock->last > wanted.last) {
      return lock->account->file_locks / 2 >= g_most && !capable(Capability::kSysResource);
    }
  }
  return false;
}

i64 FileLocks::set_range(const FileLock& wanted, Wait wait) {
  UniquePtr<FileLock> one;
  UniquePtr<FileLock> other;
  const bool everything = wanted.first == 0 && wanted.last == FileLock::kEnd;
  if (wanted.type != LockType::kNone || !everything) {  // to unlock everything needs none
    one = UniquePtr(make<FileLock>());
    other = UniquePtr(make<FileLock>());
    if (!one || !other) return -kENOLCK;
  }
  if (wanted.type == LockType::kNone && splits_too_much(wanted)) return -kENOLCK;
  FileLock placed = wanted;
  if (wanted.type != LockType::kNone) {
    placed.account = account_for_another();
    if (!placed.account) return -kENOLCK;
    const Waiting waiting(*this, wanted);
    while (const FileLock* const lock = obstacle(wanted)) {
      if (wait == Wait::kNo) return -kEAGAIN;
      if (!wanted.of_file && Waiting::closes_circle(wanted.owner, lock)) return -kEDEADLK;
      if (block_on(changed_) == WakeReason::kSignal) return -kERESTARTSYS;
    }
  }
  place(std::move(placed), std::move(one), std::move(other));
  return 0;
}

i64 FileLocks::set_whole(const FileLock& wanted, Wait wait) {
  for (const FileLock* held = wholes_; held != nullptr; held = held->next) {
    if (held->owner == wanted.owner && held->type == wanted.type) return 0;
  }
  UniquePtr<FileLock> lock(wanted.type == LockType::kNone ? nullptr : make<FileLock>());
  Ref<UserAccount> account = wanted.type == LockType::kNone ? Ref<UserAccount>() : account_for_another();
  if (wanted.type != LockType::kNone && (!lock || !account)) return -kENOMEM;
  if (drop_from(wholes_, wanted.owner)) wake(changed_);
  if (wanted.type == LockType::kNone) return 0;
  while (obstacle_in(wholes_, wanted) != nullptr) {
    if (wait == Wait::kNo) return -kEAGAIN;
    if (block_on(changed_) == WakeReason::kSignal) return -kERESTARTSYS;
  }
  // Others that have the same open file may have locked it meanwhile.
  drop_from(wholes_, wanted.owner);
  *lock = wanted;
  lock->account = std::move(account);
  insert(wholes_, lock.release());
  wake(changed_);
  return 0;
}

bool FileLocks::drop_from(FileLock*& list, const void* owner) {
  bool any = false;
  for (FileLock** at = &list; *at != nullptr;) {
    if ((*at)->owner == owner) {
      erase(*at);
      any = true;
    } else {
      at = &(*at)->next;
    }
  }
  return any;
}

void FileLocks::drop(const void* owner) {
  const bool ranges = drop_from(ranges_, owner);
  if (drop_from(wholes_, owner) || ranges) wake(changed_);
  leases.drop(owner);
}

void FileLocks::for_each(FunctionRef<void(const Inode&, const FileLock&, Kind)> visit) {
  for (const FileLocks* locks = g_all; locks != nullptr; locks = locks->next_) {
    for (const FileLock* lock = locks->ranges_; lock != nullptr; lock = lock->next) {
      visit(locks->inode_, *lock, lock->of_file ? Kind::kOpenFile : Kind::kProcess);
    }
    for (const FileLock* lock = locks->wholes_; lock != nullptr; lock = lock->next) {
      visit(locks->inode_, *lock, Kind::kWhole);
    }
    locks->leases.for_each([&](LockType type, i32 pid, bool breaking) {
      FileLock lock;
      lock.type = type;
      lock.pid = pid;
      visit(locks->inode_, lock, breaking ? Kind::kBreakingLease : Kind::kLease);
    });
  }
}

FileLocks* locks_of(Inode& inode) {
  if (!inode.locks) {
    inode.locks = UniquePtr(make<FileLocks>(inode));
  }
  return inode.locks.get();
}

}  // namespace nopte::guest::files
