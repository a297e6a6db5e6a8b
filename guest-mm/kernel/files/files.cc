#include "guest-mm/kernel/files/files.h"

#include <cstring>

#include "guest-mm/kernel/files/archive/cpio_unpack.h"
#include "guest-mm/kernel/files/devices/device_nodes.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/proc/proc.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_directory.h"
#include "guest-mm/kernel/tty/console.h"

namespace nopte::guest::files {

namespace {

Directory* g_root = nullptr;

// The directory of that name below the root, made when it is missing.
Directory* directory_at_root(std::string_view name) {
  if (const ErrnoOr<Ref<Inode>> found = g_root->lookup(name); found && (*found)->is_directory()) {
    return (*found)->as_directory();
  }
  static_cast<void>(g_root->unlink(name));
  const ErrnoOr<Ref<Inode>> made = tmpfs_create(kModeDirectory | 0755, 0, {});
  return made && g_root->link(name, *made) == 0 ? (*made)->as_directory() : nullptr;
}

}  // namespace

Directory& root_directory() { return *g_root; }

void init() {
  Ref<TmpfsDirectory> root = make_counted<TmpfsDirectory>(0755u);
  if (!root) {
    NOPTE_PANIC("no memory for the root directory");
  }
  root->parent = root.get();
  g_root = root.detach();
}

void mount_initramfs(ObjectId archive, u64 bytes) {
  if (archive != ObjectId::kNone) {
    unpack_initramfs(archive, bytes, *g_root);
  }
  Directory* const dev = directory_at_root("dev");
  if (dev == nullptr || !tty::make_console() || !make_device_nodes(*dev)) {
    NOPTE_PANIC("no memory for /dev");
  }
  static_cast<void>(directory_at_root("tmp"));
  static_cast<void>(g_root->unlink("proc"));
  Ref<Inode> proc = make_proc_root();
  if (!proc || g_root->link("proc", proc) != 0) {
    NOPTE_PANIC("no memory for /proc");
  }
  static_cast<void>(g_root->unlink("sys"));
  const ErrnoOr<Ref<Inode>> sys = make_setting_root(kSys, Ref<Inode>(g_root));
  if (!sys || g_root->link("sys", *sys) != 0) {
    NOPTE_PANIC("no memory for /sys");
  }
}

Ref<ProcessFiles> ProcessFiles::make_initial() {
  Ref<ProcessFiles> view = make_counted<ProcessFiles>();
  if (!view) {
    return nullptr;
  }
  view->root = Ref<Inode>(g_root);
  view->cwd = view->root;
  const ErrnoOr<Ref<File>> console = open(*view, "/dev/ttyS0", kOpenReadWrite);
  if (!console) {
    return nullptr;
  }
  for (u64 descriptor = 0; descriptor < 3; ++descriptor) {
    if (view->table.insert(*console, CloseOnExec::kNo) < 0) {
      return nullptr;
    }
  }
  return view;
}

Ref<ProcessFiles> ProcessFiles::clone_directories() const {
  Ref<ProcessFiles> copy = make_counted<ProcessFiles>();
  if (copy) {
    copy->root = root;
    copy->cwd = cwd;
    copy->umask = umask;
  }
  return copy;
}

Ref<ProcessFiles> ProcessFiles::clone(const ProcessFiles& directories) const {
  Ref<ProcessFiles> copy = directories.clone_directories();
  return copy && copy->table.copy_from(table) ? std::move(copy) : nullptr;
}

ErrnoOr<Ref<File>> open_executable(Inode& inode) {
  if (inode.is_symlink()) {
    return ErrnoFail(kELOOP);
  }
  if (!inode.is_regular() || permission(inode, kMayExecute) != 0 || mounted_with(inode, kMountNoExec)) {
    return ErrnoFail(kEACCES);
  }
  if (TmpfsFile* const file = inode.as_tmpfs_file(); file != nullptr && file->writers() != 0) {
    return ErrnoFail(kETXTBSY);
  }
  ErrnoOr<Ref<File>> file = inode.open(kOpenReadOnly);
  if (file) {
    notify(inode, kOpened);
  }
  return file;
}

ErrnoOr<Ref<File>> open_executable(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start) {
  const ErrnoOr<Ref<Inode>> inode = lookup(view, path, final, start);
  return inode ? open_executable(**inode) : ErrnoFail(inode.error());
}

i64 read_at(File& file, u64 offset, void* to, u64 bytes) {
  return file.read(IoBuffer::kernel(to), bytes, offset);
}

i64 path_of(const Inode& inode, char* out, u64 capacity, const Inode* root) {
  // From the end: names are found child by child.
  u64 begin = capacity;
  const Inode* at = &inode;
  while (at != root && at->parent != at) {
    std::string_view name;
    if (g_mounts != nullptr) [[unlikely]] {
      while (const Mount* const mount = mount_at(*at)) {
        at = mount->point.get();
      }
    }
    if (at->parent == nullptr || !at->parent->entry_name(*at, name)) {
      return -kENOENT;
    }
    if (name.size() + 1 > begin) {
      return -kERANGE;
    }
    begin -= name.size();
    std::memcpy(out + begin, name.data(), name.size());
    out[--begin] = '/';
    at = at->parent;
  }
  if (begin == capacity && capacity > 0) {
    out[--begin] = '/';
  }
  if (root != nullptr && at != root) {
    constexpr std::string_view kOutside = "(unreachable)";
    if (kOutside.size() > begin) {
      return -kERANGE;
    }
    begin -= kOutside.size();
    std::memcpy(out + begin, kOutside.data(), kOutside.size());
  }
  std::memmove(out, out + begin, capacity - begin);
  return static_cast<i64>(capacity - begin);
}

}  // namespace nopte::guest::files
