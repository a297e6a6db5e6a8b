#include "guest-mm/kernel/files/devices/memory_devices.h"

#include <algorithm>

#include "pvops/platform_ops.h"

namespace nopte::guest::files {

namespace {

i64 transferred(const IoBuffer::Copied& copied) {
  return copied.bytes != 0 || copied.status == Status::kOk ? static_cast<i64>(copied.bytes)
                                                           : to_errno(copied.status);
}

class DeviceFile : public File {
 public:
  using File::File;
  // Positions mean nothing, but seeking is no error: lseek answers 0.
  [[nodiscard]] bool seekable() const override { return true; }
};

class NullFile final : public DeviceFile {
 public:
  using DeviceFile::DeviceFile;
  [[nodiscard]] bool splices_out() const override { return false; }
  i64 read(IoBuffer, u64, u64) override { return 0; }
  i64 write(IoBuffer, u64 bytes, u64, u64*) override { return static_cast<i64>(bytes); }
};

// /dev/zero and, for writing, /dev/full.
class ZeroFile final : public DeviceFile {
 public:
  ZeroFile(Ref<Inode> node, u32 flags, bool full) : DeviceFile(std::move(node), flags), full_(full) {}
  [[nodiscard]] bool splices_in() const override { return !full_; }
  i64 read(IoBuffer to, u64 bytes, u64) override { return transferred(to.put_zeros(bytes)); }
  i64 write(IoBuffer, u64 bytes, u64, u64*) override { return full_ ? -kENOSPC : static_cast<i64>(bytes); }
  ErrnoOr<MemoryObject*> mmap_object(Perm, Sharing) override {
    if (full_) {
      return ErrnoFail(kENODEV);
    }
    return nullptr;
  }

 private:
  bool full_;
};

class MarkFile final : public DeviceFile {
 public:
  using DeviceFile::DeviceFile;
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    char name[40];
    const IoBuffer::Copied copied = from.get(name, std::min<u64>(bytes, sizeof name));
    if (copied.status != Status::kOk) {
      return to_errno(copied.status);
    }
    std::string_view text(name, copied.bytes);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == 0)) {
      text.remove_suffix(1);
    }
    if (!text.empty()) {
      platform_ops().mark(text);
    }
    return static_cast<i64>(bytes);
  }
};

}  // namespace

Ref<File> open_null(Ref<Inode> node, u32 flags) { return make_counted<NullFile>(std::move(node), flags); }
Ref<File> open_zero(Ref<Inode> node, u32 flags) {
  return make_counted<ZeroFile>(std::move(node), flags, false);
}
Ref<File> open_full(Ref<Inode> node, u32 flags) {
  return make_counted<ZeroFile>(std::move(node), flags, true);
}
Ref<File> open_mark(Ref<Inode> node, u32 flags) { return make_counted<MarkFile>(std::move(node), flags); }

}  // namespace nopte::guest::files
