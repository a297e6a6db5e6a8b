#include "guest-mm/kernel/files/notify.h"

#include <utility>

namespace nopte::guest::files {

InodeWatch::InodeWatch(Inode& what, u32 wanted)
    : inode(what), mask(wanted), next_of_inode(std::exchange(what.watches, this)) {
  if (!inode.in_tmpfs()) {
    held_ = Ref<Inode>(&inode);
  }
  ++g_watches;
}

InodeWatch::~InodeWatch() {
  InodeWatch** link = &inode.watches;
  while (*link != this) {
    link = &(*link)->next_of_inode;
  }
  *link = next_of_inode;
  --g_watches;
}

namespace {

void send(Inode& inode, u32 event, u32 cookie, std::string_view name) {
  for (InodeWatch* watch = inode.watches; watch != nullptr;) {
    InodeWatch* const next = watch->next_of_inode;
    if ((watch->mask & event & (kAllEvents | kRenamed)) != 0) {
      watch->tell(event, cookie, name);
    }
    watch = next;
  }
}

constexpr u32 kOnChildren = kAccessed | kModified | kAttributes | kClosedWritable | kClosedOther | kOpened;

struct LastName final : InodeWatch {
  LastName(Inode& of, Inode& was_in, std::string_view text)
      : InodeWatch(of, kOnChildren), directory(&was_in), bytes(text.copy(name, sizeof name)) {}
  void tell(u32 event, u32, std::string_view) override {
    for (InodeWatch* watch = directory->watches; watch != nullptr;) {
      InodeWatch* const next = watch->next_of_inode;
      if ((watch->mask & event & kOnChildren) != 0 && (watch->mask & kExclUnlink) == 0) {
        watch->tell(event, 0, {name, bytes});
      }
      watch = next;
    }
  }
  void inode_ends() override { delete this; }

  Ref<Inode> directory;
  char name[255];
  u64 bytes;
};

}  // namespace

void remember_last_name(Inode& inode, Inode& directory, std::string_view name) {
  static_cast<void>(make<LastName>(inode, directory, name));
}

void notify_watches(Inode& inode, u32 event) {
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
  if (&from == &to) {
    send(from, kRenamed | kind, cookie, name);
  }
  if (replaced != nullptr) {
    send(*replaced, kAttributes | kind, 0, {});
    notify_last_name(*replaced, to, new_name);
  }
  send(moved, kMovedSelf, 0, {});
}

void drop_watches(Inode& inode) {
  send(inode, kDeletedSelf, 0, {});
  while (inode.watches != nullptr) {
    inode.watches->inode_ends();
  }
}

}  // namespace nopte::guest::files
