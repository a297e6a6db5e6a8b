#include "guest-mm/kernel/files/inotify.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/scheduler.h"

namespace nopte::guest::files {

namespace {

constexpr u32 kOverflowed = 0x4000, kIgnored = 0x8000;
constexpr u32 kExclUnlink = 0x400'0000, kMaskCreate = 0x1000'0000, kMaskAdd = 0x2000'0000,
              kOneShot = 0x8000'0000;
constexpr u32 kFionread = 0x541b;

i32 g_instances = 0;

class InotifyInode final : public Inode {
 public:
  InotifyInode() : Inode(0600) {}
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kENXIO); }
};

}  // namespace

Inotify::Inotify(Ref<Inode> inode, u32 flags) : File(std::move(inode), flags | kOpenReadOnly) {
  overflow_.event.mask = kOverflowed;
  ++g_instances;
}

Inotify::~Inotify() {
  while (watches_ != nullptr) {
    InotifyWatch* const watch = watches_;
    forget(*watch);
    delete watch;
  }
  while (first_ != nullptr) {
    pop();
  }
  --g_instances;
}

i64 Inotify::read(IoBuffer to, u64 bytes, u64) {
  u64 done = 0;
  for (;;) {
    if (first_ == nullptr) {
      if (done != 0) {
        return static_cast<i64>(done);
      }
      if (non_blocking()) {
        return -kEAGAIN;
      }
      if (block_on(arrived_) == WakeReason::kSignal) {
        return -kERESTARTSYS;
      }
      continue;
    }
    const u64 needed = first_->bytes();
    if (bytes - done < needed) {
      return done != 0 ? static_cast<i64>(done) : -kEINVAL;
    }
    const IoBuffer::Copied copied = to.after(done).put(&first_->event, needed);
    pop();
    if (copied.status != Status::kOk) {
      return to_errno(copied.status);
    }
    done += needed;
  }
}

i64 Inotify::ioctl(u32 request, u64 argument) {
  if (request != kFionread) {
    return -kENOTTY;
  }
  u64 bytes = 0;
  for (const Queued* at = first_; at != nullptr; at = at->next) {
    bytes += at->bytes();
  }
  return put_user(argument, static_cast<i32>(bytes));
}

i64 Inotify::add(Inode& inode, u32 mask) {
  constexpr u32 kKept = kAllEvents | kExclUnlink | kOneShot;
  for (InotifyWatch* watch = inode.watches; watch != nullptr; watch = watch->next_of_inode) {
    if (watch->instance == this) {
      if ((mask & kMaskCreate) != 0) {
        return -kEEXIST;
      }
      watch->mask = (mask & kKept) | ((mask & kMaskAdd) != 0 ? watch->mask : 0);
      return watch->number;
    }
  }
  if (g_watches >= static_cast<u32>(g_inotify_limits.watches)) {
    return -kENOSPC;
  }
  UniquePtr<InotifyWatch> watch = make_unique<InotifyWatch>();
  if (!watch) {
    return -kENOMEM;
  }
  watch->inode = &inode;
  watch->instance = this;
  watch->number = ++last_number_;
  watch->mask = mask & kKept;
  if (inode.device_of_file_system() != kFileSystemDevice) {
    watch->held = Ref<Inode>(&inode);
  }
  watch->next_of_inode = std::exchange(inode.watches, watch.get());
  watch->next_of_instance = std::exchange(watches_, watch.get());
  ++g_watches;
  return watch.release()->number;
}

i64 Inotify::remove(i32 number) {
  for (InotifyWatch* watch = watches_; watch != nullptr; watch = watch->next_of_instance) {
    if (watch->number == number) {
      drop(*watch);
      return 0;
    }
  }
  return -kEINVAL;
}

void Inotify::forget(InotifyWatch& watch) {
  InotifyWatch** link = &watch.inode->watches;
  while (*link != &watch) {
    link = &(*link)->next_of_inode;
  }
  *link = watch.next_of_inode;
  link = &watches_;
  while (*link != &watch) {
    link = &(*link)->next_of_instance;
  }
  *link = watch.next_of_instance;
  --g_watches;
}

void Inotify::drop(InotifyWatch& watch) {
  forget(watch);
  queue({.watch = watch.number, .mask = kIgnored}, {});
  delete &watch;
}

