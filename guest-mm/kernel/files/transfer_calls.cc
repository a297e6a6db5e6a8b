// read, write and their relatives.
#include <algorithm>

#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/copy_between.h"
#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/inode_flags.h"
#include "guest-mm/kernel/files/io_vectors.h"
#include "guest-mm/kernel/files/pipes/pipe.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

enum class Direction : bool { kRead, kWrite };

i64 usable(const File* file, Direction direction) {
  const bool allowed = file != nullptr && !file->path_only() &&
                       (direction == Direction::kRead ? file->readable() : file->writable());
  return allowed ? 0 : -kEBADF;
}

// Reads or writes at the file's position and moves it.
i64 transfer(File& file, Direction direction, IoBuffer buffer, u64 bytes) {
  bytes = std::min(bytes, kTransferLimit);
  if (direction == Direction::kRead) {
    const i64 done = file.read(buffer, bytes, file.position);
    if (done > 0 && file.seekable()) {
      file.position += static_cast<u64>(done);
      notify(*file.inode(), kAccessed);
    }
    return done;
  }
  const u64 asked = bytes;
  bytes = within_file_limit(file, file.append() ? file.end_bytes() : file.position, bytes);
  if (bytes == 0 && asked != 0) {
    return -kEFBIG;
  }
  u64 end = 0;
  const i64 done = file.write(buffer, bytes, file.position, &end);
  if (done > 0 && file.seekable()) {
    file.position = end != 0 ? end : file.position + static_cast<u64>(done);
    notify(*file.inode(), kModified);
  }
  return done;
}

// The positioned form: the file's own position stays.
i64 transfer_at(File& file, Direction direction, IoBuffer buffer, u64 bytes, u64 offset) {
  bytes = std::min(bytes, kTransferLimit);
  if (direction == Direction::kRead) {
    return told(file, kAccessed, file.read(buffer, bytes, offset));
  }
  const u64 allowed = within_file_limit(file, file.append() ? file.end_bytes() : offset, bytes);
  return allowed == 0 && bytes != 0 ? -kEFBIG
                                    : told(file, kModified, file.write(buffer, allowed, offset, nullptr));
}

// In the order of Linux's answers.
i64 usable_at(const File* file, Direction direction, u64 offset) {
  if (static_cast<i64>(offset) < 0) {
    return -kEINVAL;
  }
  return file != nullptr && !file->path_only() && !file->seekable() ? -kESPIPE : usable(file, direction);
}

i64 positioned(const SyscallArgs& args, Direction direction) {
  File* const file = file_of(args.a0);
  if (const i64 error = usable_at(file, direction, args.a3); error != 0) {
    return error;
  }
  return transfer_at(*file, direction, IoBuffer::user(args.a1), args.a2, args.a3);
}

i64 vectored(const SyscallArgs& args, Direction direction) {
  File* const file = file_of(args.a0);
  if (const i64 error = usable(file, direction); error != 0) {
    return error;
  }
  const Ref<File> hold = held(file);
  if (net::Socket* const socket = file->inode() == nullptr ? nullptr : file->inode()->as_socket()) {
    net::IoCursor parts;  // one message, not one for each part
    if (const i64 error = parts.load(args.a1, static_cast<u32>(args.a2)); error != 0) {
      return error == -kEMSGSIZE ? -kEINVAL : error;
    }
    return direction == Direction::kRead ? net::read_parts(*file, *socket, parts)
                                         : net::write_parts(*file, *socket, parts);
  }
  return for_each_vector(args.a1, static_cast<u32>(args.a2), [&](u64 address, u64 bytes, u64 done) -> i64 {
    // What a stream gave already must not wait for more.
    if (done != 0 && direction == Direction::kRead && !file->seekable() && !(file->poll() & kPollIn)) {
      return 0;
    }
    return transfer(*file, direction, IoBuffer::user(address), bytes);
  });
}

