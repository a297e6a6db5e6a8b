#include "guest-mm/kernel/files/names/path_file.h"

namespace nopte::guest::files {

namespace {

class PathFile final : public File {
 public:
  PathFile(Ref<Inode> inode, u32 flags)
      : File(std::move(inode), (flags & ~kOpenAccessMask) | kOpenReadOnly) {}
  [[nodiscard]] bool path_only() const override { return true; }
  i64 read(IoBuffer, u64, u64) override { return -kEBADF; }
  i64 write(IoBuffer, u64, u64, u64*) override { return -kEBADF; }
  i64 truncate(u64) override { return -kEBADF; }
  u32 poll() override { return kPollInvalid; }
  i64 ioctl(u32, u64) override { return -kEBADF; }
  i64 read_directory(u64, DirectoryVisitor) override { return -kEBADF; }
  ErrnoOr<MemoryObject*> mmap_object(Perm, Sharing) override { return ErrnoFail(kEBADF); }
};

}  // namespace

ErrnoOr<Ref<File>> open_path_only(Ref<Inode> inode, u32 flags) {
  Ref<File> file = make_counted<PathFile>(std::move(inode), flags);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

}  // namespace nopte::guest::files
