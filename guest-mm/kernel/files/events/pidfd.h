// Descriptors of processes and threads: pidfd_open(2), CLONE_PIDFD (kernel/pid.c, fs/pidfs.c of 6.12).
//
// All descriptors of one thread share a watch, which that thread knows while there is one; a process is
// watched through its leader. Neither owns the other: whoever goes first tells. Who traces or is traced is
// known to it, too (process/tracee.h).
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest {
struct Thread;
struct Tracee;
}  // namespace nopte::guest

namespace nopte::guest::files {

class ThreadWatch final : public Inode {
 public:
  explicit ThreadWatch(Thread& watched);
  // The thread's. Null: no memory.
  static Ref<ThreadWatch> of(Thread& thread);

  [[nodiscard]] u64 device_of_file_system() const override { return kPidfdDevice; }
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kENXIO); }
  // Null once it was released.
  [[nodiscard]] Thread* thread() const { return thread_; }
  // It ended, or its process did.
  void ended();
  void released();

  WaitQueue changed;
  Tracee* tracee = nullptr;   // the thread as a tracee
  Tracee* tracees = nullptr;  // whom it traces; owned

 private:
  ~ThreadWatch() override;
  Thread* thread_;
};

class Pidfd final : public File {
 public:
  // What it names: the process that a leader leads, or one thread.
  enum class Of : bool { kProcess, kThread };
  Pidfd(const Ref<ThreadWatch>& watch, Of of, u32 flags);

  Pidfd* as_pidfd() override { return this; }
  [[nodiscard]] bool splices_out() const override { return false; }
  [[nodiscard]] bool splices_in() const override { return false; }
  u32 poll() override;
  void add_info(TextBuilder& out) const override;
  WaitQueue* poll_queue() override { return &watch_.changed; }
  [[nodiscard]] Of of() const { return of_; }
  [[nodiscard]] Thread* thread() const { return watch_.thread(); }

 private:
  ThreadWatch& watch_;  // held by the base
  Of of_;
};

// Whom a descriptor means. Errors: -EBADF, -ESRCH (it was released).
struct Meant {
  i64 error = 0;
  Thread* thread = nullptr;
  Pidfd::Of of = Pidfd::Of::kProcess;
};
[[nodiscard]] Meant meant_by(u64 descriptor);

// flags: kOpenNonBlock. Null: no memory.
Ref<File> make_pidfd(Thread& thread, Pidfd::Of of, u32 flags);

}  // namespace nopte::guest::files
