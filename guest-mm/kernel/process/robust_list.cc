// The list that a C library keeps of the robust mutexes it holds (uapi/linux/futex.h, Linux's
// Documentation/locking/robust-futexes.rst). Nothing of it can be trusted.
#include "guest-mm/kernel/process/robust_list.h"

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/futex/futex.h"
#include "guest-mm/kernel/futex/futex_locks.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u32 kMostEntries = 2048;  // ROBUST_LIST_LIMIT

// The address of an entry's link; bit 0 marks a word that is owned (futex_locks.h), whose waiters get it
// later.
struct Entry {
  u64 link;

  [[nodiscard]] u64 address() const { return link & ~u64{1}; }
  [[nodiscard]] bool inherits() const { return (link & 1) != 0; }
};

struct Head {
  Entry first;      // the head's own address when the list is empty
  i64 word_offset;  // from an entry to its mutex's word
  Entry pending;    // being locked or unlocked; 0: none
};
static_assert(sizeof(Head) == 24);

enum class Place { kListed, kPending };

// False: bad memory.
bool release_word(const Head& head, const Entry& entry, const Thread& self, Place place) {
  const u64 address = entry.address() + static_cast<u64>(head.word_offset);
  u32 word = 0;
  if (address % sizeof(word) != 0 || !arch::copy_from_user(&word, Gva{address}, sizeof(word))) {
    return false;
  }
  // Unlocked already, but perhaps nobody was woken yet.
  if (place == Place::kPending && !entry.inherits() && word == 0) {
    futex_wake_at_exit(address);
    return true;
  }
  if ((word & kFutexTidMask) != static_cast<u32>(self.tid)) {
    return true;
  }
  const u32 left = (word & kFutexWaiters) | kFutexOwnerDied;
  if (!arch::copy_to_user(Gva{address}, &left, sizeof(left))) {
    return false;
  }
  if (!entry.inherits() && (word & kFutexWaiters) != 0) {
    futex_wake_at_exit(address);
  }
  return true;
}

bool word_is_seen(const Thread& self) { return self.clear_child_tid != 0 && self.space->shared(); }

void release_robust_list(const Thread& self) {
  Head head;
  if (self.robust_list == 0 || !arch::copy_from_user(&head, Gva{self.robust_list}, sizeof(head))) {
    return;
  }
  Entry entry = head.first;
  for (u32 left = kMostEntries; left != 0 && entry.address() != self.robust_list; --left) {
    Entry next{};  // read first: who is woken may free the entry
    const bool more = arch::copy_from_user(&next, Gva{entry.address()}, sizeof(next)).has_value();
    if (entry.address() != head.pending.address() && !release_word(head, entry, self, Place::kListed)) {
      return;
    }
    if (!more) {
      return;
    }
    entry = next;
  }
  if (head.pending.address() != 0) {
    (void)release_word(head, head.pending, self, Place::kPending);
  }
}

}  // namespace

bool owes_words(const Thread& self) {
  Head head;
  return word_is_seen(self) || self.owns_futex_locks ||
         (self.robust_list != 0 && arch::copy_from_user(&head, Gva{self.robust_list}, sizeof(head)) &&
          (head.first.address() != self.robust_list || head.pending.address() != 0));
}

void settle_words(Thread& self) {
  release_robust_list(self);
  release_futex_locks(self);
  if (word_is_seen(self)) {
    const i32 zero = 0;
    if (arch::copy_to_user(Gva{self.clear_child_tid}, &zero, sizeof(zero))) {
      futex_wake_at_exit(self.clear_child_tid);
    }
  }
}

i64 sys_set_robust_list(const SyscallArgs& args) {
  if (args.a1 != sizeof(Head)) {
    return -kEINVAL;
  }
  current().robust_list = args.a0;
  return 0;
}

i64 sys_get_robust_list(const SyscallArgs& args) {
  const auto tid = static_cast<i32>(args.a0);
  const Thread* const thread = tid == 0 ? &current() : find_thread(tid);
  if (thread == nullptr) {
    return -kESRCH;
  }
  if (!may_inspect(*thread)) {
    return -kEPERM;
  }
  const u64 bytes = sizeof(Head);
  const bool written = arch::copy_to_user(Gva{args.a2}, &bytes, sizeof(bytes)).has_value() &&
                       arch::copy_to_user(Gva{args.a1}, &thread->robust_list, sizeof(u64)).has_value();
  return written ? 0 : -kEFAULT;
}

}  // namespace nopte::guest
