// tmpfs: the one file system that holds data. Regular files are memory objects, small ones until they are
// mapped kernel memory; those of the initramfs stay in it until they change (archive.h), as directories,
// links and device nodes are. What it holds in all has a limit (tmpfs_limit.h).
#pragma once

#include "guest-mm/core/memory_object.h"
#include "guest-mm/kernel/files/archive/archive.h"
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/seals.h"
#include "guest-mm/kernel/files/tmpfs/object_window.h"
#include "guest-mm/kernel/files/tmpfs/page_runs.h"
#include "guest-mm/kernel/files/tmpfs/small_contents.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"

namespace nopte::guest::files {

class TmpfsDirectory;

// An inode of any type, not linked yet. Errors: kENOSPC (no memory), kEINVAL (type).
ErrnoOr<Ref<Inode>> tmpfs_create(u32 mode, u64 device, std::string_view link_target);

// A regular file. Its object has whole pages; bytes between the file's end and the end of the object are
// zero, unless a program wrote them through a mapping. Shrinking to nothing and removing need no memory.
class TmpfsFile final : public Inode {
 public:
  static constexpr u64 kLimitBytes = u64{1} << 40;

  explicit TmpfsFile(u32 permissions);

  ErrnoOr<Ref<File>> open(u32 flags) override;
  TmpfsFile* as_tmpfs_file() override { return this; }
  [[nodiscard]] u64 size_bytes() const override { return bytes_; }
  [[nodiscard]] std::string_view given_name() const override {
    return {given_name_.data(), given_name_.bytes()};
  }
  // With a name in no directory (memfd_create).
  void give_name(HeapBuffer name) { given_name_ = std::move(name); }
  // What mappings touched is the engine's knowledge: of a mapped file, all of it.
  [[nodiscard]] u64 used_pages() const override {
    return mapped_ ? bytes_to_pages(bytes_) : bytes_to_pages(charge_.bytes());
  }
  i64 truncate(u64 bytes) override;

  // Open files on it, and those of them that may write: what leases and programs that run ask for.
  [[nodiscard]] u32 openings() const { return openings_; }
  [[nodiscard]] u32 writers() const { return writers_; }
  void note_opening(u32 flags) {
    ++openings_;
    writers_ += (flags & kOpenAccessMask) != kOpenReadOnly ? 1 : 0;
  }
  void note_closing(u32 flags) {
    --openings_;
    writers_ -= (flags & kOpenAccessMask) != kOpenReadOnly ? 1 : 0;
  }

  // Where data begins, or a hole, from `offset` on; the file's end is a hole. -kENXIO: at or behind the end,
  // or no data follows.
  [[nodiscard]] i64 seek_data(u64 offset) const;
  [[nodiscard]] i64 seek_hole(u64 offset) const;
  // How many of these pages hold data; of a mapped file, all that it has.
  [[nodiscard]] u64 pages_with_data(PageRun run) const;
  i64 read(IoBuffer to, u64 bytes, u64 offset);
  i64 write(IoBuffer from, u64 bytes, u64 offset);
  // Seals (seals.h). Errors of add_seals: kEPERM (sealed against it), kEBUSY (kSealWrite, and a program could
  // write by a mapping; a seal against writing, and a hole is being made). A name's file begins with
  // kSealSeal.
  [[nodiscard]] u32 seals() const { return seals_; }
  void begin_seals(u32 seals) { seals_ = seals; }
  i64 add_seals(u32 seals);
  // Errors: kEPERM (a seal), kENOSPC.
  i64 punch(u64 offset, u64 bytes);
  // Charges the whole range, or nothing of it. Errors: kENOSPC.
  i64 allocate(u64 offset, u64 bytes);
  // The object (the reference is the caller's), made to end where the file ends from now on. Errors: kENOMEM.
  // Private mappings of what is in the archive go on to show that when the file changes.
  ErrnoOr<MemoryObject*> mappable_object(Sharing sharing);
  // Makes the empty file's contents the part of the archive from that page on; zeros follow them in their
  // last page. False: the file system is full, and nothing has changed.
  [[nodiscard]] bool show(ArchivePart part, u64 bytes);

 private:
  static constexpr u64 kPieceBytes = u64{4} << 20;

  // How much of a write the seals let through (mm/shmem.c, shmem_write_begin: page by page).
  [[nodiscard]] u64 writable_bytes(u64 offset, u64 bytes) const;
  static i64 in_pieces(u64 bytes, FunctionRef<i64(u64 done, u64 piece)> one);
  i64 read_piece(IoBuffer to, u64 bytes, u64 offset);
  i64 write_piece(IoBuffer from, u64 bytes, u64 offset);
  i64 write_by_pages(IoBuffer from, u64 bytes, u64 offset);
  // Errors: kENOSPC, and nothing has changed.
  i64 reserve_small(u64 bytes);
  i64 write_small(IoBuffer from, u64 bytes, u64 offset);
  i64 write_object(IoBuffer from, u64 bytes, u64 offset);
  // Gives the file an object with room for `bytes`. Errors: kNoMemory, kLimit; it is then as before.
  Result<void> leave_small(u64 bytes);
  // Gives the file its own copy of its first `kept` bytes of the archive, and ends it there. Errors:
  // kNoMemory, kLimit; it is then as before. Without bytes it cannot fail.
  Result<void> leave_archive(u64 kept);
  ErrnoOr<MemoryObject*> own_object();
  // The name that maps show.
  void name_object();
  // Charges the pages of a write to the object; how many of the bytes they cover, 0 when the file system is
  // full.
  u64 charge(u64 offset, u64 bytes);
  void forget_pages(u64 from);
  // Where `bytes` > 0 bytes from `offset` on can be read, fallibly. Errors: kNoMemory.
  Result<const char*> contents(u64 offset, u64 bytes);
  i64 wrote(u64 offset, const IoBuffer::Copied& copied);
  i64 shrink_object(u64 bytes);
  i64 grow_object(u64 bytes);
  // Gives the object room for `bytes`. Precondition: there is one.
  Result<void> reserve(u64 bytes);
  // Zeroes [begin, end), inside one page, as far as the object has it.
  Result<void> zero_in_page(u64 begin, u64 end);
  Result<void> zero_written(u64 begin, u64 end);

  SmallContents small_;       // the bytes below data_end_, while there is no object
  ArchivePart part_;          // where all bytes are; then object_ is a view, or null
  Ref<MemoryObject> object_;  // null while the file is small and was never mapped
  ObjectWindow window_;
  PageRuns written_;  // pages of the object that calls wrote
  TmpfsCharge charge_;
  u64 bytes_ = 0;
  u64 data_end_ = 0;  // bytes from here on were never written by a call: a hole, unless mapped_
  HeapBuffer given_name_;
  u32 seals_ = kSealSeal;
  u32 openings_ = 0;
  u32 writers_ = 0;
  bool mapped_ = false;  // programs see the object's end: no room beyond the file's
};

}  // namespace nopte::guest::files
