#include "guest-mm/kernel/files/tmpfs_special.h"

#include <cstring>

namespace nopte::guest::files {

namespace {

class TmpfsSymlink final : public Inode {
 public:
  explicit TmpfsSymlink(HeapBuffer text) : Inode(kModeSymlink | 0777), text_(std::move(text)) {}
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kELOOP); }
  [[nodiscard]] u64 size_bytes() const override { return text_.bytes(); }
  [[nodiscard]] std::string_view link_text() const override { return {text_.data(), text_.bytes()}; }

 private:
  HeapBuffer text_;
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
  HeapBuffer text(target.size());
  if (!text) {
    return nullptr;
  }
  std::memcpy(text.data(), target.data(), target.size());
  return make_counted<TmpfsSymlink>(std::move(text));
}

}  // namespace nopte::guest::files
