#include "guest-mm/kernel/files/events/event_poll.h"

#include <algorithm>

#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

constexpr u32 kMostSteps = 4;
constexpr u32 kTooFar = 1000;
constexpr u32 kFlags = kEdgeTriggered | kOneShot | kWakeUp | kExclusive;

u64 g_walk = 0;
// A wake goes to each EventPoll once, however many ways lead there.
u64 g_wave = 0;
u32 g_wave_depth = 0;

void watch_woken(WatchingWaiter& waiter) {
  auto& watch = static_cast<Watch&>(waiter);
  if ((watch.wanted & ~kFlags) != 0) {
    watch.owner.note_ready(watch);
  }
}

}  // namespace

void File::end() {
  while (first_watch != nullptr) {
    first_watch->owner.drop(*first_watch);
  }
  if (owner) [[unlikely]] {
    owner.reset();
  }
  delete this;
}

Watch::Watch(EventPoll& of, Key what, const PolledEvent& event)
    : WatchingWaiter(watch_woken),
      owner(of),
      key(what),
      wanted(event.events | kPollError | kPollHangUp),
      data(event.data),
      next_of_file(what.file->first_watch),
      link_of_file(&what.file->first_watch) {
  if (next_of_file != nullptr) {
    next_of_file->link_of_file = &next_of_file;
  }
  *link_of_file = this;
  ++owner.account().epoll_watches;
}

Watch::~Watch() {
  --owner.account().epoll_watches;
  *link_of_file = next_of_file;
  if (next_of_file != nullptr) {
    next_of_file->link_of_file = link_of_file;
  }
}

EventPoll::~EventPoll() {
  while (!watches_.empty()) {
    drop(*watches_.begin());
  }
}

void EventPoll::drop(Watch& watch) {
  if (watch.boost::intrusive::list_base_hook<>::is_linked()) {
    ready_.erase(ready_.iterator_to(watch));
  }
  watches_.erase(watches_.iterator_to(watch));
  delete &watch;
}

void EventPoll::note_ready(Watch& watch) {
  if (!watch.boost::intrusive::list_base_hook<>::is_linked()) {
    ready_.push_back(watch);
  }
  if (g_wave_depth == 0) {
    ++g_wave;
  } else if (wave_ == g_wave) {
    return;
  }
  wave_ = g_wave;
  ++g_wave_depth;
  wake(changed_);
  --g_wave_depth;
}

// A look at a file may wake others (a socket takes what was held back) and so note any watch as ready, this
// one too: it leaves the list before. What a look says is newer than what it noted.
u32 EventPoll::look_at_first(Watch*& first) {
  first = &ready_.front();
  ready_.pop_front();
  const u32 happened = first->happened();
  if (first->boost::intrusive::list_base_hook<>::is_linked()) {
    ready_.erase(ready_.iterator_to(*first));
  }
  return happened;
}

u32 EventPoll::poll() {
  while (!ready_.empty()) {
    Watch* watch = nullptr;
    if (look_at_first(watch) != 0) {
      ready_.push_front(*watch);
      return kPollIn | kPollReadNormal;
    }
  }
  return 0;
}

u32 EventPoll::distance(Way way, const EventPoll* avoided) { return distance_in(++g_walk, way, avoided); }

u32 EventPoll::distance_in(u64 walk, Way way, const EventPoll* avoided) {
  if (walk_ == walk) {
    return found_;
  }
  u32 most = 0;
  const auto step = [&](EventPoll& next) {
    most = std::max(most, &next == avoided ? kTooFar : next.distance_in(walk, way, avoided) + 1);
  };
  if (way == Way::kUp) {
    for (const Watch* watch = first_watch; watch != nullptr; watch = watch->next_of_file) {
      step(watch->owner);
    }
  } else {
    for (const Watch& watch : watches_) {
      if (auto* const next = anonymous_file<EventPoll>(*watch.key.file)) {
        step(*next);
      }
    }
  }
  walk_ = walk;
  found_ = most;
  return most;
}

i64 EventPoll::add(Watch::Key key, const PolledEvent& event) {
  WaitQueue* const queue = key.file->poll_queue();
  if (queue == nullptr) {
    return -kEPERM;
  }
  if (auto* const below = anonymous_file<EventPoll>(*key.file)) {
    const u32 down = below->distance(Way::kDown, this);
    if (down > kMostSteps || down + 1 + distance(Way::kUp, nullptr) > kMostSteps) {
      return -kELOOP;
    }
  }
  if (watches_.find(key) != watches_.end()) {
    return -kEEXIST;
  }
  if (account_->epoll_watches >= static_cast<u64>(g_most_epoll_watches)) {
    return -kENOSPC;
  }
  auto* const watch = make<Watch>(*this, key, event);
  if (watch == nullptr) {
    return -kENOMEM;
  }
  watches_.insert(*watch);
  queue->watch(*watch);
  if (watch->happened() != 0) {
    note_ready(*watch);
  }
  return 0;
}

i64 EventPoll::modify(Watch::Key key, const PolledEvent& event) {
  const auto found = watches_.find(key);
  if (found == watches_.end()) {
    return -kENOENT;
  }
  if ((found->wanted & kExclusive) != 0) {
    return -kEINVAL;
  }
  found->wanted = event.events | kPollError | kPollHangUp;
  found->data = event.data;
  if (found->happened() != 0) {
    note_ready(*found);
  }
  return 0;
}

i64 EventPoll::remove(Watch::Key key) {
  const auto found = watches_.find(key);
  if (found == watches_.end()) {
    return -kENOENT;
  }
  drop(*found);
  return 0;
}

i64 EventPoll::take_ready(u64 address, u64 most) {
  u64 done = 0;
  // Each once: what stays ready goes to the end, behind the others.
  for (u64 left = ready_.size(); left != 0 && done < most && !ready_.empty(); --left) {
    Watch* watch = nullptr;
    const u32 happened = look_at_first(watch);
    if (happened != 0) {
      const PolledEvent event{happened, watch->data};
      if (const i64 error = put_user(address + done * sizeof(event), event); error != 0) {
        ready_.push_front(*watch);
        return done != 0 ? static_cast<i64>(done) : error;
      }
      ++done;
    }
    if (happened != 0 && (watch->wanted & kOneShot) != 0) {
      watch->wanted &= kFlags;
    } else if (happened != 0 && (watch->wanted & kEdgeTriggered) == 0) {
      ready_.push_back(*watch);
    }
  }
  return static_cast<i64>(done);
}

i64 EventPoll::wait(u64 address, u64 most, u64 deadline_ns) {
  i64 taken = take_ready(address, most);
  while (taken == 0 && deadline_ns != 0) {
    const WakeReason reason = block_on(changed_, deadline_ns);
    taken = take_ready(address, most);
    if (taken == 0 && reason != WakeReason::kWoken) {
      return reason == WakeReason::kSignal ? -kEINTR : 0;
    }
  }
  return taken;
}

}  // namespace nopte::guest::files