i64 vectored_at(const SyscallArgs& args, Direction direction) {
  File* const file = file_of(args.a0);
  const u64 offset = args.a3;
  if (const i64 error = usable_at(file, direction, offset); error != 0) {
    return error;
  }
  return for_each_vector(args.a1, static_cast<u32>(args.a2), [&](u64 address, u64 bytes, u64 done) {
    return transfer_at(*file, direction, IoBuffer::user(address), bytes, offset + done);
  });
}

// Whether RWF_NOWAIT means something for the file (Linux's FMODE_NOWAIT, and iterators). None of these lets
// others run in a transfer that does not wait, so that nobody sees its file's flag in between.
bool can_do_without_waiting(const File& file, Direction direction) {
  const Inode& inode = *file.inode();
  switch (inode.device_of_file_system()) {
    case kPipeDevice:
    case kSocketDevice:
      return true;
    case kAnonymousDevice: {
      const AnonymousInode* const kind = file.inode()->as_anonymous();
      return kind != nullptr && kind->kind() != AnonymousKind::kEventPoll && direction == Direction::kRead;
    }
    default:
      break;
  }
  constexpr u64 kNull = device_number(1, 3), kZero = device_number(1, 5), kRandom = device_number(1, 8),
                kRandomToo = device_number(1, 9);
  return inode.type() == kModeCharacter && (inode.device == kNull || inode.device == kZero ||
                                            inode.device == kRandom || inode.device == kRandomToo);
}

// preadv2, pwritev2: at the position for an offset of -1. What asks for nothing but speed or safety is there.
i64 vectored_with_flags(const SyscallArgs& args, Direction direction) {
  constexpr u32 kHighPriority = 1, kDataSync = 2, kSync = 4, kNoWait = 8, kAppend = 0x10, kNoAppend = 0x20;
  u32 flags = static_cast<u32>(args.a5);
  File* const file = file_of(args.a0);
  const bool here = static_cast<i64>(args.a3) == -1;
  if (const i64 error = here ? usable(file, direction) : usable_at(file, direction, args.a3); error != 0) {
    return error;
  }
  const bool may_not_wait = (flags & kNoWait) != 0 && can_do_without_waiting(*file, direction);
  flags &= may_not_wait ? ~kNoWait : ~0u;
  if ((flags & ~(kHighPriority | kDataSync | kSync | kAppend | kNoAppend)) != 0) {
    return -kEOPNOTSUPP;
  }
  if ((flags & kAppend) != 0 && (flags & kNoAppend) != 0) {
    return -kEINVAL;
  }
  if ((flags & kNoAppend) != 0 && direction == Direction::kWrite && has_flag(*file->inode(), kFlagAppend)) {
    return -kEPERM;
  }
  const auto move = [&] { return here ? vectored(args, direction) : vectored_at(args, direction); };
  if (may_not_wait && !file->non_blocking()) {
    const Ref<File> hold = held(file);
    file->set_status_flags(file->flags() | kOpenNonBlock);
    const i64 moved = move();
    file->set_status_flags(file->flags() & ~kOpenNonBlock);
    return moved;
  }
  if ((flags & (kAppend | kNoAppend)) == 0 || !file->seekable()) {
    return move();
  }
  // What has a position does not wait: nobody sees the file in between.
  const u32 before = file->flags();
  file->set_status_flags((flags & kAppend) != 0 ? before | kOpenAppend : before & ~kOpenAppend);
  const i64 moved = move();
  file->set_status_flags(before);
  return moved;
}

}  // namespace

i64 sys_read(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (const i64 error = usable(file, Direction::kRead); error != 0) {
    return error;
  }
  const Ref<File> hold = held(file);
  return transfer(*file, Direction::kRead, IoBuffer::user(args.a1), args.a2);
}

i64 sys_write(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (const i64 error = usable(file, Direction::kWrite); error != 0) {
    return error;
  }
  const Ref<File> hold = held(file);
  return transfer(*file, Direction::kWrite, IoBuffer::user(args.a1), args.a2);
}

