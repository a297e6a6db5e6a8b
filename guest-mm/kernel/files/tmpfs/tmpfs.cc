#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

#include <cstring>

#include "guest-mm/kernel/files/devices/device_nodes.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/pipes/pipe.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_directory.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_special.h"

namespace nopte::guest::files {

namespace {

alignas(8) constinit const u8 kZeroPage[kPageBytes] = {};

}  // namespace

TmpfsFile::TmpfsFile(u32 permissions) : Inode(kModeRegular | permissions) {}

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
    return static_cast<i64>(offset + bytes) < 0 ? -kEINVAL : 0;
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
    return static_cast<i64>(offset + bytes) < 0 ? -kEINVAL : -kEFBIG;
  }
  bytes = std::min(bytes, kLimitBytes - offset);
  if (seals_ != kSealSeal) [[unlikely]] {
    bytes = writable_bytes(offset, bytes);
    if (bytes == 0) {
      return -kEPERM;
    }
  }
  const bool grows = mapped_ && from.is_user() && offset + bytes > pages_to_bytes(object_->pages());
  const i64 written = grows                  ? write_by_pages(from, bytes, offset)
                      : bytes <= kPieceBytes ? write_piece(from, bytes, offset)
                                             : in_pieces(bytes, [&](u64 done, u64 piece) {
                                                 return write_piece(from.after(done), piece, offset + done);
                                               });
  if (written > 0) {
    touch_modified();
    constexpr u32 kPrivileged = 06000;
    if ((mode & kPrivileged) != 0) [[unlikely]] {
      drop_privileged_bits(*this);
    }
  }
  return written;
}

// The buffer may be a mapping of what the write makes room for: as Linux, each page is read before the file
// grows for it.
i64 TmpfsFile::write_by_pages(IoBuffer from, u64 bytes, u64 offset) {
  const HeapBuffer page(kPageBytes);
  if (!page) {
    return -kENOSPC;
  }
  u64 done = 0;
  while (done < bytes) {
    const u64 piece = std::min(bytes - done, kPageBytes - ((offset + done) & kPageMask));
    const IoBuffer::Copied copied = from.after(done).get(page.data(), piece);
    const i64 moved = copied.bytes == 0 ? to_errno(copied.status)
                                        : write_piece(IoBuffer::kernel(static_cast<const void*>(page.data())),
                                                      copied.bytes, offset + done);
    if (moved <= 0) {
      return done != 0 ? static_cast<i64>(done) : moved;
    }
    done += static_cast<u64>(moved);
  }
  return static_cast<i64>(done);
}

i64 TmpfsFile::read_piece(IoBuffer to, u64 bytes, u64 offset) {
  const Result<const char*> from = contents(offset, bytes);
  if (!from) {
    return to_errno(from.error());
  }
  const IoBuffer::Copied copied = to.put(*from, bytes);
  return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
}

Result<const char*> TmpfsFile::contents(u64 offset, u64 bytes) {
  if (part_) {
    return part_.archive->prepare(pages_to_bytes(part_.first_page) + offset, bytes, Access::kRead);
  }
  if (!object_) {
    return small_.data() + offset;
  }
  return window_.prepare(*object_, offset, bytes, Access::kRead);
}

i64 TmpfsFile::write_piece(IoBuffer from, u64 bytes, u64 offset) {
  if (part_ && !leave_archive(bytes_)) {
    return -kENOSPC;
  }
  if (!object_) {
    if (offset + bytes <= SmallContents::kMostBytes) {
      return write_small(from, bytes, offset);
    }
    if (!leave_small(offset + bytes)) {
      return -kENOSPC;
    }
  }
  return write_object(from, bytes, offset);
}

i64 TmpfsFile::reserve_small(u64 bytes) {
  if (bytes > small_.capacity()) {
    if (!charge_.raise(SmallContents::block_bytes(bytes))) {
      return -kENOSPC;
    }
    if (!small_.reserve(bytes, data_end_)) {
      charge_.lower(small_.capacity());
      return -kENOSPC;
    }
  }
  return 0;
}

i64 TmpfsFile::write_small(IoBuffer from, u64 bytes, u64 offset) {
  if (const i64 error = reserve_small(offset + bytes); error != 0) {
    return error;
  }
  const IoBuffer::Copied copied = small_.write(from, bytes, offset, data_end_);
  return wrote(offset, copied);
}

// Where a copy into the file ended.
i64 TmpfsFile::wrote(u64 offset, const IoBuffer::Copied& copied) {
  if (copied.bytes == 0) {
    return copied.status == Status::kNoMemory ? -kENOSPC : to_errno(copied.status);
  }
  const u64 end = offset + copied.bytes;
  bytes_ = std::max(bytes_, end);
  data_end_ = std::max(data_end_, end);
  return static_cast<i64>(copied.bytes);
}

