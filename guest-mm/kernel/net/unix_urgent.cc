// The byte out of band of AF_UNIX streams (queue_oob, manage_oob, unix_stream_recv_urg of Linux 6.12). One
// that was given stays as a record of nothing, where reads stop.
#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/net/unix_socket.h"

namespace nopte::guest::net {

Record* UnixSocket::urgent_record() {
  Record* record = may_be_marked_ ? records_.first() : nullptr;
  while (record != nullptr && record->urgent != Record::Urgent::kWaits) {
    record = record->next;
  }
  may_be_marked_ = record != nullptr;
  return record;
}

void UnixSocket::deliver(Socket& to, Record* record, Sending& message) {
  auto& other = static_cast<UnixSocket&>(to);
  const bool urgent = message.flags & kMessageOutOfBand && message.data.left() == 0;
  if (!urgent) [[likely]] {
    return other.append_from(*this, record, message);
  }
  if (Record* const before = other.urgent_record(); before != nullptr) {
    before->urgent = Record::Urgent::kNo;
  }
  record->urgent = Record::Urgent::kWaits;
  other.may_be_marked_ = true;
  other.append_from(*this, record, message);
  if (other.file != nullptr && other.file->owner) {
    files::signal_urgent(*other.file->owner);
  }
}

i64 UnixSocket::receive_out_of_band(Receiving& message) {
  Record* const record = urgent_record();
  if (record == nullptr || options.bit(kOutOfBandInline)) {
    return -kEINVAL;
  }
  if (!(message.flags & kMessagePeek)) {
    record->urgent = Record::Urgent::kGiven;
    record->taken = record->bytes;
  }
  if (message.data.left() != 0 && !message.data.put(record->data(), 1)) {
    return -kEFAULT;
  }
  message.flags_out |= kMessageOutOfBand;
  return 1;
}

i64 UnixSocket::ioctl(u32 request, u64 argument) {
  constexpr u32 kAtMark = 0x8905;  // SIOCATMARK
  if (request != kAtMark) {
    return Socket::ioctl(request, argument);
  }
  const Record* const first = records_.first();
  const Record* const waits = urgent_record();
  const bool given = first != nullptr && first->urgent == Record::Urgent::kGiven;
  const bool at_mark =
      first != nullptr && (first == waits || (given && (waits == nullptr || first->next == waits)));
  return files::put_user(argument, i32{at_mark});
}

}  // namespace nopte::guest::net