i64 sys_pread64(const SyscallArgs& args) { return positioned(args, Direction::kRead); }
i64 sys_pwrite64(const SyscallArgs& args) { return positioned(args, Direction::kWrite); }
i64 sys_readv(const SyscallArgs& args) { return vectored(args, Direction::kRead); }
i64 sys_writev(const SyscallArgs& args) { return vectored(args, Direction::kWrite); }
i64 sys_preadv(const SyscallArgs& args) { return vectored_at(args, Direction::kRead); }
i64 sys_pwritev(const SyscallArgs& args) { return vectored_at(args, Direction::kWrite); }

i64 sys_preadv2(const SyscallArgs& args) { return vectored_with_flags(args, Direction::kRead); }
i64 sys_pwritev2(const SyscallArgs& args) { return vectored_with_flags(args, Direction::kWrite); }

i64 sys_lseek(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) {
    return -kEBADF;
  }
  constexpr u32 kSeekData = 3;
  constexpr u32 kSeekHole = 4;
  if (static_cast<u32>(args.a2) > kSeekHole) {
    return -kEINVAL;
  }
  if (!file->seekable()) {
    // As noop_llseek.
    return file->inode()->as_anonymous() != nullptr || file->as_inotify() != nullptr ? 0 : -kESPIPE;
  }
  if (file->inode()->type() == kModeCharacter) {
    return 0;
  }
  const i64 offset = static_cast<i64>(args.a1);
  i64 base = 0;
  switch (static_cast<u32>(args.a2)) {
    case static_cast<u32>(Whence::kSet):
      break;
    case static_cast<u32>(Whence::kCurrent):
      base = static_cast<i64>(file->position);
      break;
    case static_cast<u32>(Whence::kEnd):
      base = static_cast<i64>(file->end_bytes());
      break;
    case kSeekData:
    case kSeekHole: {
      const TmpfsFile* const data = file->inode()->as_tmpfs_file();
      if (data == nullptr) {
        return -kEINVAL;
      }
      const i64 found = offset < 0                               ? -kENXIO
                        : static_cast<u32>(args.a2) == kSeekHole ? data->seek_hole(static_cast<u64>(offset))
                                                                 : data->seek_data(static_cast<u64>(offset));
      if (found >= 0) {
        file->position = static_cast<u64>(found);
      }
      return found;
    }
    default:
      return -kEINVAL;
  }
  i64 position = 0;
  if (__builtin_add_overflow(base, offset, &position) || position < 0) {
    return -kEINVAL;
  }
  file->position = static_cast<u64>(position);
  return position;
}

// sendfile(out, in, offset*, count): through a kernel buffer.
i64 sys_sendfile(const SyscallArgs& args) {
  File* const out = file_of(args.a0);
  File* const in = file_of(args.a1);
  if (usable(out, Direction::kWrite) != 0 || usable(in, Direction::kRead) != 0) {
    return -kEBADF;
  }
  const Ref<File> hold_out = held(out);
  const Ref<File> hold_in = held(in);
  const bool own_position = args.a2 == 0;
  u64 offset = in->position;
  if (!own_position) {
    if (!in->seekable()) {
      return -kESPIPE;
    }
    if (const i64 error = get_user(offset, args.a2); error != 0) {
      return error;
    }
    if (static_cast<i64>(offset) < 0) {
      return -kEINVAL;
    }
  }
  if (args.a3 == 0 && in->seekable() && !out->append()) {
    return 0;
  }
  if (in->inode()->is_directory() || !in->seekable() || !in->splices_out() || !out->splices_in() ||
      (out->append() && out->inode()->as_pipe() == nullptr)) {
    return -kEINVAL;
  }
  const i64 done = copy_between(
      *in, offset, std::min(args.a3, kTransferLimit),
      [&](IoBuffer buffer, u64 got, u64) { return transfer(*out, Direction::kWrite, buffer, got); });
  const u64 end = offset + (done > 0 ? static_cast<u64>(done) : 0);
  if (own_position) {
    in->position = end;
  } else if (const i64 fault = put_user(args.a2, end); fault != 0) {
    return fault;
  }
  return told(*in, kAccessed, done);
}

}  // namespace nopte::guest
