// TmpfsFile: seals, and what fallocate does: room and holes.
#include <algorithm>

#include "guest-mm/core/vma.h"
#include "guest-mm/kernel/files/tmpfs/object_zeros.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest::files {

namespace {

i64 errno_of(Result<void> result) { return result ? 0 : -kENOSPC; }

}  // namespace

u64 TmpfsFile::writable_bytes(u64 offset, u64 bytes) const {
  if ((seals_ & kWriteSeals) != 0) {
    return 0;
  }
  if ((seals_ & kSealGrow) == 0 || offset + bytes <= bytes_) {
    return bytes;
  }
  const u64 whole = bytes_ & ~kPageMask;
  return offset < whole ? whole - offset : 0;
}

i64 TmpfsFile::seek_data(u64 offset) const {
  if (offset >= bytes_) {
    return -kENXIO;
  }
  if (part_ || mapped_) {
    return static_cast<i64>(offset);
  }
  if (!object_) {
    return offset < data_end_ ? static_cast<i64>(offset) : -kENXIO;
  }
  const std::optional<u64> page = written_.next_in(offset >> kPageShift);
  const u64 at = page ? std::max(offset, pages_to_bytes(*page)) : bytes_;
  return at < bytes_ ? static_cast<i64>(at) : -kENXIO;
}

i64 TmpfsFile::seek_hole(u64 offset) const {
  if (offset >= bytes_) {
    return -kENXIO;
  }
  if (part_ || mapped_) {
    return static_cast<i64>(bytes_);
  }
  u64 hole = offset;
  if (object_) {
    hole = pages_to_bytes(written_.next_out(offset >> kPageShift));
  } else if (offset < data_end_) {
    hole = pages_to_bytes(bytes_to_pages(data_end_));
  }
  return static_cast<i64>(std::min(std::max(offset, hole), bytes_));
}

u64 TmpfsFile::pages_with_data(PageRun run) const {
  if (object_ && !part_ && !mapped_) {
    return run.pages - written_.missing(run);
  }
  const u64 end = bytes_to_pages(part_ || mapped_ ? bytes_ : data_end_);
  return run.first < end ? std::min(run.end(), end) - run.first : 0;
}

i64 TmpfsFile::add_seals(u32 seals) {
  if ((seals_ & kSealSeal) != 0) {
    return -kEPERM;
  }
  const auto may_be_written = [](const RegionNode& node) {
    return node.tree->space() != SpaceId::kKernel && node.spec.sharing == Sharing::kShared &&
           (node.tag & kVmaNoWrite) == 0;
  };
  if ((seals & kSealWrite) != 0 && (seals_ & kSealWrite) == 0 && object_ && object_->any(may_be_written)) {
    return -kEBUSY;
  }
  constexpr u32 kAnyMayExecute = 0111;
  if ((seals & kSealExec) != 0 && (mode & kAnyMayExecute) != 0) {
    seals |= kSealShrink | kSealGrow | kWriteSeals;
  }
  // Linux waits for the inode's lock; to ask again is right of -EBUSY, too.
  if ((seals & ~seals_ & kWriteSeals) != 0 && object_ && is_being_zeroed(*object_)) {
    return -kEBUSY;
  }
  seals_ |= seals;
  return 0;
}

i64 TmpfsFile::allocate(u64 offset, u64 bytes) {
  if (offset >= kLimitBytes || bytes > kLimitBytes - offset) {
    return -kEFBIG;
  }
  if (offset + bytes > bytes_ && (seals_ & kSealGrow) != 0) {
    return -kEPERM;
  }
  if (part_ && !leave_archive(bytes_)) {
    return -kENOSPC;
  }
  if (!object_ && offset + bytes <= SmallContents::kMostBytes) {
    return reserve_small(offset + bytes);
  }
  if (!object_ && !leave_small(offset + bytes)) {
    return -kENOSPC;
  }
  const u64 first = offset >> kPageShift;
  const PageRun run{first, bytes_to_pages(offset + bytes) - first};
  if (!charge_.raise(pages_to_bytes(written_.pages() + written_.missing(run))) || !written_.add(run)) {
    charge_.lower(pages_to_bytes(written_.pages()));
    return -kENOSPC;
  }
  return 0;
}

i64 TmpfsFile::punch(u64 offset, u64 bytes) {
  if ((seals_ & kWriteSeals) != 0) {
    return -kEPERM;
  }
  if (part_ && !leave_archive(bytes_)) {
    return -kENOSPC;
  }
  const u64 limit = object_ ? pages_to_bytes(object_->pages()) : data_end_;
  if (offset >= limit) {
    return 0;
  }
  const u64 end = offset + std::min(bytes, limit - offset);
  touch_modified();
  if (!object_) {
    small_.zero(offset, end);
    return 0;
  }
  const Ref<Inode> self(this);
  const u64 first = bytes_to_pages(offset);
  const u64 last = end >> kPageShift;
  if (first > last) {  // inside one page
    return errno_of(zero_written(offset, end));
  }
  Result<void> done = zero_written(offset, pages_to_bytes(first));
  if (done) {
    done = zero_object_pages(*object_, first, last - first, mapped_ ? nullptr : &written_);
  }
  if (done && end <= pages_to_bytes(object_->pages())) {
    done = zero_written(pages_to_bytes(last), end);
  }
  return errno_of(done);
}

// Inside one page; a page that is not there is not made.
Result<void> TmpfsFile::zero_written(u64 begin, u64 end) {
  if (begin >= end || (!mapped_ && written_.missing({begin >> kPageShift, 1}) != 0)) {
    return {};
  }
  return zero_in_page(begin, end);
}

}  // namespace nopte::guest::files
