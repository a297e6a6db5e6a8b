// Sending and receiving, as far as it is the same for all families.
#include <algorithm>

#include "guest-mm/kernel/files/wall_clock.h"
#include "guest-mm/kernel/net/socket.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {

constexpr u64 kStampBits = u64{1} << kTimestamp | u64{1} << kTimestampNs;

UniquePtr<PassedFiles> copy_of(const PassedFiles& files) {
  UniquePtr<PassedFiles> copy = PassedFiles::make();
  for (u32 i = 0; copy && i < files.count(); ++i) {
    copy->add(files[i]);
  }
  return copy;
}

// What comes with the record's bytes: given away, or copied for one who only looks. False: no memory.
[[nodiscard]] bool give(Record& record, Receiving& message) {
  message.sender = record.sender;
  if (!record.files) {
    return true;
  }
  if (!(message.flags & kMessagePeek)) {
    message.files = std::move(record.files);
    return true;
  }
  message.files = copy_of(*record.files);
  return static_cast<bool>(message.files);
}

bool urgent_waits_behind(const Record& record) {
  const Record* next = record.next;
  while (next != nullptr && next->urgent != Record::Urgent::kWaits) {
    next = next->next;
  }
  return next != nullptr;
}

}  // namespace

// Who sent it is kept when somebody asked for it (SO_PASSCRED), or may still ask.
void Socket::append_from(Socket& sender, Record* record, Sending& message) {
  const bool wanted = options.pass_credentials || sender.options.pass_credentials || !accepted_;
  record->sender = message.names_sender || !wanted ? message.sender : sender_credentials();
  record->from = sender.name;
  record->files = std::move(message.files);
  stamp(*record);
  records_.append(record);
  wake(queue);
}

bool Socket::stamps() const { return options.bits & kStampBits; }

void Socket::stamp(Record& record) const {
  if (stamps()) {
    record.came_ns = files::wall_clock_ns();
  }
}

i64 Socket::broken(const Sending& message) {
  if (!(message.flags & kMessageNoSignal)) {
    send_signal(current(), kSIGPIPE);
  }
  return -kEPIPE;
}

void Socket::deliver(Socket& to, Record* record, Sending& message) { to.append_from(*this, record, message); }

i64 Socket::send_stream(Sending& message) {
  constexpr u64 kPieceBytes = (u64{32} << 10) - sizeof(Record);
  const Ref<Socket> to = peer;
  const u64 deadline = send_deadline();
  i64 done = 0;
  while (message.data.left() != 0) {
    if (!to || peer != to || shut_ & kNoSend || to->deaf()) {
      return done != 0 ? done : broken(message);
    }
    const u64 room = room_to(*to);
    if (to->records_.charged() >= room) {
      if (const i64 error = wait(to->queue, message.flags, deadline); error != 0) {
        return done != 0 ? done : error;
      }
      continue;
    }
    u64 bytes = std::min({message.data.left(), kPieceBytes, room / 2});
    if (message.flags & kMessageOutOfBand && family == kFamilyUnix && bytes == message.data.left() &&
        bytes > 1) [[unlikely]] {
      --bytes;
    }
    Record* const record = make_record(bytes);
    if (record == nullptr) {
      return done != 0 ? done : -kENOBUFS;
    }
    if (!message.data.get(record->data(), bytes)) {
      free_record(record);
      return done != 0 ? done : -kEFAULT;
    }
    deliver(*to, record, message);
    done += static_cast<i64>(bytes);
  }
  return done;
}

// Wakes those who may send now and could not before.
void Socket::taken_from(u64 charged_before) {
  const auto busy = [&](u64 charged) { return charged * 4 > peer->room_to(*this); };
  if (peer && busy(charged_before) && !busy(records_.charged())) {
    wake(queue);
    wake(peer->queue);
  }
}

void Socket::drop_first() {
  const u64 before = records_.charged();
  free_record(records_.pop());
  taken_from(before);
}

void Socket::move_peek_offset(u64 bytes, bool peek) {
  i32& offset = options.peek_offset;
  if (offset < 0) [[likely]] {
    return;
  }
  const i64 moved = peek ? offset + static_cast<i64>(bytes) : offset - static_cast<i64>(bytes);
  offset = static_cast<i32>(std::clamp<i64>(moved, 0, INT32_MAX));
}

