// Leases (fcntl's F_SETLEASE; fs/locks.c of Linux 6.12): who holds one hears of it when somebody opens or
// cuts the file in a way that it excludes; that one waits until the lease is given up, or was long enough in
// the way (/proc/sys/fs/lease-break-time).
#pragma once

#include "guest-mm/kernel/files/file.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

class TmpfsFile;
enum class LockType : u16;

class Leases {
 public:
  Leases() = default;
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;
  ~Leases();

  // Errors, all without an effect: -EAGAIN (the file is open in a way that it excludes, or there is none to
  // be taken back), -ENOMEM.
  i64 set(File& file, TmpfsFile& leased, i32 descriptor, LockType type);
  // What the open file has; of one that is being broken, what it must become.
  [[nodiscard]] LockType of(const File& file);
  // Somebody opens the file so, or cuts it (kOpenWriteOnly). 0; -EAGAIN with kOpenNonBlock; -ERESTARTSYS.
  i64 make_way(u32 open_flags);
  void drop(const void* file);
  [[nodiscard]] bool any() const { return first_ != nullptr; }
  void for_each(FunctionRef<void(LockType type, i32 pid, bool breaking)> visit) const;

 private:
  struct Lease {
    File* file = nullptr;
    i32 descriptor = 0;
    i32 pid = 0;
    LockType type{};
    LockType target{};    // what it must become; type: nobody wants it broken
    u64 deadline_ns = 0;  // when that happens by itself; 0: never
    Lease* next = nullptr;
  };

  static bool conflicts(const Lease& lease, bool writes);
  void end_late_ones();
  void erase(Lease*& at);

  Lease* first_ = nullptr;
  WaitQueue changed_;
};

}  // namespace nopte::guest::files
