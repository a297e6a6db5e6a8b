// What happens to inodes, told to those who watch them (inotify.h, directory_notice.h). Without a watch
// anywhere, telling is one test.
//
// An event goes to the watches of the inode and, where a directory is told of its children, with the child's
// name to those of the directory that it was linked in last (fs/notify/fsnotify.c, include/linux/fsnotify.h
// of 6.12).
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// uapi/linux/inotify.h
inline constexpr u32 kAccessed = 0x1, kModified = 0x2, kAttributes = 0x4, kClosedWritable = 0x8,
                     kClosedOther = 0x10, kOpened = 0x20, kMovedFrom = 0x40, kMovedTo = 0x80,
                     kCreated = 0x100, kDeleted = 0x200, kDeletedSelf = 0x400, kMovedSelf = 0x800,
                     kAllEvents = 0xfff;
// A new name in the same directory; inotify knows nothing of it.
inline constexpr u32 kRenamed = 0x1000;
inline constexpr u32 kIsDirectory = 0x4000'0000;
// Of a directory's watch: nothing of what has no name any more.
inline constexpr u32 kExclUnlink = 0x400'0000;

// How many watches there are.
inline constinit u32 g_watches = 0;

// It lies in a list of its inode, until it ends. It does not hold an inode of tmpfs, whose end is an event;
// others live as long as somebody looks at them, and are held.
struct InodeWatch : HeapAllocated {
  InodeWatch(Inode& what, u32 wanted);
  virtual ~InodeWatch();
  InodeWatch(const InodeWatch&) = delete;
  InodeWatch& operator=(const InodeWatch&) = delete;
  // An event that is in the mask. It may end the watch.
  virtual void tell(u32 event, u32 cookie, std::string_view name) = 0;
  // The inode goes: so does the watch.
  virtual void inode_ends() = 0;

  Inode& inode;
  u32 mask;
  InodeWatch* next_of_inode;

 private:
  Ref<Inode> held_;
};

// The inode goes: its watches are told and dropped.
void drop_watches(Inode& inode);
void notify_watches(Inode& inode, u32 event);
void notify_own_watches(Inode& inode, u32 event);
// The last name of an inode went: as long as it is open, the directory that it was in hears of it by that
// name. When memory is short it does not.
void remember_last_name(Inode& inode, Inode& directory, std::string_view name);
void notify_watches_of_entry(Inode& directory, std::string_view name, u32 event, u32 cookie);
void notify_watches_of_move(Inode& moved, Inode& from, std::string_view name, Inode& to,
                            std::string_view new_name, Inode* replaced);

inline void notify(Inode& inode, u32 event) {
  if (g_watches != 0) [[unlikely]] {
    notify_watches(inode, event);
  }
}
// The same of the file whose bytes moved, if any did.
inline i64 told(File& file, u32 event, i64 done) {
  if (g_watches != 0 && done > 0) [[unlikely]] {
    notify_watches(*file.inode(), event);
  }
  return done;
}
// It has a name more or less, which its directory does not hear of.
inline void notify_links(Inode& inode) {
  if (g_watches != 0) [[unlikely]] {
    notify_own_watches(inode, kAttributes);
  }
}
inline void notify_last_name(Inode& inode, Inode& directory, std::string_view name) {
  if (g_watches != 0 && inode.links == 0 && directory.watches != nullptr) [[unlikely]] {
    remember_last_name(inode, directory, name);
  }
}
// An entry was made (kCreated) or went (kDeleted).
inline void notify_entry(Inode& directory, std::string_view name, u32 event, bool is_directory) {
  if (g_watches != 0) [[unlikely]] {
    notify_watches_of_entry(directory, name, event | (is_directory ? kIsDirectory : 0), 0);
  }
}
// `replaced`: what had the new name; null for nothing.
inline void notify_move(Inode& moved, Inode& from, std::string_view name, Inode& to,
                        std::string_view new_name, Inode* replaced) {
  if (g_watches != 0) [[unlikely]] {
    notify_watches_of_move(moved, from, name, to, new_name, replaced);
  }
}
// A descriptor's last one: its file goes.
inline void notify_closed(Inode* inode, u32 flags) {
  if (g_watches != 0 && inode != nullptr && (flags & kOpenPath) == 0) [[unlikely]] {
    notify_watches(*inode, (flags & kOpenAccessMask) != kOpenReadOnly ? kClosedWritable : kClosedOther);
  }
}

}  // namespace nopte::guest::files
