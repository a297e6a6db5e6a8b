// Reading and writing packets of pipes: out of the way of pipes without any.
#include "guest-mm/kernel/files/pipes/pipe.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

i64 PipeInode::read_packet(IoBuffer to, u64 bytes) {
  const PipePackets::Portion portion = ring.packets().portion(bytes);
  const IoBuffer::Copied copied = ring.copy_out(to, portion.copied);
  if (copied.bytes == 0) {
    return to_errno(copied.status);
  }
  drop(copied.bytes == portion.copied ? portion.dropped : copied.bytes);
  return static_cast<i64>(copied.bytes);
}

i64 PipeInode::write_packets(IoBuffer from, u64 bytes, u32 flags) {
  u64 done = 0;
  const u64 odd = bytes % kPageBytes;
  bool joins = odd != 0 && ring.joins_last_page(odd);
  while (done < bytes) {
    if (const i64 ready = wait_for_room(joins ? odd : kPageBytes, flags); ready <= 0) {
      return done != 0 ? static_cast<i64>(done) : ready;
    }
    const bool tells = ring.used() == 0 || polled;
    const IoBuffer::Copied copied =
        joins ? ring.put(from, odd) : ring.put_packet(from.after(done), bytes - done);
    joins = false;
    if (tells && copied.bytes != 0) {
      wake(readers_queue);
    }
    done += copied.bytes;
    if (copied.status != Status::kOk) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
  }
  return static_cast<i64>(done);
}

}  // namespace nopte::guest::files
