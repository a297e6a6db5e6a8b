// Sending and receiving.
#include <algorithm>

#include "guest-mm/kernel/net/socket.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {

u64 deadline_after(u64 timeout_us) {
  return timeout_us == 0 ? kNoDeadline : platform_ops().now_ns() + timeout_us * 1000;
}

i64 broken(const Sending& message) {
  if (!(message.flags & kMessageNoSignal)) {
    send_signal(current(), kSIGPIPE);
  }
  return -kEPIPE;
}

UniquePtr<PassedFiles> copy_of(const PassedFiles& files) {
  UniquePtr<PassedFiles> copy = make_unique<PassedFiles>();
  for (u32 i = 0; copy && i < files.count(); ++i) {
    if (!copy->add(files[i])) {
      return nullptr;
    }
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

}  // namespace

i64 Socket::send(Sending& message) {
  if (message.flags & kMessageOutOfBand) {
    return -kEOPNOTSUPP;
  }
  return type == Type::kStream ? send_stream(message) : send_record(message);
}

i64 Socket::receive(Receiving& message) {
  if (message.flags & (kMessageOutOfBand | kMessageErrorQueue)) {
    return message.flags & kMessageOutOfBand ? -kEOPNOTSUPP : -kEAGAIN;
  }
  return type == Type::kStream ? receive_stream(message) : receive_record(message);
}

void Socket::append_from(Socket& sender, Record* record, Sending& message) {
  record->sender = message.sender;
  record->from = sender.name;
  record->files = std::move(message.files);
  records_.append(record);
  wake(queue);
}

i64 Socket::send_stream(Sending& message) {
  constexpr u64 kPieceBytes = (u64{32} << 10) - sizeof(Record);
  if (message.to != nullptr && message.to_bytes != 0) {
    return state_ == State::kConnected ? -kEISCONN : -kEOPNOTSUPP;
  }
  if (!peer && state_ != State::kConnected) {
    return -kENOTCONN;
  }
  const Ref<Socket> to = peer;
  const u64 deadline = deadline_after(send_timeout_us_);
  i64 done = 0;
  while (message.data.left() != 0) {
    if (!to || shut_ & kNoSend || to->closed_ || to->shut_ & kNoReceive) {
      return done != 0 ? done : broken(message);
    }
    if (to->records_.charged() >= send_buffer_) {
      if (const i64 error = wait(to->queue, message.flags, deadline); error != 0) {
        return done != 0 ? done : error;
      }
      continue;
    }
    const u64 bytes = std::min({message.data.left(), kPieceBytes, send_buffer_ / 2});
    Record* const record = make_record(bytes);
    if (record == nullptr) {
      return done != 0 ? done : -kENOBUFS;
    }
    if (!message.data.get(record->data(), bytes)) {
      free_record(record);
      return done != 0 ? done : -kEFAULT;
    }
    to->append_from(*this, record, message);
    done += static_cast<i64>(bytes);
  }
  return done;
}

i64 Socket::send_record(Sending& message) {
  const bool named = datagrams() && message.to != nullptr && message.to_bytes != 0;
  if (!datagrams() && state_ != State::kConnected) {
    return error_ != 0 ? take_error() : -kENOTCONN;
  }
  Ref<Socket> to = peer;
  if (named) {
    files::ErrnoOr<Ref<Socket>> found = find(*message.to, message.to_bytes);
    if (!found) {
      return -static_cast<i64>(found.error());
    }
    to = std::move(*found);
  } else if (!to && datagrams()) {
    return -kENOTCONN;
  }
  const u64 bytes = message.data.left();
  if (bytes + 32 > send_buffer_) {
    return -kEMSGSIZE;
  }
  if (error_ != 0) {
    return take_error();
  }
  if (!to || shut_ & kNoSend) {
    return -kEPIPE;
  }
  Record* const record = make_record(bytes);
  if (record == nullptr) {
    return -kENOBUFS;
  }
  i64 error = message.data.get(record->data(), bytes) ? 0 : -kEFAULT;
  const u64 deadline = deadline_after(send_timeout_us_);
  while (error == 0) {
    if (to->closed_) {
      if (datagrams() && peer == to) {
        set_peer(nullptr);
        state_ = State::kUnconnected;
      }
      error = datagrams() ? -kECONNREFUSED : -kEPIPE;
    } else if (to->peer && to->peer.get() != this) {
      error = -kEPERM;
    } else if (to->shut_ & kNoReceive) {
      error = -kEPIPE;
    } else if (!to->full_for(*this)) {
      to->append_from(*this, record, message);
      return static_cast<i64>(bytes);
    } else {
      error = wait(to->queue, message.flags, deadline);
    }
  }
  free_record(record);
  return error;
}

// Wakes those who may send now and could not before.
void Socket::taken_from(u64 charged_before) {
  const auto busy = [&](u64 charged) { return charged * 4 > peer->send_buffer_; };
  if (type != Type::kStream || (peer && busy(charged_before) && !busy(records_.charged()))) {
    wake_senders();
  }
}

i64 Socket::receive_stream(Receiving& message) {
  if (state_ != State::kConnected) {
    return -kEINVAL;
  }
  const bool peek = message.flags & kMessagePeek;
  const u64 wanted = message.data.left();
  const u64 enough = message.flags & kMessageWaitAll ? wanted : std::min<u64>(wanted, least_bytes_);
  const u64 deadline = deadline_after(receive_timeout_us_);
  u64 done = 0;
  Record* looked_at = nullptr;  // by one who only looks: the last one
  if (peer && !message.from) {
    message.from = peer->name;
  }
  do {
    Record* const record = looked_at != nullptr ? looked_at->next : records_.first();
    if (record == nullptr) {
      if (done >= enough && (done != 0 || wanted == 0)) {
        break;
      }
      if (error_ != 0) {
        return done != 0 ? static_cast<i64>(done) : take_error();
      }
      if (shut_ & kNoReceive) {
        break;
      }
      const i64 error = wait(queue, message.flags, deadline);
      if (error != 0) {
        return done != 0 ? static_cast<i64>(done) : error;
      }
      // Another reader may have taken what this one looked at.
      if (looked_at != nullptr) {
        break;
      }
      continue;
    }
    const bool other_sender = pass_credentials && done != 0 && record->sender.pid != message.sender.pid;
    if (other_sender) {
      break;
    }
    const u64 bytes = std::min(message.data.left(), record->bytes - record->taken);
    if (!message.data.put(record->data() + record->taken, bytes)) {
      return done != 0 ? static_cast<i64>(done) : -kEFAULT;
    }
    if (!give(*record, message)) {
      return done != 0 ? static_cast<i64>(done) : -kENOMEM;
    }
    done += bytes;
    if (peek) {
      looked_at = record;
    } else {
      record->taken += bytes;
      if (record->taken < record->bytes) {
        break;
      }
      const u64 before = records_.charged();
      free_record(records_.pop());
      taken_from(before);
    }
    if (message.files) {
      break;
    }
  } while (message.data.left() != 0);
  return static_cast<i64>(done);
}

i64 Socket::receive_record(Receiving& message) {
  if (type == Type::kSequential && state_ != State::kConnected) {
    return -kENOTCONN;
  }
  const u64 deadline = deadline_after(receive_timeout_us_);
  while (records_.first() == nullptr) {
    if (error_ != 0) {
      return take_error();
    }
    if (shut_ & kNoReceive) {
      return type == Type::kSequential || !(message.flags & kMessageDontWait) ? 0 : -kEAGAIN;
    }
    if (const i64 error = wait(queue, message.flags, deadline); error != 0) {
      return error;
    }
  }
  const bool peek = message.flags & kMessagePeek;
  Record* record = records_.first();
  if (!give(*record, message)) {
    return -kENOMEM;
  }
  message.from = record->from;
  if (!peek) {
    const u64 before = records_.charged();
    record = records_.pop();
    taken_from(before);
  }
  const u64 all = record->bytes;
  const u64 bytes = std::min(message.data.left(), all);
  const bool copied = message.data.put(record->data(), bytes);
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