void Inotify::tell(InotifyWatch& watch, u32 event, u32 cookie, std::string_view name) {
  const bool once = (watch.mask & kOneShot) != 0;
  queue({.watch = watch.number, .mask = event, .cookie = cookie}, name);
  if (once) {
    drop(watch);
  }
}

// As Linux: one that equals the last is not queued again, whatever its cookie.
void Inotify::queue(const InotifyEvent& event, std::string_view name) {
  constexpr u64 kUnit = sizeof(InotifyEvent);
  const u64 name_bytes = name.empty() ? 0 : (name.size() + 1 + kUnit - 1) / kUnit * kUnit;
  if (last_ != nullptr && event.mask != kIgnored && last_->event.mask == event.mask &&
      last_->event.watch == event.watch && last_->event.name_bytes == name_bytes &&
      (name.empty() || name == last_->name())) {
    return;
  }
  void* const memory =
      queued_ < g_inotify_limits.queued_events ? heap_alloc(sizeof(Queued) + name_bytes) : nullptr;
  if (memory == nullptr) {
    if (!std::exchange(overflowed_, true)) {
      append(overflow_);
    }
    return;
  }
  auto* const queued = new (memory) Queued{.event = event};
  queued->event.name_bytes = static_cast<u32>(name_bytes);
  std::memset(queued->name(), 0, name_bytes);
  std::memcpy(queued->name(), name.data(), name.size());
  append(*queued);
}

void Inotify::append(Queued& queued) {
  queued.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &queued;
  last_ = &queued;
  ++queued_;
  wake(arrived_);
}

void Inotify::pop() {
  Queued* const queued = first_;
  first_ = queued->next;
  last_ = first_ != nullptr ? last_ : nullptr;
  --queued_;
  if (queued == &overflow_) {
    overflowed_ = false;
  } else {
    heap_free(queued, sizeof(Queued) + queued->event.name_bytes);
  }
}

ErrnoOr<Ref<File>> make_inotify(u32 flags) {
  if (g_instances >= g_inotify_limits.instances) {
    return ErrnoFail(kEMFILE);
  }
  Ref<Inode> inode = make_counted<InotifyInode>();
  Ref<File> file = inode ? Ref<File>(make_counted<Inotify>(std::move(inode), flags)) : Ref<File>();
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

namespace {

void send(Inode& inode, u32 event, u32 cookie, std::string_view name) {
  for (InotifyWatch* watch = inode.watches; watch != nullptr;) {
    InotifyWatch* const next = watch->next_of_inode;
    if ((watch->mask & event & kAllEvents) != 0) {
      watch->instance->tell(*watch, event, cookie, name);
    }
    watch = next;
  }
}

}  // namespace

void notify_watches(Inode& inode, u32 event) {
  constexpr u32 kOnChildren = kAccessed | kModified | kAttributes | kClosedWritable | kClosedOther | kOpened;
  const u32 told = event | (inode.is_directory() ? kIsDirectory : 0);
  Directory* const parent = inode.parent;
  std::string_view name;
  if ((event & kOnChildren) != 0 && parent != nullptr && parent != &inode && parent->watches != nullptr &&
      parent->entry_name(inode, name)) {
    send(*parent, told, 0, name);
  }
  send(inode, told, 0, {});
}

void notify_own_watches(Inode& inode, u32 event) { send(inode, event, 0, {}); }

void notify_watches_of_entry(Inode& directory, std::string_view name, u32 event, u32 cookie) {
  send(directory, event, cookie, name);
}

void notify_watches_of_move(Inode& moved, Inode& from, std::string_view name, Inode& to,
                            std::string_view new_name, Inode* replaced) {
  static u32 last_cookie = 0;
  const u32 cookie = ++last_cookie;
  const u32 kind = moved.is_directory() ? kIsDirectory : 0;
  send(from, kMovedFrom | kind, cookie, name);
  send(to, kMovedTo | kind, cookie, new_name);
  if (replaced != nullptr) {
    send(*replaced, kAttributes | kind, 0, {});
  }
  send(moved, kMovedSelf, 0, {});
}

void drop_watches(Inode& inode) {
  send(inode, kDeletedSelf, 0, {});
  while (inode.watches != nullptr) {
    inode.watches->instance->drop(*inode.watches);
  }
}

}  // namespace nopte::guest::files
