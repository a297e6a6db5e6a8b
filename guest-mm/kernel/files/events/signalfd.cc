// signalfd, signalfd4: pending signals that are read (fs/signalfd.c of Linux 6.12). Whose they are is who
// reads or polls, not who made it.
#include <array>

#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/signals/signal_queue.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// struct signalfd_siginfo.
struct ReadSignal {
  u32 signal = 0;
  i32 error = 0;
  i32 code = 0;
  i32 pid = 0;
  u32 uid = 0;
  i32 descriptor = 0;
  i32 timer = 0;
  u32 band = 0;
  u32 overruns = 0;
  u32 trap = 0;
  i32 status = 0;
  i32 number = 0;
  u64 pointer = 0;
  u64 user_time = 0;
  u64 system_time = 0;
  u64 address = 0;
  u8 reserved[48] = {};
};
static_assert(sizeof(ReadSignal) == 128);

ReadSignal to_read(i32 signal, const SignalInfo& info) {
  ReadSignal out{.signal = static_cast<u32>(signal), .error = info.error, .code = info.code};
  const bool of_fault =
      signal == kSIGILL || signal == kSIGFPE || signal == kSIGSEGV || signal == kSIGBUS || signal == kSIGTRAP;
  if (info.code > kSiUser && info.code < kSiKernel && of_fault) {
    out.address = info.value;
    return out;
  }
  if (info.code == kSiTimer) {
    out.timer = info.pid;
    out.overruns = info.uid;
  } else {
    out.pid = info.pid;
    out.uid = info.uid;
  }
  if (info.code < kSiUser) {
    out.number = static_cast<i32>(info.value);
    out.pointer = info.value;
  } else if (signal == kSIGCHLD && info.code > kSiUser && info.code < kSiKernel) {
    out.status = static_cast<i32>(info.value);
  }
  return out;
}

class SignalFile final : public File {
 public:
  static constexpr AnonymousKind kKind = AnonymousKind::kSignalFd;

  SignalFile(Ref<Inode> inode, u32 flags, SignalSet set) : File(std::move(inode), flags), set_(set) {}

  i64 read(IoBuffer to, u64 bytes, u64) override {
    const u64 most = bytes / sizeof(ReadSignal);
    if (most == 0) {
      return -kEINVAL;
    }
    u64 done = 0;
    while (done < most) {
      SignalInfo info;
      const i32 signal = take_pending(current(), set_, info);
      if (signal == 0) {
        if (done != 0) {
          break;
        }
        if (non_blocking()) {
          return -kEAGAIN;
        }
        if (block_on(g_signal_watchers) == WakeReason::kSignal) {
          return -kERESTARTSYS;
        }
        continue;
      }
      const ReadSignal out = to_read(signal, info);
      if (const Status status = to.after(done * sizeof(out)).put(&out, sizeof(out)).status;
          status != Status::kOk) {
        return done != 0 ? static_cast<i64>(done * sizeof(out)) : to_errno(status);
      }
      ++done;
    }
    return static_cast<i64>(done * sizeof(ReadSignal));
  }
  u32 poll() override {
    const Thread& self = current();
    return ((self.signals.pending.set | self.process->signals.pending.set) & set_) != 0 ? kPollIn : 0;
  }
  WaitQueue* poll_queue() override { return &g_signal_watchers; }
  void set(SignalSet set) {
    set_ = set;
    wake(g_signal_watchers);
  }

 private:
  SignalSet set_;
};

i64 make_signalfd(const SyscallArgs& args, u32 flags) {
  SignalSet set = 0;
  if (args.a2 != sizeof(set)) {
    return -kEINVAL;
  }
  if (const i64 error = get_user(set, args.a1); error != 0) {
    return error;
  }
  if ((flags & ~(kOpenNonBlock | kOpenCloseOnExec)) != 0) {
    return -kEINVAL;
  }
  set &= ~kUnblockable;
  if (static_cast<i32>(args.a0) == -1) {
    return insert_anonymous<SignalFile>(flags, set);
  }
  File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  auto* const signals = anonymous_file<SignalFile>(*file);
  if (signals == nullptr) {
    return -kEINVAL;
  }
  signals->set(set);
  return static_cast<i32>(args.a0);
}

}  // namespace

i64 sys_signalfd(const SyscallArgs& args) { return make_signalfd(args, 0); }
i64 sys_signalfd4(const SyscallArgs& args) { return make_signalfd(args, static_cast<u32>(args.a3)); }

}  // namespace nopte::guest
