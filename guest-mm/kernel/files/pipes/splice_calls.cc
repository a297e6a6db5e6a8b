// splice, tee, vmsplice. Bytes are copied, not moved: there are no pages to give away.
#include <algorithm>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_vectors.h"
#include "guest-mm/kernel/files/pipes/pipe.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u32 kSpliceNonBlock = 2;
constexpr u32 kSpliceFlags = 0xf;  // move, nonblock, more, gift
constexpr u64 kBufferBytes = 32 << 10;

PipeInode* pipe_of(const File& file) { return file.inode()->as_pipe(); }

// Where bytes of the call's file side are: at the offset that the program gave, or at the file's position.
struct Place {
  u64 given = 0;  // address, or 0
  u64 offset = 0;

  // 0, or a negative errno.
  i64 load(const File& file, u64 address) {
    given = address;
    offset = file.position;
    if (given == 0) {
      return 0;
    }
    if (!file.seekable()) {
      return -kEINVAL;
    }
    if (const i64 error = get_user(offset, given); error != 0) {
      return error;
    }
    return static_cast<i64>(offset) < 0 ? -kEINVAL : 0;
  }
  // The call's answer, after `done` bytes or a negative errno.
  i64 finish(File& file, i64 done) const {
    if (done <= 0) {
      return done;
    }
    const u64 end = offset + static_cast<u64>(done);
    if (given != 0) {
      const i64 error = put_user(given, end);
      return error != 0 ? error : done;
    }
    if (file.seekable()) {
      file.position = end;
    }
    return done;
  }
};

// What is in the pipe, until the file takes less than it is given.
i64 from_pipe(PipeInode& pipe, File& out, u64 offset, u64 bytes, u32 flags) {
  const HeapBuffer buffer(std::min(bytes, kBufferBytes));
  if (!buffer) {
    return -kENOMEM;
  }
  if (const i64 ready = pipe.wait_for_data(flags); ready <= 0) {
    return ready;
  }
  u64 done = 0;
  while (done < bytes && pipe.ring.used() != 0) {
    const u64 most = std::min(bytes - done, buffer.bytes());
    const u64 got = pipe.ring.copy_out(IoBuffer::kernel(static_cast<void*>(buffer.data())), most).bytes;
    const u64 allowed = within_file_limit(out, offset + done, got);
    const i64 taken = allowed == 0 ? -kEFBIG
                                   : out.write(IoBuffer::kernel(static_cast<const void*>(buffer.data())),
                                               allowed, offset + done, nullptr);
    if (taken <= 0) {
      return done != 0 ? static_cast<i64>(done) : taken;
    }
    // Whoever read meanwhile took the same bytes, and there may be fewer.
    pipe.drop(std::min(static_cast<u64>(taken), pipe.ring.used()));
    done += static_cast<u64>(taken);
    if (static_cast<u64>(taken) < got) {
      break;
    }
  }
  return static_cast<i64>(done);
}

// As much as the pipe has room for.
i64 to_pipe(File& in, u64 offset, PipeInode& pipe, u64 bytes, u32 flags) {
  if (const i64 ready = pipe.wait_for_room(1, flags); ready <= 0) {
    return ready;
  }
  const HeapBuffer buffer(std::min({bytes, kBufferBytes, pipe.ring.room()}));
  if (!buffer) {
    return -kENOMEM;
  }
  u64 done = 0;
  while (done < bytes && pipe.ring.room() != 0) {
    const u64 most = std::min({bytes - done, buffer.bytes(), pipe.ring.room()});
    const i64 got = in.read(IoBuffer::kernel(static_cast<void*>(buffer.data())), most, offset + done);
    if (got <= 0) {
      return done != 0 ? static_cast<i64>(done) : got;
    }
    // Its reader may have gone, or another writer come, while the file was waited for.
    const i64 put =
        pipe.write(IoBuffer::kernel(static_cast<const void*>(buffer.data())), static_cast<u64>(got), 0);
    if (put < got) {
      return put > 0 ? static_cast<i64>(done) + put : done != 0 ? static_cast<i64>(done) : put;
    }
    done += static_cast<u64>(put);
    if (!in.seekable() || static_cast<u64>(got) < most) {
      break;  // what a stream gave must not wait for more
    }
  }
  return static_cast<i64>(done);
}

enum class Bytes : bool { kGo, kStay };

