#include "guest-mm/kernel/files/pipes/pipe.h"

#include <bit>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

constexpr u32 kFionread = 0x541b;

class PipeEnd final : public File {
 public:
  PipeEnd(PipeInode& pipe, u32 flags) : File(Ref<Inode>(&pipe), flags), pipe_(pipe) {
    pipe_.attach(flags);
    if (pipe_.named && pipe_.writers == 0) {
      writers_before_ = pipe_.writer_generation;
    }
  }
  ~PipeEnd() override { pipe_.detach(flags()); }

  i64 read(IoBuffer to, u64 bytes, u64) override { return pipe_.read(to, bytes, flags()); }
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    if (flags() & kOpenDirect) [[unlikely]] {
      return pipe_.write_packets(from, bytes, flags());
    }
    return pipe_.write(from, bytes, flags());
  }
  u32 poll() override {
    u32 events = 0;
    pipe_.polled = true;
    if (readable()) {
      events |= pipe_.ring.used() != 0 ? kPollIn | kPollReadNormal : 0;
      const bool hung_up = pipe_.writers == 0 && pipe_.writer_generation != writers_before_;
      events |= hung_up ? kPollHangUp : 0;
    }
    if (writable()) {
      events |= pipe_.ring.room() >= PipeRing::kAtomicBytes ? kPollOut | kPollWriteNormal : 0;
      events |= pipe_.readers == 0 ? kPollError : 0;
    }
    return events;
  }
  [[nodiscard]] bool signals_events() const override { return true; }
  WaitQueue* poll_queue() override { return readable() ? &pipe_.readers_queue : &pipe_.writers_queue; }
  i64 ioctl(u32 request, u64 argument) override {
    return request == kFionread ? put_user(argument, static_cast<i32>(pipe_.ring.used())) : -kENOTTY;
  }

 private:
  PipeInode& pipe_;         // held by the base
  u64 writers_before_ = 0;  // the generation in which no writer had come for this reader yet
};

bool reads(u32 flags) { return (flags & kOpenAccessMask) != kOpenWriteOnly; }
bool writes(u32 flags) { return (flags & kOpenAccessMask) != kOpenReadOnly; }

}  // namespace

bool PipeInode::begin() {
  const u64 bytes = pages_.begin();
  if (bytes == 0) {
    return false;
  }
  ring.set_capacity(bytes);
  return true;
}

void PipeInode::attach(u32 flags) {
  if (reads(flags)) {
    ++readers;
    ++reader_generation;
    wake(writers_queue);
  }
  if (writes(flags)) {
    ++writers;
    ++writer_generation;
    wake(readers_queue);
  }
}

void PipeInode::detach(u32 flags) {
  if (reads(flags) && --readers == 0) {
    wake(writers_queue);
  }
  if (writes(flags) && --writers == 0) {
    wake(readers_queue);
  }
  if (readers == 0 && writers == 0) {
    ring = PipeRing();
    pages_.end();
  }
}

i64 PipeInode::wait_for_a_writer(u32 flags) {
  while (ring.used() == 0) {
    if (writers == 0) {
      return 0;
    }
    if (flags & kOpenNonBlock) {
      return -kEAGAIN;
    }
    if (block_on(readers_queue) == WakeReason::kSignal) {
      return -kERESTARTSYS;
    }
  }
  return 1;
}

i64 PipeInode::wait_for_a_reader(u64 bytes, u32 flags) {
  for (;;) {
    if (readers == 0) {
      send_signal(current(), kSIGPIPE);
      return -kEPIPE;
    }
    if (ring.room() >= bytes) {
      return 1;
    }
    if (flags & kOpenNonBlock) {
      return -kEAGAIN;
    }
    if (block_on(writers_queue) == WakeReason::kSignal) {
      return -kERESTARTSYS;
    }
  }
}

u64 pipe_capacity_for(u64 bytes) { return std::bit_ceil(std::max(bytes, kPageBytes)); }

i64 PipeInode::set_capacity(u64 bytes) {
  if (bytes > kMostPipeBytes) {
    return -kEINVAL;
  }
  const u64 rounded = pipe_capacity_for(bytes);
  if (rounded > ring.capacity() && rounded > g_pipe_limits.largest_bytes &&
      !capable(Capability::kSysResource)) {
    return -kEPERM;
  }
  if (rounded < ring.occupied()) {
    return -kEBUSY;
  }
  if (!pages_.change(rounded / kPageBytes, rounded > ring.capacity())) {
    return -kEPERM;
  }
  const bool was_full = ring.room() < PipeRing::kAtomicBytes;
  ring.set_capacity(rounded);
  if (was_full) {
    wake(writers_queue);
  }
  return static_cast<i64>(rounded);
}

