// Inodes: what a name leads to. tmpfs, /dev and /proc are classes below Inode; directories answer lookups.
#pragma once

#include <string_view>

#include "guest-mm/kernel/files/file.h"
#include "guest-mm/kernel/files/locks/file_locks.h"

namespace nopte::guest::net {
class Socket;
}

namespace nopte::guest::files {

class AnonymousInode;
class Attributes;
class Directory;
class PipeInode;
class TmpfsFile;
class TmpfsInstance;
struct InodeWatch;

// st_dev of everything here.
inline constexpr u64 kFileSystemDevice = device_number(0, 2);
// What no name leads to is in none of the file systems.
inline constexpr u64 kAnonymousDevice = device_number(0, 14);
inline constexpr u64 kPipeDevice = device_number(0, 13);
inline constexpr u64 kSocketDevice = device_number(0, 8);
inline constexpr u64 kPidfdDevice = device_number(0, 15);
inline constexpr u64 kProcDevice = device_number(0, 3);
// That of /sys.
inline constexpr u64 kSysDevice = device_number(0, 4);
// That of /dev/pts.
inline constexpr u64 kPtsDevice = device_number(0, 5);

class Inode : public RefCounted {
 public:
  u64 number;
  u32 mode;  // type and permission bits
  u32 uid = 0;
  u32 gid = 0;
  u32 links = 1;
  u8 write_hint = 0;      // F_SET_RW_HINT's
  bool nameless = false;  // made by O_TMPFILE: may be linked though it has no name
  u8 kept_flags = 0;      // inode_flags.h
  u32 running = 0;        // processes whose program it is
  u64 device = 0;         // of a device node
  u64 accessed_ns;
  u64 modified_ns;  // Unix time
  u64 changed_ns;
  u64 born_ns;
  // Where it was linked last: what ".." means, itself at the root. Null when it is not linked.
  Directory* parent = nullptr;
  Ref<TmpfsInstance> instance;       // what it is in (mounts.h); null: the first one
  UniquePtr<Attributes> attributes;  // null: none
  UniquePtr<FileLocks> locks;        // null until the first one
  InodeWatch* watches = nullptr;     // notify.h; not owned

  [[nodiscard]] u32 type() const { return mode & kModeTypeMask; }
  [[nodiscard]] bool is_directory() const { return type() == kModeDirectory; }
  [[nodiscard]] bool is_symlink() const { return type() == kModeSymlink; }
  [[nodiscard]] bool is_regular() const { return type() == kModeRegular; }

  // An open file on this inode. `flags` are open(2)'s; creation and truncation happened before.
  virtual ErrnoOr<Ref<File>> open(u32 flags) = 0;
  [[nodiscard]] virtual u64 size_bytes() const { return 0; }
  [[nodiscard]] virtual u64 used_pages() const { return 0; }
  virtual i64 truncate(u64 bytes);
  virtual void stat(Stat& out) const;
  // st_dev.
  [[nodiscard]] virtual u64 device_of_file_system() const;
  [[nodiscard]] bool in_tmpfs() const { return instance || device_of_file_system() == kFileSystemDevice; }
  // The directory behind it; null for everything else.
  virtual Directory* as_directory() { return nullptr; }
  // The regular file of tmpfs that it is; null for everything else.
  virtual TmpfsFile* as_tmpfs_file() { return nullptr; }
  // The inode that no name leads to that it is (anonymous_inode.h); null for everything else.
  virtual const AnonymousInode* as_anonymous() const { return nullptr; }
  // What is shown where no name leads to it, as if it were one that was removed; empty: nothing.
  [[nodiscard]] virtual std::string_view given_name() const { return {}; }
  // The pipe that it is; null for everything else.
  virtual PipeInode* as_pipe() { return nullptr; }
  // Whose directory in /proc it is; 0 for everything else.
  [[nodiscard]] virtual i32 process_id() const { return 0; }
  // The socket that it is; null for everything else, names of sockets included.
  virtual net::Socket* as_socket() { return nullptr; }
  // Target of a symbolic link, valid as long as the inode; empty for everything else.
  [[nodiscard]] virtual std::string_view link_text() const { return {}; }
  // A link that leads straight to an inode (/proc/self/fd/N, exe), whatever its text says; null: follow the
  // text.
  virtual Ref<Inode> follow() const { return {}; }
  // Whether the running thread may read and follow the link: 0, or -EACCES.
  [[nodiscard]] virtual i64 may_see_target() const { return 0; }

  void touch_modified();

 protected:
  explicit Inode(u32 inode_mode);
  ~Inode() override;
};

class Directory : public Inode {
 public:
  Directory* as_directory() final { return this; }

  // kENOENT when there is none. "." and ".." are the path walk's.
  virtual ErrnoOr<Ref<Inode>> lookup(std::string_view name) = 0;
  // Entries after `cookie` (0: all), "." and ".." not among them; see File::read_directory.
  virtual void iterate(u64 cookie, DirectoryVisitor visit) = 0;

  // Changes; -EROFS/-EPERM unless the file system can. Preconditions: the name is valid, 1 to 255 bytes
  // without '/', and for link() not taken.
  virtual i64 link(std::string_view name, Ref<Inode> inode);
  // Takes away any entry; the caller checked its kind.
  virtual i64 unlink(std::string_view name);
  // Moves an entry, over a replaceable one of that name. -EXDEV: not the same file system.
  virtual i64 rename(std::string_view name, Directory& to, std::string_view new_name);
  // Each of two entries leads to what the other did.
  virtual i64 exchange(std::string_view name, Directory& to, std::string_view new_name);
  // A new regular file, directory, device node, fifo or symbolic link of this file system, not linked yet.
  virtual ErrnoOr<Ref<Inode>> create(u32 mode, u64 device, std::string_view link_target);
  [[nodiscard]] virtual bool empty() const { return false; }
  // The name under which an inode is listed here; false when it is not.
  virtual bool entry_name(const Inode&, std::string_view&) const { return false; }
  // Whether it is a TmpfsDirectory (there is no RTTI).
  [[nodiscard]] virtual bool is_tmpfs() const { return false; }

 protected:
  using Inode::Inode;
};

}  // namespace nopte::guest::files