i64 TmpfsFile::write_object(IoBuffer from, u64 bytes, u64 offset) {
  const u64 old_end = bytes_, old_pages = object_->pages();
  bytes = charge(offset, bytes);
  if (bytes == 0 || !reserve(offset + bytes)) {
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
  if (copied.status != Status::kOk) {
    // The copy may have got some way into the page at which it failed: nothing of that stays past the end.
    const u64 end = offset + copied.bytes;
    const u64 dirty_end = std::min(offset + bytes, (end / kPageBytes + 2) * kPageBytes);
    for (u64 at = std::max(end, mapped_ ? old_end : data_end_); at < dirty_end;) {
      const u64 page_end = std::min(dirty_end, (at / kPageBytes + 1) * kPageBytes);
      static_cast<void>(zero_in_page(at, page_end));
      at = page_end;
    }
  }
  const i64 result = wrote(offset, copied);
  // Nobody may see pages of a file that did not become longer.
  const u64 pages = std::max(old_pages, bytes_to_pages(bytes_));
  if (copied.status != Status::kOk && mapped_ && object_->pages() > pages &&
      object_->resize(pages_to_bytes(pages))) {
    window_.cut(pages);
    forget_pages(pages);
  }
  return result;
}

u64 TmpfsFile::charge(u64 offset, u64 bytes) {
  const u64 first = offset >> kPageShift;
  PageRun run{first, bytes_to_pages(offset + bytes) - first};
  const u64 missing = written_.missing(run);
  if (missing == 0) [[likely]] {
    return bytes;
  }
  if (!charge_.raise(pages_to_bytes(written_.pages() + missing))) {
    // What still fits, as Linux writes page by page.
    run.pages = written_.prefix(run, tmpfs_use().free_bytes() >> kPageShift);
    if (!charge_.raise(pages_to_bytes(written_.pages() + written_.missing(run)))) {
      return 0;
    }
  }
  if (!written_.add(run)) {
    charge_.lower(pages_to_bytes(written_.pages()));
    return 0;
  }
  const u64 end = pages_to_bytes(run.end());
  return end > offset ? std::min(bytes, end - offset) : 0;
}

void TmpfsFile::forget_pages(u64 from) {
  written_.cut(from);
  charge_.lower(pages_to_bytes(written_.pages()));
}

Result<void> TmpfsFile::leave_small(u64 bytes) {
  const u64 pages = bytes_to_pages(std::max(bytes, bytes_));
  Result<Ref<MemoryObject>> object = MemoryObject::create(pages_to_bytes(grown_pages(pages)));
  if (!object) {
    return Fail(object.error());
  }
  if (data_end_ != 0) {
    if (!charge_.raise(kPageBytes) || !written_.add({0, 1})) {
      charge_.lower(small_.capacity());
      return Fail(Status::kNoMemory);
    }
    const Result<char*> to = window_.prepare(**object, 0, data_end_, Access::kWrite);
    const Result<void> copied =
        to ? arch::copy_fallible(*to, small_.data(), data_end_) : Result<void>(Fail(to.error()));
    if (!copied) {
      window_.close();
      written_.cut(0);
      charge_.lower(small_.capacity());
      return copied;
    }
  }
  object_ = std::move(*object);
  small_.clear();
  forget_pages(bytes_to_pages(data_end_));
  return {};
}

i64 TmpfsFile::truncate(u64 bytes) {
  if (bytes > kLimitBytes) {
    return -kEFBIG;
  }
  if ((bytes < bytes_ && (seals_ & kSealShrink) != 0) || (bytes > bytes_ && (seals_ & kSealGrow) != 0)) {
    return -kEPERM;
  }
  if (part_ && bytes != bytes_ && !leave_archive(std::min(bytes, bytes_))) {
    return -kENOSPC;
  }
  if (object_ && bytes != bytes_) {
    const i64 error = bytes < bytes_ ? shrink_object(bytes) : grow_object(bytes);
    if (error != 0) {
      return error;
    }
  } else if (!object_ && bytes == 0) {
    small_.clear();
    charge_.lower(0);
  }
  bytes_ = bytes;
  data_end_ = std::min(data_end_, bytes);
  touch_modified();
  return 0;
}

i64 TmpfsFile::shrink_object(u64 bytes) {
  const u64 pages = bytes_to_pages(bytes);
  // The tail of the last page first: it must read zero when the file grows again. A page that nobody wrote
  // does.
  const u64 tail_end = mapped_ ? pages_to_bytes(pages) : std::min(bytes_, pages_to_bytes(pages));
  if (bytes < tail_end && (mapped_ || written_.missing({pages - 1, 1}) == 0) &&
      !zero_in_page(bytes, tail_end)) {
    return -kENOSPC;
  }
  if (!object_->resize(pages_to_bytes(pages))) {
    return -kENOSPC;
  }
  window_.cut(pages);
  forget_pages(pages);
  return 0;
}

i64 TmpfsFile::grow_object(u64 bytes) {
  if (mapped_ && (bytes_ & kPageMask) != 0 && !zero_in_page(bytes_, bytes_to_pages(bytes_) * kPageBytes)) {
    return -kENOSPC;
  }
  return reserve(bytes) ? 0 : -kENOSPC;
}

Result<void> TmpfsFile::reserve(u64 bytes) {
  const u64 pages = bytes_to_pages(bytes);
  if (pages <= object_->pages()) {
    return {};
  }
  return object_->resize(pages_to_bytes(mapped_ ? pages : grown_pages(pages)));
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
    case kModeSocket:
      inode = make_socket_name(permissions);
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