// From one pipe to the other, without waiting once there is something to give and room for it.
i64 between_pipes(PipeInode& in, PipeInode& out, u64 bytes, u32 flags, Bytes left) {
  do {
    if (const i64 ready = in.wait_for_data(flags); ready <= 0) {
      return ready;
    }
    if (const i64 ready = out.wait_for_room(1, flags); ready <= 0) {
      return ready;
    }
  } while (in.ring.used() == 0);  // room was waited for
  bytes = std::min({bytes, in.ring.used(), out.ring.room()});
  const HeapBuffer buffer(bytes);
  if (!buffer) {
    return -kENOMEM;
  }
  const u64 got = in.ring.copy_out(IoBuffer::kernel(static_cast<void*>(buffer.data())), bytes).bytes;
  const IoBuffer::Copied copied = out.put(IoBuffer::kernel(static_cast<const void*>(buffer.data())), got);
  if (copied.bytes == 0) {
    return to_errno(copied.status);
  }
  if (left == Bytes::kGo) {
    in.drop(copied.bytes);
  }
  return static_cast<i64>(copied.bytes);
}

u32 waiting_of(const File& one, const File& other, u64 flags) {
  const bool never = (flags & kSpliceNonBlock) || one.non_blocking() || other.non_blocking();
  return never ? kOpenNonBlock : 0;
}

bool can_read(const File* file) { return file != nullptr && !file->path_only() && file->readable(); }
bool can_write(const File* file) { return file != nullptr && !file->path_only() && file->writable(); }

}  // namespace

// splice(in, in_offset*, out, out_offset*, bytes, flags)
i64 sys_splice(const SyscallArgs& args) {
  const u64 bytes = std::min(args.a4, kTransferLimit);
  const u32 flags = static_cast<u32>(args.a5);
  if (bytes == 0) {
    return 0;
  }
  if (flags & ~kSpliceFlags) {
    return -kEINVAL;
  }
  const Ref<File> in(file_of(args.a0));
  const Ref<File> out(file_of(args.a2));
  if (!can_read(in.get()) || !can_write(out.get())) {
    return -kEBADF;
  }
  PipeInode* const from = pipe_of(*in);
  PipeInode* const to = pipe_of(*out);
  if ((from != nullptr && args.a1 != 0) || (to != nullptr && args.a3 != 0)) {
    return -kESPIPE;
  }
  if (from != nullptr && to != nullptr) {
    return from == to ? -kEINVAL : between_pipes(*from, *to, bytes, waiting_of(*in, *out, flags), Bytes::kGo);
  }
  const u32 waiting = flags & kSpliceNonBlock ? kOpenNonBlock : 0;
  Place place;
  if (from != nullptr) {
    if (const i64 error = place.load(*out, args.a3); error != 0) {
      return error;
    }
    if (out->append() || !out->splices_in()) {
      return -kEINVAL;
    }
    return place.finish(*out,
                        from_pipe(*from, *out, place.offset, bytes, waiting | (in->flags() & kOpenNonBlock)));
  }
  if (to == nullptr || in->inode()->is_directory() || !in->splices_out()) {
    return -kEINVAL;
  }
  if (const i64 error = place.load(*in, args.a1); error != 0) {
    return error;
  }
  return place.finish(*in, to_pipe(*in, place.offset, *to, bytes, waiting | (out->flags() & kOpenNonBlock)));
}

// tee(in, out, bytes, flags)
i64 sys_tee(const SyscallArgs& args) {
  const u64 bytes = std::min(args.a2, kTransferLimit);
  const u32 flags = static_cast<u32>(args.a3);
  if (flags & ~kSpliceFlags) {
    return -kEINVAL;
  }
  if (bytes == 0) {
    return 0;
  }
  const Ref<File> in(file_of(args.a0));
  const Ref<File> out(file_of(args.a1));
  if (!can_read(in.get()) || !can_write(out.get())) {
    return -kEBADF;
  }
  PipeInode* const from = pipe_of(*in);
  PipeInode* const to = pipe_of(*out);
  if (from == nullptr || to == nullptr || from == to) {
    return -kEINVAL;
  }
  return between_pipes(*from, *to, bytes, waiting_of(*in, *out, flags), Bytes::kStay);
}

// vmsplice(pipe, vectors, count, flags): into the end that is written, from the one that is read.
i64 sys_vmsplice(const SyscallArgs& args) {
  const u32 flags = static_cast<u32>(args.a3);
  if (flags & ~kSpliceFlags) {
    return -kEINVAL;
  }
  const Ref<File> file(file_of(args.a0));
  if (!can_read(file.get()) && !can_write(file.get())) {
    return -kEBADF;
  }
  PipeInode* const pipe = pipe_of(*file);
  if (pipe == nullptr) {
    return args.a2 == 0 ? 0 : -kEBADF;
  }
  const u32 waiting = (file->flags() & kOpenNonBlock) | (flags & kSpliceNonBlock ? kOpenNonBlock : 0);
  return for_each_vector(args.a1, args.a2, [&](u64 address, u64 bytes, u64 done) -> i64 {
    if (file->writable()) {
      return pipe->write(IoBuffer::user(address), bytes, waiting);
    }
    return done != 0 && pipe->ring.used() == 0 ? 0 : pipe->read(IoBuffer::user(address), bytes, waiting);
  });
}

}  // namespace nopte::guest
