// tmpfs: the one file system that holds data. Regular files are memory objects; directories, links and device
// nodes are kernel memory.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/object_window.h"

namespace nopte::guest::files {

class TmpfsDirectory;

// An inode of any type, not linked yet. Errors: kENOSPC (no memory), kEINVAL (type).
ErrnoOr<Ref<Inode>> tmpfs_create(u32 mode, u64 device, std::string_view link_target);

// A regular file. Its object has whole pages; bytes between the file's end and the end of the object are
// zero, unless a program wrote them through a mapping.
class TmpfsFile final : public Inode {
 public:
  static constexpr u64 kLimitBytes = u64{1} << 40;

  explicit TmpfsFile(u32 permissions);

  ErrnoOr<Ref<File>> open(u32 flags) override;
  [[nodiscard]] u64 size_bytes() const override { return bytes_; }
  [[nodiscard]] u64 used_pages() const override { return bytes_to_pages(bytes_); }
  i64 truncate(u64 bytes) override;

  i64 read(IoBuffer to, u64 bytes, u64 offset);
  i64 write(IoBuffer from, u64 bytes, u64 offset);
  // The object (the reference is the caller's), made to end where the file ends from now on. Errors: kENOMEM.
  ErrnoOr<MemoryObject*> mappable_object();

 private:
  static constexpr u64 kPieceBytes = u64{4} << 20;

  static i64 in_pieces(u64 bytes, FunctionRef<i64(u64 done, u64 piece)> one);
  i64 read_piece(IoBuffer to, u64 bytes, u64 offset);
  i64 write_piece(IoBuffer from, u64 bytes, u64 offset);
  // Gives the object room for `bytes`.
  Result<void> reserve(u64 bytes);
  // Zeroes [begin, end), inside one page, as far as the object has it.
  Result<void> zero_in_page(u64 begin, u64 end);

  Ref<MemoryObject> object_;  // null while the file never had a byte
  ObjectWindow window_;
  u64 bytes_ = 0;
  u64 data_end_ = 0;     // bytes from here on were never written by a call: a hole, unless mapped_
  bool mapped_ = false;  // programs see the object's end: no room beyond the file's
};

}  // namespace nopte::guest::files
