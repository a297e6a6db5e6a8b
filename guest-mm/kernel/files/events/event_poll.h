// epoll: a set of watched files (fs/eventpoll.c of Linux 6.12, epoll(7)).
//
//   file's poll_queue() --calls--> Watch --joins--> ready list of its EventPoll --wakes--> who waits there
//
// The ready list holds who may have something to tell; whether it has is looked at when somebody asks, so
// that a wait costs what became ready and not what is watched.
//
// Ownership: a watch is its EventPoll's. It holds no reference to the file, which ends its watches with its
// last reference. An EventPoll is a file that can be watched: such chains are short and without circles.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <compare>

#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/rights/user_account.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

class EventPoll;

// /proc/sys/fs/epoll/max_user_watches
inline constinit i64 g_most_epoll_watches = 0;
// As Linux: what fits into a twenty-fifth of memory, where each takes 192 bytes.
inline void set_epoll_limit(u64 memory_bytes) {
  g_most_epoll_watches = static_cast<i64>(memory_bytes / 25 / 192);
}

// struct epoll_event
struct [[gnu::packed]] PolledEvent {
  u32 events;
  u64 data;
};
static_assert(sizeof(PolledEvent) == 12);

inline constexpr u32 kEdgeTriggered = 1u << 31, kOneShot = 1u << 30, kWakeUp = 1u << 29,
                     kExclusive = 1u << 28;

struct Watch : HeapAllocated,
               WatchingWaiter,
               boost::intrusive::set_base_hook<>,
               boost::intrusive::list_base_hook<> {
  struct Key {
    File* file;
    i32 descriptor;  // as it was when the watch began
    auto operator<=>(const Key&) const = default;
  };
  Watch(EventPoll& owner, Key key, const PolledEvent& event);
  ~Watch();
  // Which of the wanted events hold now.
  [[nodiscard]] u32 happened() const { return key.file->poll() & wanted; }

  EventPoll& owner;
  const Key key;
  u32 wanted;  // with the flags; no event after a kOneShot
  u64 data;
  Watch* next_of_file;
  Watch** link_of_file;
};

class EventPoll final : public File {
 public:
  static constexpr AnonymousKind kKind = AnonymousKind::kEventPoll;

  EventPoll(Ref<Inode> inode, u32 flags, Ref<UserAccount> account)
      : File(std::move(inode), flags), account_(std::move(account)) {}
  ~EventPoll() override;

  u32 poll() override;
  WaitQueue* poll_queue() override { return &changed_; }

  // The descriptor is open as that file. 0; -EEXIST, -ENOENT, -EPERM (nothing that can be waited for),
  // -ELOOP, -ENOMEM, -ENOSPC (its user has as many as there may be), -EINVAL (of a watch that is exclusive);
  // unchanged then.
  i64 add(Watch::Key key, const PolledEvent& event);
  i64 modify(Watch::Key key, const PolledEvent& event);
  i64 remove(Watch::Key key);
  void drop(Watch& watch);
  // Writes up to `most` events to user memory, waiting for the first of them. Their number, 0 at the deadline
  // (0: no wait), -EINTR, -EFAULT.
  i64 wait(u64 address, u64 most, u64 deadline_ns);

  // The watch may have something to tell.
  void note_ready(Watch& watch);
  // Whose watches these are.
  [[nodiscard]] UserAccount& account() { return *account_; }

 private:
  struct KeyOf {
    using type = Watch::Key;
    const Watch::Key& operator()(const Watch& watch) const { return watch.key; }
  };
  enum class Way : bool { kDown, kUp };

  i64 take_ready(u64 address, u64 most);
  // Takes the first off the ready list, which is not empty. Its events that hold.
  u32 look_at_first(Watch*& first);
  // The most steps from here to an EventPoll in that direction; kTooFar when a way leads through `avoided`.
  u32 distance(Way way, const EventPoll* avoided);
  u32 distance_in(u64 walk, Way way, const EventPoll* avoided);

  Ref<UserAccount> account_;
  boost::intrusive::set<Watch, boost::intrusive::key_of_value<KeyOf>> watches_;
  boost::intrusive::list<Watch> ready_;
  WaitQueue changed_;  // woken when something may be ready
  u64 wave_ = 0;       // of the last wake
  u64 walk_ = 0;       // of distance(): the last one that came here, and what it found
  u32 found_ = 0;
};

}  // namespace nopte::guest::files
