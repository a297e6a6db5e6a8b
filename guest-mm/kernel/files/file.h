// An open file: what a descriptor names (Linux's open file description). The system calls own the position;
// a file that has none ignores the offset.
//
// Counts and errors are as system calls answer them: bytes, or a negative errno. A call may block; the caller
// holds a reference meanwhile.
#pragma once

#include "guest-mm/kernel/files/io_buffer.h"
#include "guest-mm/kernel/files/linux_abi.h"
#include "guest-mm/kernel/files/ref.h"

namespace nopte::guest {
class MemoryObject;
class WaitQueue;
namespace ipc {
class PosixQueue;
}  // namespace ipc
}  // namespace nopte::guest

namespace nopte::guest::files {

class Inode;
class Inotify;
class TextBuilder;
class Pidfd;
struct FileOwner;  // guest-mm/kernel/files/file_owner.h
struct Watch;      // guest-mm/kernel/files/events/event_poll.h

// Receives directory entries; false: no room, stop before this one.
using DirectoryVisitor = FunctionRef<bool(std::string_view name, u64 ino, u32 mode, u64 next_cookie)>;

class File : public RefCounted {
 public:
  File(Ref<Inode> inode, u32 flags);

  [[nodiscard]] u32 flags() const { return flags_; }
  [[nodiscard]] bool readable() const { return (flags_ & kOpenAccessMask) != kOpenWriteOnly; }
  [[nodiscard]] bool writable() const { return (flags_ & kOpenAccessMask) != kOpenReadOnly; }
  [[nodiscard]] bool append() const { return flags_ & kOpenAppend; }
  [[nodiscard]] bool non_blocking() const { return flags_ & kOpenNonBlock; }
  // fcntl F_SETFL: nothing else can change.
  void set_status_flags(u32 flags) {
    constexpr u32 kChangeable = kOpenAppend | kOpenDirect | kOpenNonBlock | kOpenNoAccessTime | kOpenAsync;
    flags_ = (flags_ & ~kChangeable) | (flags & kChangeable);
  }
  // The inode behind it; null only for what has none.
  [[nodiscard]] Inode* inode() const { return inode_.get(); }

  u64 position = 0;  // bytes, or a directory cookie

  Watch* first_watch = nullptr;  // by epoll; not owned
  UniquePtr<FileOwner> owner;    // null until somebody is to hear of it
  bool created = false;          // by the open(2) that it is of (F_CREATED_QUERY)

  // Whether O_ASYNC means something.
  [[nodiscard]] virtual bool signals_events() const { return false; }
  // Opened with O_PATH: names an inode, nothing else.
  [[nodiscard]] virtual bool path_only() const { return false; }
  // The pidfd that it is; null for everything else.
  virtual Pidfd* as_pidfd() { return nullptr; }
  // The inotify instance that it is; null for everything else.
  virtual Inotify* as_inotify() { return nullptr; }
  // The POSIX message queue that it has open; null for everything else.
  virtual ipc::PosixQueue* as_queue() { return nullptr; }
  // Whether the position means something (lseek, pread).
  [[nodiscard]] virtual bool seekable() const { return false; }
  // Whether splice and sendfile can take bytes from it, or give it some: not what gives numbers (eventfd).
  [[nodiscard]] virtual bool splices_out() const;
  [[nodiscard]] virtual bool splices_in() const;
  // Up to `bytes` from `offset`. Preconditions (here and in write): the access mode allows it. Bad memory:
  // -EFAULT if nothing was transferred, and nothing is lost.
  virtual i64 read(IoBuffer to, u64 bytes, u64 offset);
  // With append() the file chooses the place; *end (may be null) receives the offset after the last byte.
  virtual i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end);
  // The file's end for SEEK_END.
  [[nodiscard]] virtual u64 end_bytes() const { return 0; }
  virtual i64 truncate(u64 bytes);
  // Makes sure that there is room for all of the range; the file's size is the caller's.
  virtual i64 allocate(u64 offset, u64 bytes);
  // Makes the range read zero; the file's size stays.
  virtual i64 punch(u64 offset, u64 bytes);
  // Whether a seal forbids to write it, now and by mappings made from now on.
  [[nodiscard]] virtual bool sealed_for_writing() const { return false; }
  virtual i64 ioctl(u32 request, u64 argument);
  // Lines of /proc/<pid>/fdinfo besides those that each file has.
  virtual void add_info(TextBuilder&) const {}
  // Which of the events hold now.
  virtual u32 poll();
  // Woken when poll()'s answer may have changed; null: it never changes.
  virtual WaitQueue* poll_queue() { return nullptr; }
  // The object that a mapping shows. kENODEV: cannot be mapped; kEACCES: the open mode forbids it.
  // A null object is anonymous private memory (/dev/zero). The reference is the caller's.
  virtual ErrnoOr<MemoryObject*> mmap_object(Perm perm, Sharing sharing);
  // Whether what it maps is memfd_secret's: shared, locked, and out of others' reach.
  [[nodiscard]] virtual bool is_secret() const { return false; }
  // Entries from `cookie` on (0: from the start).
  virtual i64 read_directory(u64 cookie, DirectoryVisitor visit);
  virtual void stat(Stat& out);

 protected:
  ~File() override;

 private:
  // Ends its watches while its poll_queue() is there.
  void end() final;

  Ref<Inode> inode_;
  u32 flags_;
};

}  // namespace nopte::guest::files
