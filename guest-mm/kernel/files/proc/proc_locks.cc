// /proc/locks (fs/locks.c of Linux 6.12, lock_get_status); those that are waited for are not told.
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/locks/file_locks.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"

namespace nopte::guest::files {

void proc_locks(TextBuilder& out) {
  u64 number = 0;
  FileLocks::for_each([&](const Inode& inode, const FileLock& lock, FileLocks::Kind kind) {
    constexpr std::string_view kKinds[] = {"POSIX  ADVISORY ", "OFDLCK ADVISORY ", "FLOCK  ADVISORY ",
                                           "LEASE  ACTIVE    ", "LEASE  BREAKING  "};
    const u64 device = inode.device_of_file_system();
    out.add(++number, ": ", kKinds[static_cast<u8>(kind)], ' ',
            lock.type == LockType::kWrite  ? "WRITE "
            : lock.type == LockType::kRead ? "READ "
                                           : "UNLCK ",
            lock.pid, ' ', TextBuilder::Hex{device_major(device), 2}, ':',
            TextBuilder::Hex{device_minor(device), 2}, ':', inode.number, ' ', static_cast<u64>(lock.first),
            ' ');
    if (lock.last == FileLock::kEnd) {
      out.add("EOF\n");
    } else {
      out.add(static_cast<u64>(lock.last), '\n');
    }
  });
}

}  // namespace nopte::guest::files
