#include "guest-mm/kernel/files/names/directory_file.h"

namespace nopte::guest::files {

namespace {

class DirectoryFile final : public File {
 public:
  DirectoryFile(Directory& directory, u32 flags) : File(Ref<Inode>(&directory), flags) {}

  [[nodiscard]] bool seekable() const override { return true; }
  i64 read(IoBuffer, u64, u64) override { return -kEISDIR; }

  i64 read_directory(u64 cookie, DirectoryVisitor visit) override {
    Directory& directory = *inode()->as_directory();
    const Directory* parent = directory.parent;
    if (parent == nullptr) {
      return 0;  // removed: not even "." and ".." are there
    }
    if (cookie < 1 && !visit(".", directory.number, kModeDirectory, 1)) {
      return 0;
    }
    if (cookie < 2 && !visit("..", parent->number, kModeDirectory, 2)) {
      return 0;
    }
    directory.iterate(cookie < 2 ? 2 : cookie, visit);
    return 0;
  }
};

}  // namespace

ErrnoOr<Ref<File>> open_directory(Directory& directory, u32 flags) {
  Ref<File> file = make_counted<DirectoryFile>(directory, flags);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

}  // namespace nopte::guest::files
