#include "guest-mm/kernel/files/events/inotify.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "guest-mm/kernel/files/proc/text_builder.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

constexpr u32 kOverflowed = 0x4000, kIgnored = 0x8000;
constexpr u32 kMaskCreate = 0x1000'0000, kMaskAdd = 0x2000'0000, kOneShot = 0x8000'0000;
constexpr u32 kFionread = 0x541b;

class InotifyInode final : public Inode {
 public:
  InotifyInode() : Inode(0600) {}
  [[nodiscard]] u64 device_of_file_system() const override { return kAnonymousDevice; }
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kENXIO); }
};

}  // namespace

InotifyWatch::InotifyWatch(Inode& what, u32 wanted, Inotify& of, i32 its_number)
    : InodeWatch(what, wanted), instance(of), number(its_number) {
  ++of.account().inotify_watches;
}
InotifyWatch::~InotifyWatch() { --instance.account().inotify_watches; }

void InotifyWatch::tell(u32 event, u32 cookie, std::string_view name) {
  instance.tell(*this, event, cookie, name);
}
void InotifyWatch::inode_ends() { instance.drop(*this); }

Inotify::Inotify(Ref<Inode> inode, u32 flags, Ref<UserAccount> account)
    : File(std::move(inode), flags | kOpenReadOnly), account_(std::move(account)) {
  overflow_.event.mask = kOverflowed;
  ++account_->inotify_instances;
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
  --account_->inotify_instances;
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

// As show_mark_fhandle and its kin of fs/notify/fdinfo.c, without the handle.
void Inotify::add_info(TextBuilder& out) const {
  for (const InotifyWatch* watch = watches_; watch != nullptr; watch = watch->next_of_instance) {
    const auto hex = [](u64 value) { return TextBuilder::Hex{value, 1}; };
    out.add("inotify wd:", hex(static_cast<u32>(watch->number)), " ino:", hex(watch->inode.number),
            " sdev:", hex(watch->inode.device_of_file_system()), " mask:", hex(watch->mask),
            " ignored_mask:0 \n");
  }
}

i64 Inotify::add(Inode& inode, u32 mask) {
  constexpr u32 kKept = kAllEvents | kExclUnlink | kOneShot;
  for (InotifyWatch* watch = watches_; watch != nullptr; watch = watch->next_of_instance) {
    if (&watch->inode == &inode) {
      if ((mask & kMaskCreate) != 0) {
        return -kEEXIST;
      }
      watch->mask = (mask & kKept) | ((mask & kMaskAdd) != 0 ? watch->mask : 0);
      return watch->number;
    }
  }
  if (account_->inotify_watches >= static_cast<u32>(g_inotify_limits.watches)) {
    return -kENOSPC;
  }
  auto* const watch = make<InotifyWatch>(inode, mask & kKept, *this, last_number_ + 1);
  if (watch == nullptr) {
    return -kENOMEM;
  }
  watch->next_of_instance = std::exchange(watches_, watch);
  return ++last_number_;
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
  InotifyWatch** link = &watches_;
  while (*link != &watch) {
    link = &(*link)->next_of_instance;
  }
  *link = watch.next_of_instance;
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
  Ref<UserAccount> account = UserAccount::of(identity().user.effective);
  if (account && account->inotify_instances >= static_cast<u32>(g_inotify_limits.instances)) {
    return ErrnoFail(kEMFILE);
  }
  Ref<Inode> inode = account ? make_counted<InotifyInode>() : Ref<InotifyInode>();
  Ref<File> file =
      inode ? Ref<File>(make_counted<Inotify>(std::move(inode), flags, std::move(account))) : Ref<File>();
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

}  // namespace nopte::guest::files
