// Locks on files (fs/locks.c of 6.12): advisory ones on ranges of bytes, a process's (POSIX) or an open
// file's (OFD), and those of flock(2) on whole files, which know nothing of the former.
//
// An inode has FileLocks from its first lock on. Who holds a lock has the inode open: it goes with any close
// of the inode by those descriptors, or with the open file. Concurrency: one CPU, non-preemptible kernel; a
// call that waits holds the file.
#pragma once

#include <limits>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/locks/leases.h"
#include "guest-mm/kernel/rights/user_account.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

enum class LockType : u16 { kRead = 0, kWrite = 1, kNone = 2 };  // uapi/asm-generic/fcntl.h

enum class Wait : bool { kNo, kYes };

struct FileLock {
  static constexpr i64 kEnd = std::numeric_limits<i64>::max();

  const void* owner = nullptr;  // descriptors (FileTable), or an open file (File)
  LockType type = LockType::kNone;
  bool of_file = false;  // the open file's
  i32 pid = 0;           // who F_GETLK names
  i64 first = 0;         // bytes
  i64 last = kEnd;
  FileLock* next = nullptr;
  Ref<UserAccount> account;  // of one that is held: whose it counts as
};

class Inode;

// Who has CAP_SYS_RESOURCE apart, no user gets more locks who has so many: an eighth of memory.
void set_lock_limit(u64 memory_bytes);

class FileLocks {
 public:
  explicit FileLocks(Inode& of);
  FileLocks(const FileLocks&) = delete;
  FileLocks& operator=(const FileLocks&) = delete;
  ~FileLocks();

  // A lock on bytes that keeps others from having this one; null: none.
  [[nodiscard]] const FileLock* obstacle(const FileLock& wanted) const {
    return obstacle_in(ranges_, wanted);
  }
  // Makes the wanted bytes its owner's in that way, or not locked; what it had beside them stays. Errors, all
  // without an effect: -kEAGAIN, -kEDEADLK (who is in the way waits for the owner), -kENOLCK (no memory, or
  // to lock: the user has as many as one may), -kERESTARTSYS.
  i64 set_range(const FileLock& wanted, Wait wait);
  // flock(2). Errors: -kEAGAIN, -kERESTARTSYS, -kENOMEM; a lock of the other type is lost.
  i64 set_whole(const FileLock& wanted, Wait wait);
  // All that the owner has.
  void drop(const void* owner);

  Leases leases;

  // Every lock of every file, for /proc/locks: its inode, what kind it is.
  enum class Kind : u8 { kProcess, kOpenFile, kWhole, kLease, kBreakingLease };
  static void for_each(FunctionRef<void(const Inode&, const FileLock&, Kind)> visit);

 private:
  static const FileLock* obstacle_in(const FileLock* list, const FileLock& wanted);
  static bool drop_from(FileLock*& list, const void* owner);
  [[nodiscard]] bool splits_too_much(const FileLock& wanted) const;
  void place(FileLock wanted, UniquePtr<FileLock> one, UniquePtr<FileLock> other);

  FileLock* ranges_ = nullptr;  // an owner's side by side, in the order of their bytes
  FileLock* wholes_ = nullptr;
  Inode& inode_;
  FileLocks* next_;  // of all files'
  WaitQueue changed_;
};

// The inode's, made when it has none; null: no memory.
FileLocks* locks_of(Inode& inode);

}  // namespace nopte::guest::files
