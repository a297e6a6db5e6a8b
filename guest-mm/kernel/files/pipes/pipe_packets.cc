#include "guest-mm/kernel/files/pipes/pipe_packets.h"

#include <algorithm>
#include <cstring>

namespace nopte::guest::files {

bool PipePackets::reserve() {
  if ((end_ + 1) * sizeof(Packet) <= storage_.bytes()) {
    return true;
  }
  const u64 count = end_ - first_;
  if (first_ != 0 && count <= end_ / 2) {
    std::memmove(packets(), packets() + first_, count * sizeof(Packet));
  } else {
    constexpr u64 kFirstPackets = 16;
    HeapBuffer bigger(std::max(2 * count, kFirstPackets) * sizeof(Packet));
    if (!bigger) {
      return false;
    }
    if (count != 0) {
      std::memcpy(bigger.data(), packets() + first_, count * sizeof(Packet));
    }
    storage_ = std::move(bigger);
  }
  first_ = 0;
  end_ = count;
  return true;
}

void PipePackets::add(u64 used, u64 bytes) {
  const u64 wasted = kPageBytes - bytes;
  packets()[end_++] = {front_ + used - bytes, front_ + used, wasted};
  wasted_ += wasted;
}

void PipePackets::drop(u64 bytes) {
  front_ += bytes;
  while (first_ != end_ && packets()[first_].end <= front_) {
    wasted_ -= packets()[first_++].wasted;
  }
  if (first_ == end_) {
    first_ = end_ = front_ = 0;
  }
}

PipePackets::Portion PipePackets::portion(u64 bytes) const {
  const Packet& packet = packets()[first_];
  const u64 before = packet.begin > front_ ? packet.begin - front_ : 0;
  if (bytes <= before) {
    return {bytes, bytes};
  }
  const u64 end = packet.end - front_;
  return {std::min(bytes, end), end};
}

}  // namespace nopte::guest::files
