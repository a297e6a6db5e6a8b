// The initramfs after it was unpacked: files whose contents begin at a page of it show them there, and are
// never copied. It stays, whole, while one of them does.
#pragma once

#include "guest-mm/kernel/files/ref.h"
#include "guest-mm/kernel/files/tmpfs/object_window.h"

namespace nopte::guest::files {

class Archive final : public RefCounted {
 public:
  explicit Archive(Ref<MemoryObject> object) : object_(std::move(object)) {}

  [[nodiscard]] const Ref<MemoryObject>& object() const { return object_; }
  // As ObjectWindow's: one window for all files.
  Result<char*> prepare(u64 offset, u64 bytes, Access access) {
    return window_.prepare(*object_, offset, bytes, access);
  }

 private:
  Ref<MemoryObject> object_;
  ObjectWindow window_;
};

// Where in it a file's contents lie.
struct ArchivePart {
  Ref<Archive> archive;  // null: not in one
  u64 first_page = 0;
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(archive); }
};

}  // namespace nopte::guest::files
