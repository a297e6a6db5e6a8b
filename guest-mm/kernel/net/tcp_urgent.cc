// The byte out of band: the last one of a send with MSG_OOB (tcp_check_urg, tcp_recv_urg of Linux 6.12).
#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/net/tcp_socket.h"

namespace nopte::guest::net {

Record* TcpSocket::marked_record() {
  Record* record = may_be_marked_ ? records_.first() : nullptr;
  while (record != nullptr && record->urgent == Record::Urgent::kNo) {
    record = record->next;
  }
  may_be_marked_ = record != nullptr;
  return record;
}

// The byte of the mark before goes with the others now, unless all before it was read (tcp_check_urg).
void TcpSocket::mark(Record& record) {
  if (Record* const before = marked_record(); before != nullptr) {
    if (before == records_.first() && before->at_mark() && !options.bit(kOutOfBandInline)) {
      drop_first();
    } else {
      before->urgent = Record::Urgent::kNo;
    }
  }
  record.urgent = Record::Urgent::kWaits;
  may_be_marked_ = true;
  if (file != nullptr && file->owner) {
    files::signal_urgent(*file->owner);
  }
}

i64 TcpSocket::receive_out_of_band(Receiving& message) {
  Record* const record = marked_record();
  if (record == nullptr || record->urgent == Record::Urgent::kGiven || options.bit(kOutOfBandInline)) {
    return -kEINVAL;
  }
  if (!(message.flags & kMessagePeek)) {
    record->urgent = Record::Urgent::kGiven;
  }
  message.flags_out |= kMessageOutOfBand;
  if (message.data.left() == 0) {
    message.flags_out |= kMessageTruncated;
    return 0;
  }
  const bool wanted = !(message.flags & kMessageTruncated);
  return wanted && !message.data.put(record->data() + record->bytes - 1, 1) ? -kEFAULT : 1;
}

i64 TcpSocket::ioctl(u32 request, u64 argument) {
  constexpr u32 kAtMark = 0x8905;        // SIOCATMARK
  constexpr u32 kBytesWaiting = 0x541b;  // FIONREAD: those before the mark
  const Record* const marked = marked_record();
  if (request == kAtMark) {
    return files::put_user(argument,
                           i32{marked != nullptr && marked == records_.first() && marked->at_mark()});
  }
  if (request != kBytesWaiting || marked == nullptr || options.bit(kOutOfBandInline)) {
    return Socket::ioctl(request, argument);
  }
  u64 bytes = marked->bytes - marked->taken - 1;
  for (const Record* record = records_.first(); record != marked; record = record->next) {
    bytes += record->bytes - record->taken;
  }
  return files::put_user(argument, static_cast<i32>(bytes));
}

}  // namespace nopte::guest::net
