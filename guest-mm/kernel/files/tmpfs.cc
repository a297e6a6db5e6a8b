#include "guest-mm/kernel/files/tmpfs.h"

#include <cstring>

#include "guest-mm/kernel/files/device_nodes.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/pipe.h"
#include "guest-mm/kernel/files/tmpfs_directory.h"
#include "guest-mm/kernel/files/tmpfs_special.h"

namespace nopte::guest::files {

namespace {

alignas(8) constinit const u8 kZeroPage[kPageBytes] = {};

// An open regular file.
class TmpfsOpenFile final : public File {
 public:
  TmpfsOpenFile(TmpfsFile& file, u32 flags) : File(Ref<Inode>(&file), flags), file_(file) {}

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
  ErrnoOr<MemoryObject*> mmap_object(Perm perm, Sharing sharing) override {
    if (!readable() || (sharing == Sharing::kShared && perm.write() && !writable())) {
      return ErrnoFail(kEACCES);
    }
    return file_.mappable_object();
  }

 private:
  TmpfsFile& file_;  // held by the base
};

}  // namespace

TmpfsFile::TmpfsFile(u32 permissions) : Inode(kModeRegular | permissions) {}

ErrnoOr<Ref<File>> TmpfsFile::open(u32 flags) {
  Ref<File> file = make_counted<TmpfsOpenFile>(*this, flags);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

// Long transfers go in pieces, so that what is installed ahead for a buffer that is not there stays small.
i64 TmpfsFile::in_pieces(u64 bytes, FunctionRef<i64(u64 done, u64 piece)> one) {
  u64 done = 0;
  while (done < bytes) {
    const u64 piece = std::min(bytes - done, kPieceBytes);
    const i64 moved = one(done, piece);
    if (moved < 0) {
      return done != 0 ? static_cast<i64>(done) : moved;
    }
    done += static_cast<u64>(moved);
    if (static_cast<u64>(moved) < piece) {
      break;
    }
  }
  return static_cast<i64>(done);
}

i64 TmpfsFile::read(IoBuffer to, u64 bytes, u64 offset) {
  if (offset >= bytes_ || bytes == 0) {
    return 0;
  }
  bytes = std::min(bytes, bytes_ - offset);
  const u64 data_end = mapped_ ? bytes_ : data_end_;
  if (bytes <= kPieceBytes && offset + bytes <= data_end) [[likely]] {
    return read_piece(to, bytes, offset);
  }
  const u64 data_bytes = offset < data_end ? std::min(bytes, data_end - offset) : 0;
  const i64 read = in_pieces(
      data_bytes, [&](u64 done, u64 piece) { return read_piece(to.after(done), piece, offset + done); });
  if (read < 0 || static_cast<u64>(read) < data_bytes || data_bytes == bytes) {
    return read;
  }
  // What was never written has no pages, and gets none by being read.
  const IoBuffer::Copied zeros = to.after(data_bytes).put_zeros(bytes - data_bytes);
  const u64 all = data_bytes + zeros.bytes;
  return all != 0 ? static_cast<i64>(all) : to_errno(zeros.status);
}

i64 TmpfsFile::write(IoBuffer from, u64 bytes, u64 offset) {
  if (bytes == 0) {
    return 0;
  }
  if (offset >= kLimitBytes) {
    return -kEFBIG;
  }
  bytes = std::min(bytes, kLimitBytes - offset);
  const i64 written =
      bytes <= kPieceBytes ? write_piece(from, bytes, offset) : in_pieces(bytes, [&](u64 done, u64 piece) {
        return write_piece(from.after(done), piece, offset + done);
      });
  if (written > 0) {
    touch_modified();
  }
  return written;
}

i64 TmpfsFile::read_piece(IoBuffer to, u64 bytes, u64 offset) {
  const Result<char*> from = window_.prepare(*object_, offset, bytes, Access::kRead);
  if (!from) {
    return to_errno(from.error());
  }
  const IoBuffer::Copied copied = to.put(*from, bytes);
  return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
}

i64 TmpfsFile::write_piece(IoBuffer from, u64 bytes, u64 offset) {
  const u64 old_end = bytes_;
  if (!reserve(offset + bytes)) {
    return -kENOSPC;
  }
  // A gap's first part lies in a page whose rest a mapping may have written.
  if (offset > old_end && mapped_ && (old_end & kPageMask) != 0 &&
      !zero_in_page(old_end, std::min(offset, bytes_to_pages(old_end) * kPageBytes))) {
    return -kENOSPC;
  }
  const Result<char*> to = window_.prepare(*object_, offset, bytes, Access::kWrite);
  if (!to) {
    return -kENOSPC;
  }
  const IoBuffer::Copied copied = from.get(*to, bytes);
  const u64 end = offset + copied.bytes;
  if (copied.status != Status::kOk) {
    // The copy may have got some way into the page at which it failed: nothing of that stays past the end.
    const u64 dirty_end = std::min(offset + bytes, (end / kPageBytes + 2) * kPageBytes);
    for (u64 at = std::max(end, mapped_ ? old_end : data_end_); at < dirty_end;) {
      const u64 page_end = std::min(dirty_end, (at / kPageBytes + 1) * kPageBytes);
      static_cast<void>(zero_in_page(at, page_end));
      at = page_end;
    }
  }
  if (copied.bytes == 0) {
    return copied.status == Status::kNoMemory ? -kENOSPC : to_errno(copied.status);
  }
  bytes_ = std::max(bytes_, end);
  data_end_ = std::max(data_end_, end);
  return static_cast<i64>(copied.bytes);
}

i64 TmpfsFile::truncate(u64 bytes) {
  if (bytes > kLimitBytes) {
    return -kEFBIG;
  }
  if (bytes < bytes_) {
    // The tail of the last page first: it must read zero when the file grows again.
    const u64 tail_end = std::min(bytes_, bytes_to_pages(bytes) * kPageBytes);
    if (bytes < tail_end && !zero_in_page(bytes, mapped_ ? bytes_to_pages(bytes) * kPageBytes : tail_end)) {
      return -kENOSPC;
    }
    if (!object_->resize(pages_to_bytes(bytes_to_pages(bytes)))) {
      return -kENOSPC;
    }
    window_.cut(bytes_to_pages(bytes));
  } else if (bytes > bytes_) {
    if (mapped_ && (bytes_ & kPageMask) != 0 && !zero_in_page(bytes_, bytes_to_pages(bytes_) * kPageBytes)) {
      return -kENOSPC;
    }
    if (!reserve(bytes)) {
      return -kENOSPC;
    }
  }
  bytes_ = bytes;
  data_end_ = std::min(data_end_, bytes);
  touch_modified();
  return 0;
}

ErrnoOr<MemoryObject*> TmpfsFile::mappable_object() {
  if (!reserve(bytes_)) {
    return ErrnoFail(kENOMEM);
  }
  if (!mapped_) {
    if (!object_->resize(pages_to_bytes(bytes_to_pages(bytes_)))) {
      return ErrnoFail(kENOMEM);
    }
    mapped_ = true;
    object_->set_inode(number);
    char path[128];
    const i64 bytes = path_of(*this, path, sizeof path);
    object_->set_name({path, bytes > 0 ? static_cast<u64>(bytes) : 0});
  }
  return Ref<MemoryObject>(object_).detach();
}

Result<void> TmpfsFile::reserve(u64 bytes) {
  const u64 pages = bytes_to_pages(bytes);
  const u64 wanted = pages_to_bytes(mapped_ ? pages : grown_pages(pages));
  if (!object_) {
    Result<Ref<MemoryObject>> object = MemoryObject::create(wanted);
    if (!object) {
      return Fail(object.error());
    }
    object_ = std::move(*object);
    return {};
  }
  return pages <= object_->pages() ? Result<void>() : object_->resize(wanted);
}

Result<void> TmpfsFile::zero_in_page(u64 begin, u64 end) {
  if (begin >= end) {
    return {};
  }
  const Result<char*> to = window_.prepare(*object_, begin, end - begin, Access::kWrite);
  if (!to) {
    return Fail(to.error());
  }
  return arch::copy_fallible(*to, kZeroPage, end - begin);
}

ErrnoOr<Ref<Inode>> tmpfs_create(u32 mode, u64 device, std::string_view link_target) {
  const u32 permissions = mode & kModePermMask;
  Ref<Inode> inode;
  switch (mode & kModeTypeMask) {
    case kModeRegular:
      inode = make_counted<TmpfsFile>(permissions);
      break;
    case kModeDirectory:
      inode = make_counted<TmpfsDirectory>(permissions);
      break;
    case kModeSymlink:
      inode = make_symlink(link_target);
      break;
    case kModeCharacter:
    case kModeBlock:
      inode = make_counted<DeviceNode>(mode, device);
      break;
    case kModeFifo:
      inode = make_fifo(permissions);
      break;
    default:
      return ErrnoFail(kEINVAL);
  }
  if (!inode) {
    return ErrnoFail(kENOSPC);
  }
  if (!inode->is_directory()) {
    inode->links = 0;
  }
  return inode;
}

}  // namespace nopte::guest::files
