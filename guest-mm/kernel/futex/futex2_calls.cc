// futex_waitv, futex_wake, futex_wait, futex_requeue: futexes by flags of their own (kernel/futex/syscalls.c
// of Linux 6.12).
#include <new>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/futex/futex_words.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u32 kSizeMask = 3, kSize32 = 2, kPrivate = 128;
constexpr u32 kWallClock = 0, kMonotonicClock = 1;

// struct futex_waitv.
struct WordToAwait {
  u64 value;
  u64 address;
  u32 flags;
  u32 reserved;
};

// Words of 32 bits are all that there are.
bool valid(u32 flags) { return (flags & ~(kSizeMask | kPrivate)) == 0 && (flags & kSizeMask) == kSize32; }
bool fits(u64 value) { return value <= 0xffff'ffff; }
FutexScope scope_of(u32 flags) {
  return (flags & kPrivate) != 0 ? FutexScope::kPrivate : FutexScope::kShared;
}

bool valid(const WordToAwait& word) { return valid(word.flags) && word.reserved == 0 && fits(word.value); }

i64 load_deadline(u64 address, u64 clock, FutexDeadline& deadline) {
  const auto number = static_cast<u32>(clock);
  if (address != 0 && number != kWallClock && number != kMonotonicClock) {
    return -kEINVAL;
  }
  return load_futex_deadline(address, number == kWallClock ? FutexClock::kWall : FutexClock::kMonotonic,
                             deadline);
}

// One word of several, while it is waited for.
struct Awaited {
  Awaited(FutexKey key, u32 bits) : waiter(std::move(key), bits) { waiter.queue.add(place); }
  FutexWaiter waiter;
  Waiter place;
};

// As many as are made; they end with it.
class AwaitedWords {
 public:
  explicit AwaitedWords(u64 most) : storage_(most * sizeof(Awaited)) {}
  ~AwaitedWords() {
    while (count_ != 0) at(--count_).~Awaited();
  }
  AwaitedWords(const AwaitedWords&) = delete;
  AwaitedWords& operator=(const AwaitedWords&) = delete;
  explicit operator bool() const { return static_cast<bool>(storage_); }
  void add(FutexKey key) { new (&at(count_++)) Awaited(std::move(key), kAnyFutexBit); }
  // The number of the first one that was woken; -1: none was.
  [[nodiscard]] i64 woken() const {
    for (u64 i = 0; i < count_; ++i) {
      if (at(i).waiter.woken) return static_cast<i64>(i);
    }
    return -1;
  }

 private:
  [[nodiscard]] Awaited& at(u64 index) const { return reinterpret_cast<Awaited*>(storage_.data())[index]; }
  HeapBuffer storage_;
  u64 count_ = 0;
};

// Nothing runs between the look at the first word and the sleep.
i64 await_one_of(const WordToAwait* words, u64 count, const FutexDeadline& deadline) {
  AwaitedWords awaited(count);
  if (!awaited) {
    return -kENOMEM;
  }
  for (u64 i = 0; i < count; ++i) {
    Result<FutexKey> key = futex_key_of(words[i].address, scope_of(words[i].flags));
    if (!key) {
      return to_errno(key.error());
    }
    awaited.add(std::move(*key));
  }
  for (u64 i = 0; i < count; ++i) {
    u32 value = 0;
    if (const i64 error = load_futex_word(words[i].address, value); error != 0) {
      return error;
    }
    if (value != static_cast<u32>(words[i].value)) {
      return -kEAGAIN;
    }
  }
  const FutexClockWatch set(deadline);
  for (;;) {
    const WakeReason reason = sleep_until(deadline.at());
    if (const i64 woken = awaited.woken(); woken >= 0) {
      return woken;
    }
    if (reason != WakeReason::kWoken) {
      return reason == WakeReason::kTimeout ? -kETIMEDOUT : -kERESTARTSYS;
    }
  }
}

}  // namespace

i64 sys_futex_waitv(const SyscallArgs& args) {
  constexpr u64 kMost = 128;
  const u64 count = args.a1 & 0xffff'ffff;
  if ((args.a2 & 0xffff'ffff) != 0 || count == 0 || count > kMost || args.a0 == 0) {
    return -kEINVAL;
  }
  FutexDeadline deadline;
  if (const i64 error = load_deadline(args.a3, args.a4, deadline); error != 0) {
    return error;
  }
  const HeapBuffer storage(count * sizeof(WordToAwait));
  if (!storage) {
    return -kENOMEM;
  }
  auto* const words = reinterpret_cast<WordToAwait*>(storage.data());
  for (u64 i = 0; i < count; ++i) {
    if (const i64 error = files::get_user(words[i], args.a0 + i * sizeof(WordToAwait)); error != 0) {
      return error;
    }
    if (!valid(words[i])) {
      return -kEINVAL;
    }
  }
  return await_one_of(words, count, deadline);
}

i64 sys_futex_wake(const SyscallArgs& args) {
  const auto flags = static_cast<u32>(args.a3);
  const auto most = static_cast<i32>(args.a2);
  if (!valid(flags) || !fits(args.a1)) {
    return -kEINVAL;
  }
  // Unlike FUTEX_WAKE, none is none; but the word has to be one.
  const i64 woken =
      most == 0 ? 0 : wake_futex_word(args.a0, scope_of(flags), most, static_cast<u32>(args.a1));
  if (most != 0 || args.a1 == 0) {
    return args.a1 == 0 ? -kEINVAL : woken;
  }
  const Result<FutexKey> key = futex_key_of(args.a0, scope_of(flags));
  return key ? 0 : to_errno(key.error());
}

i64 sys_futex_wait(const SyscallArgs& args) {
  const auto flags = static_cast<u32>(args.a3);
  if (!valid(flags) || !fits(args.a1) || !fits(args.a2)) {
    return -kEINVAL;
  }
  FutexWait request{.address = args.a0,
                    .scope = scope_of(flags),
                    .expected = static_cast<u32>(args.a1),
                    .bits = static_cast<u32>(args.a2),
                    .deadline = {}};
  if (const i64 error = load_deadline(args.a4, args.a5, request.deadline); error != 0) {
    return error;
  }
  const i64 answer = wait_for_futex(request);
  // Its deadline is absolute: it is simply called again.
  return answer == -kERESTART_RESTARTBLOCK ? -kERESTARTSYS : answer;
}

i64 sys_futex_requeue(const SyscallArgs& args) {
  if ((args.a1 & 0xffff'ffff) != 0 || args.a0 == 0) {
    return -kEINVAL;
  }
  WordToAwait words[2];
  for (u64 i = 0; i < 2; ++i) {
    if (const i64 error = files::get_user(words[i], args.a0 + i * sizeof(WordToAwait)); error != 0) {
      return error;
    }
    if (!valid(words[i])) {
      return -kEINVAL;
    }
  }
  if (words[0].flags != words[1].flags) {
    return -kEINVAL;
  }
  return requeue_futex({.from = words[0].address,
                        .from_scope = scope_of(words[0].flags),
                        .to = words[1].address,
                        .to_scope = scope_of(words[1].flags),
                        .wake_most = static_cast<i32>(args.a2),
                        .move_most = static_cast<i32>(args.a3),
                        .compares = true,
                        .expected = static_cast<u32>(words[0].value)});
}

}  // namespace nopte::guest