i64 Socket::receive_stream(Receiving& message) {
  const bool peek = message.flags & kMessagePeek;
  const u64 skip_first = peek && options.peek_offset > 0 ? static_cast<u64>(options.peek_offset) : 0;
  u64 skip = skip_first;
  const bool drop = family != kFamilyUnix && message.flags & kMessageTruncated;  // TCP counts and forgets
  const u64 wanted = message.data.left();
  const u64 enough =
      std::max<u64>(message.flags & kMessageWaitAll ? wanted : std::min<u64>(wanted, options.least_bytes), 1);
  const u64 deadline = receive_deadline();
  u64 done = 0;
  Record* looked_at = nullptr;  // by one who only looks: the last one
  if (peer && !message.from) {
    message.from = peer->name;
  }
  do {
    Record* const record = looked_at != nullptr ? looked_at->next : records_.first();
    if (record == nullptr) {
      if (done >= enough) {
        break;
      }
      if (error_ != 0) {
        // AF_UNIX forgets one that it has no room to tell.
        const i64 error = done == 0 || family == kFamilyUnix ? take_error() : 0;
        return done != 0 ? static_cast<i64>(done) : error;
      }
      if (shut_ & kNoReceive) {
        break;
      }
      if (!(message.flags & kMessageDontWait) && pull()) {
        continue;
      }
      const i64 error = wait(queue, message.flags, deadline);
      if (error != 0) {
        return done != 0 ? static_cast<i64>(done) : error;
      }
      // Another reader may have taken what this one looked at, so that it begins again.
      if (looked_at != nullptr && done != 0) {
        break;
      }
      looked_at = nullptr;
      skip = skip_first;
      continue;
    }
    if (options.pass_credentials && done != 0 && record->sender != message.sender) {
      break;
    }
    const bool marked = record->urgent != Record::Urgent::kNo;
    if (marked && record->taken == record->bytes) [[unlikely]] {  // of AF_UNIX, given before
      if (done != 0 && !urgent_waits_behind(*record)) {
        break;
      }
      looked_at = peek ? record : nullptr;
      if (!peek) {
        drop_first();
      }
      continue;
    }
    if (marked && record->at_mark()) {
      if (done != 0) {
        break;
      }
      if (!options.bit(kOutOfBandInline)) {
        looked_at = peek ? record : nullptr;
        if (!peek) {
          drop_first();
        }
        continue;
      }
    }
    if (skip >= record->bytes - record->taken) [[unlikely]] {
      skip -= record->bytes - record->taken;
      looked_at = record;
      continue;
    }
    const u64 left = record->bytes - record->taken - skip;
    const u64 bytes = std::min(message.data.left(), marked && left > 1 ? left - 1 : left);
    if (drop) {
      message.data.skip(bytes);
    } else if (!message.data.put(record->data() + record->taken + skip, bytes)) {
      return done != 0 ? static_cast<i64>(done) : -kEFAULT;
    }
    if (!give(*record, message)) {
      return done != 0 ? static_cast<i64>(done) : -kENOMEM;
    }
    done += bytes;
    skip = 0;
    move_peek_offset(bytes, peek);
    if (peek) {
      if (bytes < left) {
        break;
      }
      looked_at = record;
    } else {
      record->taken += bytes;
      if (record->taken < record->bytes) {
        break;
      }
      drop_first();
    }
    if (message.files) {
      break;
    }
  } while (message.data.left() != 0);
  return static_cast<i64>(done);
}

i64 Socket::receive_record(Receiving& message) {
  const u64 deadline = receive_deadline();
  const bool peek = message.flags & kMessagePeek;
  Record* record = nullptr;
  u64 skip = 0;
  for (;;) {  // an error comes before what is queued
    if (error_ != 0) {
      return take_error();
    }
    record = records_.first();
    skip = peek && options.peek_offset > 0 ? static_cast<u64>(options.peek_offset) : 0;
    while (record != nullptr && skip != 0 && skip >= record->bytes) [[unlikely]] {
      skip -= record->bytes;
      record = record->next;
    }
    if (record != nullptr) {
      break;
    }
    if (shut_ & kNoReceive) {
      return type == Type::kSequential || !(message.flags & kMessageDontWait) ? 0 : -kEAGAIN;
    }
    if (const i64 error = wait(queue, message.flags, deadline); error != 0) {
      return error;
    }
  }
  if (!give(*record, message)) {
    return -kENOMEM;
  }
  message.from = record->from;
  if (stamps()) {
    message.came_ns = record->came_ns != 0 ? record->came_ns : files::wall_clock_ns();
  }
  if (!peek) {
    const u64 before = records_.charged();
    record = records_.pop();
    taken_from(before);
  }
  const u64 all = record->bytes - skip;
  const u64 bytes = std::min(message.data.left(), all);
  const bool copied = message.data.put(record->data() + skip, bytes);
  move_peek_offset(peek ? bytes : all, peek);
  if (!peek) {
    free_record(record);
  }
  if (!copied) {
    return -kEFAULT;
  }
  message.flags_out |= bytes < all ? kMessageTruncated : 0;
  return static_cast<i64>(message.flags & kMessageTruncated ? all : bytes);
}

}  // namespace nopte::guest::net
