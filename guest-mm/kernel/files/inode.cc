#include "guest-mm/kernel/files/inode.h"

#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/names/attributes.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/wall_clock.h"

namespace nopte::guest::files {

namespace {
u64 g_next_inode_number = 1;
}

Inode::Inode(u32 inode_mode) : number(g_next_inode_number++), mode(inode_mode) {
  accessed_ns = modified_ns = changed_ns = born_ns = wall_clock_ns();
}

Inode::~Inode() {
  if (watches != nullptr) [[unlikely]] {
    drop_watches(*this);
  }
}

u64 Inode::device_of_file_system() const { return instance ? instance->device : kFileSystemDevice; }

i64 Inode::truncate(u64) { return -kEINVAL; }

void Inode::touch_modified() { modified_ns = changed_ns = wall_clock_ns(); }

void Inode::stat(Stat& out) const {
  out = Stat{};
  out.dev = device_of_file_system();
  out.ino = number;
  out.nlink = links;
  out.mode = mode;
  out.uid = uid;
  out.gid = gid;
  out.rdev = device;
  out.bytes = static_cast<i64>(size_bytes());
  out.blocks_512 = static_cast<i64>(used_pages() * (kPageBytes / 512));
  out.accessed = signed_timespec(accessed_ns);
  out.modified = signed_timespec(modified_ns);
  out.changed = signed_timespec(changed_ns);
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): directories that can link keep the reference.
i64 Directory::link(std::string_view, Ref<Inode>) { return -kEPERM; }
i64 Directory::unlink(std::string_view) { return -kEPERM; }
i64 Directory::rename(std::string_view, Directory&, std::string_view) { return -kEXDEV; }
i64 Directory::exchange(std::string_view, Directory&, std::string_view) { return -kEINVAL; }
ErrnoOr<Ref<Inode>> Directory::create(u32, u64, std::string_view) { return ErrnoFail(kEPERM); }

}  // namespace nopte::guest::files
