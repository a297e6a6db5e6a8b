// copy_file_range: from file to file, without the bytes seeing the program.
#include <algorithm>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/copy_between.h"
#include "guest-mm/kernel/files/events/notify.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u64 kLargestOffset = ~u64{0} >> 1;

// The offset that a call works from: the one at `address`, or the file's position where that is null.
i64 offset_of(const File& file, u64 address, u64& offset) {
  offset = file.position;
  return address == 0 ? 0 : get_user(offset, address);
}

i64 advance(File& file, u64 address, u64 offset) {
  if (address == 0) {
    file.position = offset;
    return 0;
  }
  return put_user(address, offset);
}

}  // namespace

i64 sys_copy_file_range(const SyscallArgs& args) {
  // Both are held: to allocate may sleep one day, and another process may close them.
  const Ref<File> in(file_of(args.a0));
  const Ref<File> out(file_of(args.a2));
  if (!in || !out || in->path_only() || out->path_only()) {
    return -kEBADF;
  }
  u64 from = 0;
  u64 to = 0;
  if (offset_of(*in, args.a1, from) != 0 || offset_of(*out, args.a3, to) != 0) {
    return -kEFAULT;
  }
  if (static_cast<u32>(args.a5) != 0) {
    return -kEINVAL;
  }
  if (in->inode()->is_directory() || out->inode()->is_directory()) {
    return -kEISDIR;
  }
  if (!in->inode()->is_regular() || !out->inode()->is_regular()) {
    return -kEINVAL;
  }
  if (!in->readable() || !out->writable() || out->append()) {
    return -kEBADF;
  }
  if (in->inode()->device_of_file_system() != out->inode()->device_of_file_system()) {
    return -kEXDEV;
  }
  if (from + args.a4 < from || to + args.a4 < to) {
    return -kEOVERFLOW;
  }
  if (from > kLargestOffset || to > kLargestOffset) {
    return -kEINVAL;
  }
  if (to == kLargestOffset) {
    return -kEFBIG;
  }
  const u64 end = in->end_bytes();
  const u64 bytes = std::min({args.a4, kTransferLimit, end > from ? end - from : 0});
  if (in->inode() == out->inode() && to + bytes > from && from + bytes > to && bytes != 0) {
    return -kEINVAL;
  }
  const i64 done = copy_between(*in, from, bytes, [&](IoBuffer buffer, u64 got, u64 before) -> i64 {
    const u64 allowed = within_file_limit(*out, to + before, got);
    return allowed == 0 ? -kEFBIG : out->write(buffer, allowed, to + before, nullptr);
  });
  if (done <= 0) {
    return done;
  }
  notify(*in->inode(), kAccessed);
  notify(*out->inode(), kModified);
  if (advance(*in, args.a1, from + static_cast<u64>(done)) != 0 ||
      advance(*out, args.a3, to + static_cast<u64>(done)) != 0) {
    return -kEFAULT;
  }
  return done;
}

}  // namespace nopte::guest
