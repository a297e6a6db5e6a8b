#include "guest-mm/kernel/files/events/notify.h"

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

struct HeldDirectory : HeapAllocated {
  explicit HeldDirectory(Inode& directory) : inode(&directory) {}
  Ref<Inode> inode;
  HeldDirectory* next = nullptr;
};
// To let go, when inodes end.
constinit HeldDirectory* g_let_go = nullptr;

// The directory's own LastName, when it was removed as well, is no watch of those to be told: hence
// kExclUnlink.
struct LastName final : InodeWatch {
  LastName(Inode& of, HeldDirectory& was_in, std::string_view text)
      : InodeWatch(of, kOnChildren | kExclUnlink), directory(was_in), bytes(text.copy(name, sizeof name)) {}
  void tell(u32 event, u32, std::string_view) override {
    for (InodeWatch* watch = directory.inode->watches; watch != nullptr;) {
      InodeWatch* const next = watch->next_of_inode;
      if ((watch->mask & event & kOnChildren) != 0 && (watch->mask & kExclUnlink) == 0) {
        watch->tell(event, 0, {name, bytes});
      }
      watch = next;
    }
  }
  void inode_ends() override {
    directory.next = std::exchange(g_let_go, &directory);
    delete this;
  }

  HeldDirectory& directory;
  char name[255];
  u64 bytes;
};

}  // namespace

void remember_last_name(Inode& inode, Inode& directory, std::string_view name) {
  auto* const held = make<HeldDirectory>(directory);
  if (held != nullptr && make<LastName>(inode, *held, name) == nullptr) delete held;
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
  // One after the other: a directory may be the last reference's, and the next one's in a chain as deep as
  // the tree was.
  static constinit bool letting_go = false;
  if (letting_go) return;
  letting_go = true;
  while (g_let_go != nullptr) {
    HeldDirectory* const held = g_let_go;
    g_let_go = held->next;
    delete held;
  }
  letting_go = false;
}

}  // namespace nopte::guest::files
