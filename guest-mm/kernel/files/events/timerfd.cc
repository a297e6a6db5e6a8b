// timerfd_create, timerfd_settime, timerfd_gettime (fs/timerfd.c of Linux 6.12).
#include <algorithm>

#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/time/clocks.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// struct itimerspec.
struct IntervalSpec {
  Timespec interval;
  Timespec value;
};

// As Linux keeps time: 292 years are the most.
constexpr u64 kMostNs = INT64_MAX;
u64 clamped_ns(const Timespec& time) { return std::min(time.ns(), kMostNs); }

// Rings once by itself. The rings of an interval that came since are counted when somebody looks: one that is
// not looked at costs nothing, however short it is.
class TimerFile final : public File {
 public:
  static constexpr AnonymousKind kKind = AnonymousKind::kTimerFd;

  TimerFile(Ref<Inode> inode, u32 flags, u64 clock)
      : File(std::move(inode), flags), wall_(clock == kRealtime) {
    bell_.owner = clock_set_.owner = this;
    bell_.fire = [](Timer& timer) { static_cast<Bell&>(timer).owner->ring(); };
  }
  ~TimerFile() override { timer_stop(bell_); }

  i64 read(IoBuffer to, u64 bytes, u64) override {
    if (bytes < sizeof(rings_)) {
      return -kEINVAL;
    }
    while (rings_ == 0) {
      if (non_blocking()) {
        return -kEAGAIN;
      }
      if (block_on(rang_) == WakeReason::kSignal) {
        return -kERESTARTSYS;
      }
    }
    if (take_cancellation()) {
      rings_ = 0;
      return -kECANCELED;
    }
    count_missed();
    const u64 rings = std::exchange(rings_, 0);
    const IoBuffer::Copied copied = to.put(&rings, sizeof(rings));
    return copied.status == Status::kOk ? static_cast<i64>(sizeof(rings)) : to_errno(copied.status);
  }
  u32 poll() override { return rings_ != 0 ? kPollIn : 0; }
  WaitQueue* poll_queue() override { return &rang_; }

  IntervalSpec setting() {
    count_missed();
    const u64 now_ns = platform_ops().now_ns();
    const u64 left_ns = bell_.armed() && deadline_ns_ > now_ns ? deadline_ns_ - now_ns : 0;
    return {to_timespec(interval_ns_), to_timespec(left_ns)};
  }
  // Value 0 disarms; what rang before is forgotten. -kECANCELED, which does not keep the timer from running:
  // the clock was set since, and nobody has read that.
  i64 set(const IntervalSpec& setting, bool absolute, bool cancels) {
    timer_stop(bell_);
    clock_set_.unlink();
    rings_ = 0;
    missing_ = false;
    interval_ns_ = clamped_ns(setting.interval);
    cancels_ = wall_ && absolute && cancels;
    cancelled_ = cancelled_ && cancels_;
    if (wall_ && absolute) {
      step_ns_ = g_wall_step_ns;
      g_clock_was_set.watch(clock_set_);
    }
    const u64 value_ns = clamped_ns(setting.value);
    if (value_ns == 0) {
      return 0;
    }
    start(!absolute ? std::min(deadline_in(value_ns), kMostNs)
          : wall_   ? deadline_of_wall(value_ns)
                    : value_ns);
    return take_cancellation() ? -kECANCELED : 0;
  }

 private:
  struct Bell : Timer {
    TimerFile* owner = nullptr;
  };

  struct ClockSet : WatchingWaiter {
    ClockSet()
        : WatchingWaiter([](WatchingWaiter& set) { static_cast<ClockSet&>(set).owner->follow_clock(); }) {}
    TimerFile* owner = nullptr;
  };