void PipeInode::gained_room(u64 room_before) {
  if (room_before < PipeRing::kAtomicBytes && ring.room() >= PipeRing::kAtomicBytes) {
    wake(writers_queue);
  }
}

void PipeInode::drop(u64 bytes) {
  const u64 room_before = ring.room();
  ring.drop(bytes);
  gained_room(room_before);
}

IoBuffer::Copied PipeInode::put(IoBuffer from, u64 bytes) {
  const bool tells = ring.used() == 0 || polled;
  const IoBuffer::Copied copied = ring.put(from, bytes);
  if (tells && copied.bytes != 0) {
    wake_some(readers_queue);
  }
  return copied;
}

inline i64 PipeInode::read_now(IoBuffer to, u64 bytes) {
  if (ring.packets().any()) [[unlikely]] {
    return read_packet(to, bytes);
  }
  const IoBuffer::Copied copied = ring.copy_out(to, bytes);
  if (copied.bytes == 0) {
    return to_errno(copied.status);
  }
  const u64 room_before = ring.room();
  ring.drop_plain(copied.bytes);
  gained_room(room_before);
  return static_cast<i64>(copied.bytes);
}

i64 PipeInode::read_when_there_is(IoBuffer to, u64 bytes, u32 flags) {
  i64 result = 0;
  while (ring.used() == 0) {
    if (writers == 0) {
      return 0;
    }
    if (flags & kOpenNonBlock) {
      return -kEAGAIN;
    }
    if (block_to_take(readers_queue) == WakeReason::kSignal) {
      result = -kERESTARTSYS;
      break;
    }
  }
  if (result == 0) {
    result = read_now(to, bytes);
  }
  if (ring.used() != 0) {
    wake_some(readers_queue);
  }
  return result;
}

i64 PipeInode::read(IoBuffer to, u64 bytes, u32 flags) {
  if (bytes == 0) {
    return 0;
  }
  return ring.used() == 0 ? read_when_there_is(to, bytes, flags) : read_now(to, bytes);
}

i64 PipeInode::write(IoBuffer from, u64 bytes, u32 flags) {
  u64 done = 0;
  while (done < bytes) {
    const u64 left = bytes - done;
    // Up to PIPE_BUF goes in whole or not at all. A blocking writer of more waits for as much room, so that
    // two sides do not change places for every byte.
    const bool whole = bytes <= PipeRing::kAtomicBytes;
    const u64 needed = whole ? bytes : flags & kOpenNonBlock ? 1 : std::min(left, PipeRing::kAtomicBytes);
    if (const i64 ready = wait_for_room(needed, flags); ready <= 0) {
      return done != 0 ? static_cast<i64>(done) : ready;
    }
    const IoBuffer::Copied copied = put(from.after(done), left);
    done += copied.bytes;
    if (copied.status != Status::kOk) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
  }
  return static_cast<i64>(done);
}

ErrnoOr<Ref<File>> PipeInode::open(u32 flags) {
  if (named && writes(flags) && !reads(flags) && (flags & kOpenNonBlock) && readers == 0) {
    return ErrnoFail(kENXIO);
  }
  const bool first = readers == 0 && writers == 0;
  if (first && !begin()) {
    return ErrnoFail(kENOMEM);
  }
  Ref<File> end = make_counted<PipeEnd>(*this, flags);
  if (!end) {
    if (first) pages_.end();
    return ErrnoFail(kENOMEM);
  }
  if (!named || (flags & kOpenNonBlock) || (reads(flags) && writes(flags))) {
    return end;
  }
  const u32& others = reads(flags) ? writers : readers;
  const u64& generation = reads(flags) ? writer_generation : reader_generation;
  const u64 before = generation;
  while (others == 0 && generation == before) {
    if (block_on(reads(flags) ? readers_queue : writers_queue) == WakeReason::kSignal) {
      return ErrnoFail(kERESTARTSYS);
    }
  }
  return end;
}

ErrnoOr<PipeEnds> make_pipe(u32 flags) {
  const Ref<PipeInode> pipe = make_counted<PipeInode>(0600u, PipeInode::Named::kNo);
  if (!pipe || !pipe->begin()) {
    return ErrnoFail(kENFILE);
  }
  PipeEnds ends{make_counted<PipeEnd>(*pipe, (flags & ~kOpenDirect) | kOpenReadOnly),
                make_counted<PipeEnd>(*pipe, flags | kOpenWriteOnly)};
  if (!ends.read_end || !ends.write_end) {
    return ErrnoFail(kENFILE);
  }
  return ends;
}

Ref<Inode> make_fifo(u32 permissions) { return make_counted<PipeInode>(permissions, PipeInode::Named::kYes); }

}  // namespace nopte::guest::files
