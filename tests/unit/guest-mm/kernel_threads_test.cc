// Threads: who shares what, who gets a signal, how they end, what is left when memory is short. Hosted.
#include "guest-mm/kernel/process/clone_request.h"
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

constexpr u64 kThreadFlags = kCloneVm | kCloneFs | kCloneFiles | kCloneSighand | kCloneThread | kCloneSysvsem;

// Runs `body` in each thread that is made from now on, and ends it.
void run_in_threads(std::function<void()> body) {
  kernel().arch.user = [body = std::move(body)](UserRegisters&) {
    body();
    exit_thread(0);
  };
}
Thread& start_thread(u64 flags = kThreadFlags) {
  const i64 tid = call(sys_clone, flags);
  EXPECT_GT(tid, 0);
  return *find_thread(static_cast<i32>(tid));
}
void let_all_end() {
  constexpr int kMostTurns = 1000;
  for (int turns = 0; current_process().live_threads > 1; ++turns) {
    ASSERT_LT(turns, kMostTurns) << "a thread does not end";
    yield();
  }
}

void threads_share_and_leave() {
  const Thread& first = current();
  std::vector<i32> seen;
  run_in_threads([&] {
    const Thread& self = current();
    EXPECT_EQ(self.process, first.process);
    EXPECT_EQ(self.space, first.space);
    EXPECT_EQ(self.files, first.files);
    EXPECT_EQ(self.directories, first.directories);
    EXPECT_EQ(call(sys_getpid), first.process->pid);
    EXPECT_EQ(call(sys_gettid), self.tid);
    seen.push_back(self.tid);
  });
  const i32 a = start_thread().tid;
  const i32 b = start_thread().tid;
  EXPECT_EQ(current_process().live_threads, 3u);
  EXPECT_EQ(thread_count(), 3u);
  let_all_end();
  EXPECT_EQ(seen, (std::vector{a, b}));
  EXPECT_EQ(find_thread(a), nullptr);
  EXPECT_FALSE(first.files->table_shared());
  EXPECT_FALSE(first.space->shared());
  EXPECT_EQ(call(sys_wait4, ~u64{0}, 0, 0x4000'0000 /* __WALL */), -kECHILD);
}

// Every allocation that a kind of clone makes fails once.
void clone_fails_cleanly() {
  for (const u64 flags : {kThreadFlags, u64{kSIGCHLD}, kCloneFiles | kSIGCHLD, kCloneFs | kSIGCHLD,
                          kThreadFlags & ~kCloneFiles, kThreadFlags & ~kCloneFs,
                          kThreadFlags & ~kCloneFs & ~kCloneFiles, kCloneVm | kCloneSighand | kSIGCHLD}) {
    run_in_threads([] {});
    const Thread& self = current();
    for (u64 nth = 1;; ++nth) {
      kernel().mm.fail_at(nth);
      const i64 result = call(sys_clone, flags);
      const bool failed = kernel().mm.failed();
      kernel().mm.fail_at(0);
      if (!failed) {
        EXPECT_GT(result, 0);
        break;
      }
      EXPECT_EQ(result, -kENOMEM) << nth;
      EXPECT_EQ(thread_count(), 1u);
      EXPECT_EQ(self.process->live_threads, 1u);
      EXPECT_EQ(self.process->first_child, nullptr);
      EXPECT_FALSE(self.files->table_shared());
      EXPECT_FALSE(self.space->shared());
    }
    let_all_end();
    Kernel::wait_all();
    EXPECT_EQ(thread_count(), 1u) << std::hex << flags;
    unshare_signal_actions(*self.process);
  }
}

// The heap's free pieces of a size are taken while it lives, and it cannot grow.
class DrainedHeap {
 public:
  // But for `left` of each.
  explicit DrainedHeap(u64 left) {
    constexpr u64 kSizes[] = {sizeof(files::ProcessFiles), sizeof(SignalAction) * kSignals + sizeof(u64)};
    std::vector<Piece> spare;
    for (const u64 bytes : kSizes) {
      for (u64 taken = 0; taken < left; ++taken) spare.push_back({heap_alloc(bytes), bytes});
    }
    kernel().mm.forbid_kmem(true);
    for (const u64 bytes : kSizes) {
      while (void* const piece = heap_alloc(bytes)) pieces_.push_back({piece, bytes});
    }
    for (const Piece& piece : spare) heap_free(piece.at, piece.bytes);
  }
  ~DrainedHeap() {
    for (const Piece& piece : pieces_) heap_free(piece.at, piece.bytes);
    kernel().mm.forbid_kmem(false);
  }
  DrainedHeap(const DrainedHeap&) = delete;
  DrainedHeap& operator=(const DrainedHeap&) = delete;

 private:
  struct Piece {
    void* at;
    u64 bytes;
  };
  std::vector<Piece> pieces_;
};

// The same for pieces of the heap: with 0, 1, 2 … of them left.
void clone_fails_cleanly_without_heap() {
  for (const u64 flags : {kCloneFiles | kSIGCHLD, kCloneFs | kSIGCHLD, kThreadFlags & ~kCloneFiles,
                          kThreadFlags & ~kCloneFs, kThreadFlags & ~kCloneFs & ~kCloneFiles,
                          kCloneVm | kCloneFs | kCloneFiles | kCloneSighand | kSIGCHLD}) {
    run_in_threads([] {});
    const Thread& self = current();
    i64 result = 0;
    for (u64 left = 0; result <= 0; ++left) {
      ASSERT_LT(left, 64u) << std::hex << flags;
      {
        const DrainedHeap drained(left);
        result = call(sys_clone, flags);
      }
      EXPECT_TRUE(left != 0 || result == -kENOMEM) << std::hex << flags;
      if (result <= 0) {
        EXPECT_EQ(result, -kENOMEM);
        EXPECT_EQ(thread_count(), 1u);
        EXPECT_EQ(self.process->live_threads, 1u);
        EXPECT_EQ(self.process->first_child, nullptr);
        EXPECT_FALSE(self.files->table_shared());
        EXPECT_FALSE(self.space->shared());
      }
    }
    let_all_end();
    Kernel::wait_all();
    EXPECT_EQ(thread_count(), 1u) << std::hex << flags;
    unshare_signal_actions(*self.process);
  }
}

// No slot at all.
void no_room_for_a_thread() {
  run_in_threads([] {});
  kernel().mm.forbid_kmem(true);
  i64 result = 0;
  u64 made = 0;
  while ((result = call(sys_clone, kThreadFlags)) > 0) {
    ASSERT_LT(++made, 10'000u);
  }
  EXPECT_EQ(result, -kENOMEM);
  EXPECT_EQ(thread_count(), made + 1);
  kernel().mm.forbid_kmem(false);
  let_all_end();
  EXPECT_EQ(thread_count(), 1u);
}

// As many as there may be, and again.
void a_bomb_leaves_nothing() {
  constexpr u64 kMost = 50;
  set_thread_limit(kMost * 8 * pages_to_bytes(arch::kKernelStackPages));
  run_in_threads([] {});
  for (int round = 0; round < 3; ++round) {
    i64 result = 0;
    while ((result = call(sys_clone, kThreadFlags)) > 0) {
      ASSERT_LE(thread_count(), kMost);
    }
    EXPECT_EQ(result, -kEAGAIN);
    EXPECT_EQ(thread_count(), kMost);
    EXPECT_EQ(call(sys_fork), -kEAGAIN);
    // After the first round nothing more is taken from memory.
    kernel().mm.forbid_kmem(true);
    let_all_end();
    EXPECT_EQ(thread_count(), 1u);
  }
  kernel().mm.forbid_kmem(false);
  set_thread_limit(u64{1} << 40);
}

void signals_find_who_takes_them() {
  Process& process = current_process();
  (*process.signals.actions)[kSIGUSR1].handler = 0x40'2000;
  set_blocked_signals(current(), signal_bit(kSIGUSR1));
  WaitQueue queue;
  Log log;
  run_in_threads([&] {
    log.push_back(block_on(queue) == WakeReason::kSignal ? "signal" : "woken");
    process.signals.pending.set = 0;
  });
  Thread& blocking = start_thread();
  set_blocked_signals(blocking, signal_bit(kSIGUSR1));
  Thread& open = start_thread();
  set_blocked_signals(open, 0);
  yield();
  send_signal(process, kSIGUSR1);
  EXPECT_TRUE(open.signal_ready);
  EXPECT_FALSE(blocking.signal_ready);
  EXPECT_FALSE(current().signal_ready);
  yield();
  EXPECT_EQ(log, (Log{"signal"}));

  // Nobody takes it; then one does.
  send_signal(process, kSIGUSR1);
  EXPECT_FALSE(blocking.signal_ready);
  set_blocked_signals(blocking, 0);
  EXPECT_TRUE(blocking.signal_ready);
  process.signals.pending.set = 0;
  refresh_signals(blocking);
  wake(queue);
  let_all_end();
  EXPECT_EQ(log, (Log{"signal", "woken"}));
  (*process.signals.actions)[kSIGUSR1].handler = SignalAction::kDefault;
  set_blocked_signals(current(), 0);
}

// Who was to take it blocks it first: another one does.
void blocked_signals_find_another() {
  Process& process = current_process();
  (*process.signals.actions)[kSIGUSR1].handler = 0x40'2000;
  WaitQueue queue;
  bool interrupted = false;
  run_in_threads([&] {
    interrupted = block_on(queue) == WakeReason::kSignal;
    process.signals.pending.set = 0;
  });
  start_thread();
  yield();
  send_signal(process, kSIGUSR1);
  EXPECT_TRUE(current().signal_ready);
  set_blocked_signals(current(), signal_bit(kSIGUSR1));
  EXPECT_FALSE(current().signal_ready);
  let_all_end();
  EXPECT_TRUE(interrupted);
  (*process.signals.actions)[kSIGUSR1].handler = SignalAction::kDefault;
  set_blocked_signals(current(), 0);
}

// The signal that one was told of another took: there is nothing to deliver, and the call goes on.
void taken_signals_are_no_more() {
  Thread& self = current();
  (*self.process->signals.actions)[kSIGUSR1].handler = 0x40'2000;
  send_signal(*self.process, kSIGUSR1);
  EXPECT_TRUE(self.signal_ready);
  self.process->signals.pending.set = 0;
  EXPECT_FALSE(signal_pending());
  self.signal_ready = true;
  leave_kernel(*self.registers);
  EXPECT_FALSE(self.signal_ready);
  (*self.process->signals.actions)[kSIGUSR1].handler = SignalAction::kDefault;
}

// A child process of three threads, whose leader ends first.
void a_process_ends_with_its_last_thread() {
  WaitQueue queue;
  Log log;
  run_in_threads([&] {
    block_on(queue);
    log.emplace_back("thread");
  });
  const i32 pid = kernel()
                      .spawn([&] {
                        start_thread();
                        start_thread();
                        log.emplace_back("leader");
                        exit_thread(9 << 8);
                        return 0;
                      })
                      .pid;
  yield();
  yield();
  constexpr u64 kNoHang = 1;
  i32 status = -1;
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status), kNoHang), 0);
  EXPECT_EQ(find_process(pid)->live_threads, 2u);
  wake(queue);
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status)), pid);
  EXPECT_EQ(status, 0);  // the last one's
  EXPECT_EQ(log, (Log{"leader", "thread", "thread"}));
}

void all_end_together() {
  WaitQueue queue;
  run_in_threads([&] {
    block_on(queue);
    leave_kernel(*current().registers);
    ADD_FAILURE() << "goes on";
  });
  const i32 pid = kernel()
                      .spawn([&] {
                        start_thread();
                        start_thread();
                        yield();
                        return 4;
                      })
                      .pid;
  i32 status = -1;
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status)), pid);
  EXPECT_EQ(status, 4 << 8);
  EXPECT_TRUE(queue.empty());
}

}  // namespace

std::span<const Scenario> thread_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"threads share and leave", threads_share_and_leave},
      {"clone fails cleanly", clone_fails_cleanly},
      {"clone fails cleanly without heap", clone_fails_cleanly_without_heap},
      {"no room for a thread", no_room_for_a_thread},
      {"a bomb leaves nothing", a_bomb_leaves_nothing},
      {"signals find who takes them", signals_find_who_takes_them},
      {"blocked signals find another", blocked_signals_find_another},
      {"taken signals are no more", taken_signals_are_no_more},
      {"a process ends with its last thread", a_process_ends_with_its_last_thread},
      {"all end together", all_end_together},
  };
  return kScenarios;
}

}  // namespace nopte::guest
