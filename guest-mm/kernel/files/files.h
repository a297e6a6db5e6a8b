// The guest's files as the rest of the kernel sees them: start-up, a process's view (ProcessFiles), path
// lookup and opening for exec, and kernel-internal reads.
#pragma once

#include "guest-mm/kernel/files/file_table.h"
#include "guest-mm/kernel/files/inode.h"
#include "pvops/region_spec.h"

namespace nopte::guest::files {

// What a thread has of files: descriptors on the one hand, root, working directory and umask on the other.
// Threads and processes may share either half without the other, so that a thread names two of these, mostly
// one and the same. Each name is a reference; those of the descriptors are counted besides, since the last of
// them closes all.
class ProcessFiles final : public RefCounted {
 public:
  // For the first process: descriptors 0, 1, 2 on the console, which becomes its controlling terminal,
  // everything at "/". Null: no memory.
  static Ref<ProcessFiles> make_initial();
  // For fork: these descriptors, and those directories. Null: no memory.
  [[nodiscard]] Ref<ProcessFiles> clone(const ProcessFiles& directories) const;
  // The directories alone, without a descriptor. Null: no memory.
  [[nodiscard]] Ref<ProcessFiles> clone_directories() const;

  void retain_table() {
    ++table_users_;
    retain();
  }
  void release_table() {
    if (--table_users_ == 0 && shared()) table.close_all();  // else the end of all does it
    release();
  }
  // Whether another thread or process has these descriptors, too.
  [[nodiscard]] bool table_shared() const { return table_users_ > 1; }

  FileTable table;
  Ref<Inode> root;
  Ref<Inode> cwd;
  u32 umask = 022;

 private:
  u32 table_users_ = 1;
};

// Makes an empty tmpfs root. Called once, after the heap is up.
void init();
// Unpacks a cpio newc archive that lies in the object (kNone: an empty one), destroys the object, then makes
// /dev and /proc. A broken archive ends the machine with a message and status 1.
void mount_initramfs(ObjectId archive, u64 bytes);
// The file system's root, once init() ran.
Directory& root_directory();

// Those of the running thread (guest-mm/kernel/process/thread.h): its descriptors, and its root and working
// directory.
ProcessFiles& current_files();
ProcessFiles& current_directories();
// Its descriptors become its own, if others have them, too. False: no memory, and nothing changed.
[[nodiscard]] bool unshare_current_table();

// What becomes of a link that a path ends with: what it leads to; itself, unless a slash follows it; itself,
// for calls that make, remove or rename what has this name (Linux: LOOKUP_PARENT).
enum class FinalLink : u8 { kFollow, kStay, kName };

// The inode that `path` leads to for this process view; relative paths begin at `start` (null: its cwd).
ErrnoOr<Ref<Inode>> lookup(ProcessFiles& view, std::string_view path, FinalLink final = FinalLink::kFollow,
                           Inode* start = nullptr);
// Opens (and creates) as open(2) does; `resolve` is openat2's.
ErrnoOr<Ref<File>> open(ProcessFiles& view, std::string_view path, u32 flags, u32 mode = 0,
                        Inode* start = nullptr, u32 resolve = 0);
// Opens what is there, as open does without O_CREAT.
ErrnoOr<Ref<File>> open_inode(Ref<Inode> inode, u32 flags);
// As unlink(2): 0 or a negative errno.
i64 remove(ProcessFiles& view, std::string_view path);
// For exec: a regular file with an x bit, for reading. kEACCES otherwise; kELOOP: a link that was not
// followed; kETXTBSY: somebody may write it.
ErrnoOr<Ref<File>> open_executable(Inode& inode);
ErrnoOr<Ref<File>> open_executable(ProcessFiles& view, std::string_view path,
                                   FinalLink final = FinalLink::kFollow, Inode* start = nullptr);
// Kernel-internal read, as pread: bytes read (short at the end of the file) or a negative errno.
i64 read_at(File& file, u64 offset, void* to, u64 bytes);
// Absolute path under which an inode was linked last, seen from `root` (null: the file system's; what is not
// below it begins with "(unreachable)"), without a terminator; the number of bytes, -kENOENT (not linked), or
// -kERANGE.
i64 path_of(const Inode& inode, char* out, u64 capacity, const Inode* root = nullptr);

}  // namespace nopte::guest::files
