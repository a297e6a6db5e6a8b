// inotify: instances that watch inodes and queue what happens to them (fs/notify/inotify of 6.12).
//
// A watch belongs to its instance.
#pragma once

#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/rights/user_account.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::files {

// /proc/sys/fs/inotify; instances and watches, of each user
struct InotifyLimits {
  i32 queued_events = 16384;
  i32 instances = 128;
  i32 watches = 65536;
};
inline constinit InotifyLimits g_inotify_limits;

class Inotify;

struct InotifyWatch final : InodeWatch {
  InotifyWatch(Inode& what, u32 wanted, Inotify& of, i32 its_number);
  ~InotifyWatch() override;
  void tell(u32 event, u32 cookie, std::string_view name) override;
  void inode_ends() override;

  Inotify& instance;
  const i32 number;
  InotifyWatch* next_of_instance = nullptr;
};

// struct inotify_event; the name follows, with zeros up to a multiple of it.
struct InotifyEvent {
  i32 watch = -1;
  u32 mask = 0;
  u32 cookie = 0;
  u32 name_bytes = 0;
};
static_assert(sizeof(InotifyEvent) == 16);

class Inotify final : public File {
 public:
  Inotify(Ref<Inode> inode, u32 flags, Ref<UserAccount> account);

  Inotify* as_inotify() override { return this; }
  [[nodiscard]] bool splices_out() const override { return false; }
  i64 read(IoBuffer to, u64 bytes, u64 offset) override;
  i64 ioctl(u32 request, u64 argument) override;
  void add_info(TextBuilder& out) const override;
  u32 poll() override { return first_ != nullptr ? kPollIn | kPollReadNormal : 0; }
  [[nodiscard]] bool signals_events() const override { return true; }
  WaitQueue* poll_queue() override { return &arrived_; }

  // As inotify_add_watch(2): the watch's number, or a negative errno.
  i64 add(Inode& inode, u32 mask);
  // -EINVAL: no such watch.
  i64 remove(i32 number);
  // Whose it is, and whose watches.
  [[nodiscard]] UserAccount& account() { return *account_; }
  // Takes a watch away, and says so.
  void drop(InotifyWatch& watch);
  // An event that the watch asked for.
  void tell(InotifyWatch& watch, u32 event, u32 cookie, std::string_view name);

 private:
  struct Queued {
    Queued* next = nullptr;
    InotifyEvent event;  // the name follows
    [[nodiscard]] char* name() { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] u64 bytes() const { return sizeof(event) + event.name_bytes; }
  };

  ~Inotify() override;
  void queue(const InotifyEvent& event, std::string_view name);
  void append(Queued& queued);
  // Frees the first one.
  void pop();
  // Takes it out of both lists.
  void forget(InotifyWatch& watch);

  Ref<UserAccount> account_;
  InotifyWatch* watches_ = nullptr;
  i32 last_number_ = 0;
  Queued* first_ = nullptr;
  Queued* last_ = nullptr;
  i32 queued_ = 0;
  Queued overflow_;  // queued at most once, and never allocated
  bool overflowed_ = false;
  WaitQueue arrived_;
};

// flags: kOpenNonBlock. Errors: kEMFILE, kENOMEM.
ErrnoOr<Ref<File>> make_inotify(u32 flags);

}  // namespace nopte::guest::files
