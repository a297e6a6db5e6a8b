#include "guest-mm/kernel/files/tmpfs/tmpfs_special.h"

#include <cstring>

#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"

namespace nopte::guest::files {

namespace {

class TmpfsSymlink final : public Inode {
 public:
  TmpfsSymlink(HeapBuffer text, TmpfsCharge charge)
      : Inode(kModeSymlink | 0777), text_(std::move(text)), charge_(std::move(charge)) {}
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kELOOP); }
  [[nodiscard]] u64 size_bytes() const override { return text_.bytes(); }
  [[nodiscard]] std::string_view link_text() const override { return {text_.data(), text_.bytes()}; }

 private:
  HeapBuffer text_;
  TmpfsCharge charge_;
};

// What a socket was bound to; the socket knows it, not the other way round.
class SocketName final : public Inode {
 public:
  explicit SocketName(u32 permissions) : Inode(kModeSocket | permissions) {}
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kENXIO); }
};

}  // namespace

Ref<Inode> make_socket_name(u32 permissions) { return make_counted<SocketName>(permissions); }

Ref<Inode> make_symlink(std::string_view target) {
  constexpr u64 kShort = 128;  // what is shorter than that its name pays for (mm/shmem.c, shmem_symlink)
  TmpfsCharge charge;
  HeapBuffer text(target.size());
  if (!text || (target.size() >= kShort && !charge.raise(kPageBytes))) {
    return nullptr;
  }
  std::memcpy(text.data(), target.data(), target.size());
  return make_counted<TmpfsSymlink>(std::move(text), std::move(charge));
}

}  // namespace nopte::guest::files
