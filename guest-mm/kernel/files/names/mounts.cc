#include "guest-mm/kernel/files/names/mounts.h"

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_directory.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest::files {

Mount* g_mounts = nullptr;
bool g_walks_use_mounts = true;

namespace {

constexpr u32 kFirstDevice = 32;
u32 g_next_device = kFirstDevice;

bool uses(const Thread& thread, const TmpfsInstance& instance) {
  const auto is_there = [&](const Inode* inode) {
    return inode != nullptr && inode->instance.get() == &instance;
  };
  if (is_there(thread.process->executable)) {
    return true;
  }
  if (thread.directories != nullptr &&
      (is_there(thread.directories->root.get()) || is_there(thread.directories->cwd.get()))) {
    return true;
  }
  if (thread.files == nullptr) {
    return false;
  }
  const FileTable& table = thread.files->table;
  for (u64 descriptor = 0, end = table.bound(); descriptor < end; ++descriptor) {
    if (const File* const file = table.get(descriptor); file != nullptr && is_there(file->inode())) {
      return true;
    }
  }
  return false;
}

}  // namespace

Ref<Inode> over_mounts(Ref<Inode> inode) {
  for (Mount* mount = g_mounts; mount != nullptr;) {
    if (mount->point == inode) {
      inode = mount->root;
      mount->expiring = mount->expiring && !g_walks_use_mounts;
      mount = g_mounts;  // another may lie over it
    } else {
      mount = mount->next;
    }
  }
  return inode;
}

Mount* mount_at(const Inode& inode) {
  Mount* mount = g_mounts;
  while (mount != nullptr && mount->root.get() != &inode) {
    mount = mount->next;
  }
  return mount;
}

i64 mount_tmpfs(Inode& point, std::string_view source, u32 flags, u32 mode) {
  auto mount = make_unique<Mount>();
  Ref<TmpfsInstance> instance = make_counted<TmpfsInstance>(device_number(0, g_next_device), flags);
  Ref<TmpfsDirectory> root = make_counted<TmpfsDirectory>(mode);
  if (!mount || !instance || !root) {
    return -kENOMEM;
  }
  ++g_next_device;
  root->instance = instance;
  root->parent = point.parent;
  instance->root = root.get();
  mount->point = Ref<Inode>(&point);
  mount->root = Ref<Inode>(root.get());
  mount->instance = std::move(instance);
  source.copy(mount->source, sizeof(mount->source) - 1);
  mount->next = g_mounts;
  g_mounts = mount.release();
  return 0;
}

bool is_busy(const Mount& mount, Users users) {
  bool busy = false;
  for (const Mount* other = g_mounts; other != nullptr; other = other->next) {
    busy = busy || other->point->instance.get() == mount.instance.get();
  }
  if (users == Users::kCount) {
    for_each_thread([&](const Thread& thread) { busy = busy || uses(thread, *mount.instance); });
  }
  return busy;
}

void unmount(Mount& mount) {
  Mount** link = &g_mounts;
  while (*link != &mount) {
    link = &(*link)->next;
  }
  *link = mount.next;
  mount.root->parent = mount.root->as_directory();
  mount.instance->root = nullptr;
  destroy(&mount);
}

}  // namespace nopte::guest::files
