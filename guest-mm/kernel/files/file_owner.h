// Who hears of an open file by a signal (fcntl's F_SETOWN and F_SETSIG): of its events with O_ASYNC, of a
// lease that somebody wants to break, of what happens in a directory (F_NOTIFY). fs/fcntl.c of Linux 6.12.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/events/directory_notice.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

// fcntl's F_OWNER_*.
enum class OwnerKind : i32 { kThread = 0, kProcess = 1, kGroup = 2 };

// si_code and si_band of what happened.
struct IoEvent {
  i32 code;
  u32 band;
};
inline constexpr IoEvent kIoIn{1, kPollIn | kPollReadNormal};
inline constexpr IoEvent kIoOut{2, kPollOut | kPollWriteNormal | 0x200};
inline constexpr IoEvent kIoMessage{3, kPollIn | kPollReadNormal | 0x400};
inline constexpr IoEvent kIoHangUp{6, kPollHangUp | kPollError};

// A file has one from the first time on that it is asked to.
struct FileOwner : HeapAllocated, WatchingWaiter {
  explicit FileOwner(File& of);

  File& file;
  OwnerKind kind = OwnerKind::kProcess;
  i32 id = 0;  // of a process, a thread, or a group; 0: nobody
  u32 real_user = 0;
  u32 effective_user = 0;  // who asked: the signal is theirs
  i32 signal = 0;          // 0: SIGIO, that tells nothing
  i32 descriptor = 0;      // by which O_ASYNC was asked for
  bool watching = false;
  UniquePtr<DirectoryNotice> notice;  // F_NOTIFY; null: none
};

// The file's, made when it is missing; null: no memory.
FileOwner* owner_of(File& file);
// -ESRCH: no such one; -ENOMEM.
i64 set_owner(File& file, OwnerKind kind, i32 id);
// The running process, if nobody is. -ENOMEM.
i64 own_if_nobody_does(File& file);
// Events of the file send the signal from now on, or no more. -ENOMEM.
i64 set_asynchronous(File& file, u64 descriptor, bool on);
// Sends it, if somebody is to have it.
void signal_owner(const FileOwner& owner, i32 descriptor, IoEvent event);

// The same for a socket's bytes out of band: SIGURG.
void signal_urgent(const FileOwner& owner);

// fcntl's F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG.
i64 set_owner_by_number(File& file, u64 number);
i64 owner_number(const File& file);
i64 set_owner_from_user(File& file, u64 address);
i64 put_owner(const File& file, u64 address);
i64 set_owner_signal(File& file, u64 signal);
i64 owner_signal(const File& file);

}  // namespace nopte::guest::files
