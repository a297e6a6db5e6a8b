// An open regular file of tmpfs.
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest::files {

namespace {

class TmpfsOpenFile final : public File {
 public:
  TmpfsOpenFile(TmpfsFile& file, u32 flags) : File(Ref<Inode>(&file), flags), file_(file) {
    file_.note_opening(flags);
  }
  ~TmpfsOpenFile() override { file_.note_closing(flags()); }

  [[nodiscard]] bool seekable() const override { return true; }
  i64 read(IoBuffer to, u64 bytes, u64 offset) override { return file_.read(to, bytes, offset); }
  i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end) override {
    const u64 at = append() ? file_.size_bytes() : offset;
    const i64 written = file_.write(from, bytes, at);
    if (end != nullptr && written > 0) {
      *end = at + static_cast<u64>(written);
    }
    return written;
  }
  [[nodiscard]] u64 end_bytes() const override { return file_.size_bytes(); }
  i64 truncate(u64 bytes) override { return file_.truncate(bytes); }
  i64 allocate(u64 offset, u64 bytes) override { return file_.allocate(offset, bytes); }
  i64 punch(u64 offset, u64 bytes) override { return file_.punch(offset, bytes); }
  [[nodiscard]] bool sealed_for_writing() const override { return (file_.seals() & kWriteSeals) != 0; }
  ErrnoOr<MemoryObject*> mmap_object(Perm perm, Sharing sharing) override {
    if (!readable() || (sharing == Sharing::kShared && perm.write() && !writable())) {
      return ErrnoFail(kEACCES);
    }
    return file_.mappable_object(sharing);
  }

 private:
  TmpfsFile& file_;  // held by the base
};

}  // namespace

ErrnoOr<Ref<File>> TmpfsFile::open(u32 flags) {
  Ref<File> file = make_counted<TmpfsOpenFile>(*this, flags);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

}  // namespace nopte::guest::files