  // It is for a time of day, and the clock was set.
  void follow_clock() {
    const auto step_ns = static_cast<i64>(g_wall_step_ns - std::exchange(step_ns_, g_wall_step_ns));
    if (step_ns == 0) return;
    if (bell_.armed()) {
      const auto deadline_ns = static_cast<i64>(std::min(deadline_ns_, kMostNs));
      timer_stop(bell_);
      start(static_cast<u64>(std::max<i64>(deadline_ns - std::max(step_ns, deadline_ns - INT64_MAX), 0)));
    }
    if (cancels_) {
      cancelled_ = true;
      ++rings_;
      wake(rang_);
    }
  }
  bool take_cancellation() { return std::exchange(cancelled_, false); }

  void start(u64 deadline_ns) {
    deadline_ns_ = deadline_ns;
    if (deadline_ns <= platform_ops().now_ns()) {
      ring();
    } else {
      timer_start(bell_, deadline_ns);
    }
  }
  void ring() {
    ++rings_;
    missing_ = true;
    wake(rang_);
  }
  // Counts the rings since the last one that came by itself, and starts again.
  void count_missed() {
    if (!std::exchange(missing_, false) || interval_ns_ == 0) {
      return;
    }
    const u64 missed = (platform_ops().now_ns() - deadline_ns_) / interval_ns_;
    rings_ += missed;
    deadline_ns_ += (missed + 1) * interval_ns_;
    timer_start(bell_, deadline_ns_);  // even if that is past by now: it has to ring by itself
  }

  const bool wall_;
  Bell bell_;
  ClockSet clock_set_;
  u64 step_ns_ = 0;         // how far the clock was set when that was looked at last
  bool cancels_ = false;    // TFD_TIMER_CANCEL_ON_SET
  bool cancelled_ = false;  // and it was set
  u64 deadline_ns_ = 0;     // by the platform's clock: of the next ring, or the last one
  u64 interval_ns_ = 0;     // 0: rings once
  u64 rings_ = 0;           // since it was read
  bool missing_ = false;    // it rang, and what came after is not counted yet
  WaitQueue rang_;
};

TimerFile* timer_of(u64 descriptor, i64& error) {
  File* const file = file_of(descriptor);
  TimerFile* const timer = file == nullptr ? nullptr : anonymous_file<TimerFile>(*file);
  error = file == nullptr || file->path_only() ? -kEBADF : timer == nullptr ? -kEINVAL : 0;
  return timer;
}

}  // namespace

i64 sys_timerfd_create(const SyscallArgs& args) {
  constexpr u64 kRealtimeAlarm = 8, kBoottimeAlarm = 9;
  const u64 clock = args.a0 & 0xffff'ffff;
  const auto flags = static_cast<u32>(args.a1);
  const bool known = clock == kRealtime || clock == kMonotonic || clock == kBoottime ||
                     clock == kRealtimeAlarm || clock == kBoottimeAlarm;
  if ((flags & ~(kOpenNonBlock | kOpenCloseOnExec)) != 0 || !known) {
    return -kEINVAL;
  }
  return insert_anonymous<TimerFile>(flags, clock == kRealtimeAlarm ? u64{kRealtime} : clock);
}

i64 sys_timerfd_settime(const SyscallArgs& args) {
  constexpr u32 kAbsolute = 1, kCancelOnSet = 2;
  IntervalSpec wanted;
  if (const i64 error = get_user(wanted, args.a2); error != 0) {
    return error;
  }
  const auto flags = static_cast<u32>(args.a1);
  if ((flags & ~(kAbsolute | kCancelOnSet)) != 0 || !wanted.interval.valid() || !wanted.value.valid()) {
    return -kEINVAL;
  }
  i64 error = 0;
  TimerFile* const timer = timer_of(args.a0, error);
  if (error != 0) {
    return error;
  }
  const IntervalSpec old = timer->setting();
  if (const i64 cancelled = timer->set(wanted, (flags & kAbsolute) != 0, (flags & kCancelOnSet) != 0);
      cancelled != 0) {
    return cancelled;
  }
  return args.a3 != 0 ? put_user(args.a3, old) : 0;
}

i64 sys_timerfd_gettime(const SyscallArgs& args) {
  i64 error = 0;
  TimerFile* const timer = timer_of(args.a0, error);
  return error != 0 ? error : put_user(args.a1, timer->setting());
}

}  // namespace nopte::guest
