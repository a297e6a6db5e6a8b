// eventfd, eventfd2: a counter to wait for (fs/eventfd.c of Linux 6.12).
#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

enum class Reads : bool { kAll, kOne };  // kOne: EFD_SEMAPHORE

class EventFile final : public File {
 public:
  static constexpr AnonymousKind kKind = AnonymousKind::kEventFd;

  EventFile(Ref<Inode> inode, u32 flags, u64 count, Reads reads)
      : File(std::move(inode), flags), count_(count), reads_(reads) {}

  i64 read(IoBuffer to, u64 bytes, u64) override {
    if (bytes < sizeof(u64)) {
      return -kEINVAL;
    }
    while (count_ == 0) {
      if (const i64 error = wait(changed_); error != 0) {
        return error;
      }
    }
    const u64 taken = reads_ == Reads::kOne ? 1 : count_;
    const bool was_full = count_ >= kMost;
    count_ -= taken;
    if (was_full) {
      wake(changed_);
    }
    wake(room_);
    const IoBuffer::Copied copied = to.put(&taken, sizeof(taken));
    return copied.status == Status::kOk ? static_cast<i64>(sizeof(taken)) : to_errno(copied.status);
  }

  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    u64 added = 0;
    if (bytes != sizeof(added)) {
      return -kEINVAL;
    }
    if (const Status status = from.get(&added, sizeof(added)).status; status != Status::kOk) {
      return to_errno(status);
    }
    if (added > kMost) {
      return -kEINVAL;
    }
    while (added > kMost - count_) {
      if (const i64 error = wait(room_); error != 0) {
        return error;
      }
    }
    count_ += added;
    wake(changed_);
    return sizeof(added);
  }

  u32 poll() override { return (count_ != 0 ? kPollIn : 0) | (count_ < kMost ? kPollOut : 0); }
  WaitQueue* poll_queue() override { return &changed_; }

 private:
  static constexpr u64 kMost = ~u64{0} - 1;

  i64 wait(WaitQueue& queue) {
    if (non_blocking()) {
      return -kEAGAIN;
    }
    return block_on(queue) == WakeReason::kSignal ? -kERESTARTSYS : 0;
  }

  u64 count_;
  const Reads reads_;
  WaitQueue changed_;  // readers, and who polls: woken by each write, and when there is room again
  WaitQueue room_;     // writers: woken by each read
};

i64 make_eventfd(u32 count, u32 flags) {
  constexpr u32 kSemaphore = 1;
  if ((flags & ~(kSemaphore | kOpenNonBlock | kOpenCloseOnExec)) != 0) {
    return -kEINVAL;
  }
  return insert_anonymous<EventFile>(flags, u64{count},
                                     (flags & kSemaphore) != 0 ? Reads::kOne : Reads::kAll);
}

}  // namespace

i64 sys_eventfd(const SyscallArgs& args) { return make_eventfd(static_cast<u32>(args.a0), 0); }
i64 sys_eventfd2(const SyscallArgs& args) {
  return make_eventfd(static_cast<u32>(args.a0), static_cast<u32>(args.a1));
}

}  // namespace nopte::guest
