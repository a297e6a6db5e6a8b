// fcntl's commands on locks, and flock: what they ask for and refuse.
#include "guest-mm/kernel/files/locks/lock_calls.h"

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// struct flock
struct UserLock {
  i16 type;
  i16 whence;
  i32 hole;
  i64 start;
  i64 bytes;
  i32 pid;
  i32 end_hole;
};
static_assert(sizeof(UserLock) == 32);

// Its type and bytes. -kEINVAL, -kEOVERFLOW.
i64 load_range(const File& file, const UserLock& asked, FileLock& lock) {
  i64 base = 0;
  switch (static_cast<Whence>(static_cast<u16>(asked.whence))) {
    case Whence::kSet:
      break;
    case Whence::kCurrent:
      base = static_cast<i64>(file.position);
      break;
    case Whence::kEnd:
      base = static_cast<i64>(file.inode()->size_bytes());
      break;
    default:
      return -kEINVAL;
  }
  if (asked.start > FileLock::kEnd - base) {
    return -kEOVERFLOW;
  }
  const i64 start = base + asked.start;
  if (start < 0) {
    return -kEINVAL;
  }
  if (asked.bytes > 0) {
    if (asked.bytes - 1 > FileLock::kEnd - start) {
      return -kEOVERFLOW;
    }
    lock.first = start;
    lock.last = start + (asked.bytes - 1);
  } else if (asked.bytes < 0) {
    if (start + asked.bytes < 0) {
      return -kEINVAL;
    }
    lock.first = start + asked.bytes;
    lock.last = start - 1;
  } else {
    lock.first = start;
    lock.last = FileLock::kEnd;
  }
  if (asked.type < 0 || asked.type > static_cast<i16>(LockType::kNone)) {
    return -kEINVAL;
  }
  lock.type = static_cast<LockType>(asked.type);
  return 0;
}

void set_owner(FileLock& lock, const File& file, LockOwner owner) {
  lock.of_file = owner == LockOwner::kOpenFile;
  lock.owner = lock.of_file ? static_cast<const void*>(&file) : &current_files().table;
  lock.pid = lock.of_file ? -1 : current_process().pid;
}

}  // namespace

namespace files {

i64 get_file_lock(const File& file, LockOwner owner, u64 address) {
  UserLock asked{};
  if (const i64 error = get_user(asked, address); error != 0) {
    return error;
  }
  FileLock lock;
  if (owner == LockOwner::kProcess && asked.type != static_cast<i16>(LockType::kRead) &&
      asked.type != static_cast<i16>(LockType::kWrite)) {
    return -kEINVAL;
  }
  if (const i64 error = load_range(file, asked, lock); error != 0) {
    return error;
  }
  if (owner == LockOwner::kOpenFile && asked.pid != 0) {
    return -kEINVAL;
  }
  set_owner(lock, file, owner);
  const FileLocks* const locks = file.inode()->locks.get();
  const FileLock* const found = locks != nullptr ? locks->obstacle(lock) : nullptr;
  asked.type = static_cast<i16>(found != nullptr ? found->type : LockType::kNone);
  if (found != nullptr) {
    asked.whence = static_cast<i16>(Whence::kSet);
    asked.start = found->first;
    asked.bytes = found->last == FileLock::kEnd ? 0 : found->last - found->first + 1;
    asked.pid = found->pid;
  }
  return put_user(address, asked);
}

i64 set_lease(File& file, u64 descriptor, u64 type) {
  Inode& inode = *file.inode();
  if (type > static_cast<u64>(LockType::kNone)) {
    return -kEINVAL;
  }
  if (identity().user.file != inode.uid && !capable(Capability::kLease)) {
    return -kEACCES;
  }
  TmpfsFile* const leased = inode.as_tmpfs_file();
  if (leased == nullptr) {
    return -kEINVAL;
  }
  FileLocks* const locks = locks_of(inode);
  return locks == nullptr ? -kENOMEM
                          : locks->leases.set(file, *leased, static_cast<i32>(descriptor),
                                              static_cast<LockType>(static_cast<u16>(type)));
}

i64 get_lease(const File& file) {
  const UniquePtr<FileLocks>& locks = file.inode()->locks;
  return static_cast<i64>(locks ? locks->leases.of(file) : LockType::kNone);
}

i64 set_file_lock(File& file, u64 descriptor, LockOwner owner, Wait wait, u64 address) {
  UserLock asked{};
  if (const i64 error = get_user(asked, address); error != 0) {
    return error;
  }
  FileLock lock;
  if (const i64 error = load_range(file, asked, lock); error != 0) {
    return error;
  }
  if ((lock.type == LockType::kRead && !file.readable()) ||
      (lock.type == LockType::kWrite && !file.writable())) {
    return -kEBADF;
  }
  if (owner == LockOwner::kOpenFile && asked.pid != 0) {
    return -kEINVAL;
  }
  set_owner(lock, file, owner);
  if (lock.type == LockType::kNone && !file.inode()->locks) {
    return 0;
  }
  FileLocks* const locks = locks_of(*file.inode());
  if (locks == nullptr) {
    return -kENOLCK;
  }
  const Ref<File> hold(&file);
  if (const i64 error = locks->set_range(lock, wait); error != 0) {
    return error;
  }
  // A close by another thread while this one waited found no lock to drop.
  if (owner == LockOwner::kProcess && file_of(descriptor) != &file) {
    locks->drop(lock.owner);
    return -kEBADF;
  }
  return 0;
}

}  // namespace files

i64 sys_flock(const SyscallArgs& args) {
  constexpr u32 kShared = 1, kExclusive = 2, kNoWait = 4, kUnlock = 8, kMandatory = 32;
  const u32 operation = static_cast<u32>(args.a1);
  if ((operation & kMandatory) != 0) {
    return 0;  // as Linux, since 5.17: gone, and not refused
  }
  FileLock lock;
  switch (operation & ~kNoWait) {
    case kShared:
      lock.type = LockType::kRead;
      break;
    case kExclusive:
      lock.type = LockType::kWrite;
      break;
    case kUnlock:
      break;
    default:
      return -kEINVAL;
  }
  File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  FileLocks* const locks = locks_of(*file->inode());
  if (locks == nullptr) {
    return -kENOMEM;
  }
  lock.owner = file;
  lock.of_file = true;
  lock.pid = current_process().pid;
  const Ref<File> hold(file);
  return locks->set_whole(lock, (operation & kNoWait) != 0 ? Wait::kNo : Wait::kYes);
}

}  // namespace nopte::guest
