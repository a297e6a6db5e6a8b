// System V message queues (ipc/msg.c of 6.12). Messages lie in kernel memory.
#pragma once

#include "guest-mm/kernel/ipc/objects.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest::ipc {

// /proc/sys/kernel/msgmax, msgmnb, msgmni.
struct MsgLimits {
  i32 message_bytes = 8192;
  i32 queue_bytes = 16384;
  u32 queues = 32000;
};
inline constinit MsgLimits g_msg_limits;

struct Message {
  Message* next = nullptr;
  i64 type = 0;
  HeapBuffer text;
};

class MessageQueue final : public Object {
 public:
  MessageQueue() = default;

  [[nodiscard]] bool room_for(u64 bytes) const {
    return bytes + used_bytes_ <= most_bytes && messages_ + 1 <= most_bytes;
  }
  // Takes over a message.
  void send(Message& message);
  // What points to the first message that `type` asks for as msgrcv(2) says, with `except` the first of
  // another type; to null: there is none.
  Message** wanted(i64 type, bool except);
  // What points to message number n; null, or to null: there is none.
  Message** at(u64 number);
  // Takes a message out; it is the caller's to destroy.
  Message& take(Message** link);
  void remove();

  [[nodiscard]] u64 messages() const { return messages_; }
  [[nodiscard]] u64 used_bytes() const { return used_bytes_; }

  u64 most_bytes = static_cast<u64>(g_msg_limits.queue_bytes);
  i64 sent_at = 0;
  i64 received_at = 0;
  i64 changed_at = 0;
  i32 last_sender = 0;
  i32 last_receiver = 0;
  WaitQueue sent;      // or removed
  WaitQueue received;  // or removed, or it may hold more

 private:
  ~MessageQueue() override;

  Message* first_ = nullptr;
  Message** end_ = &first_;
  u64 messages_ = 0;
  u64 used_bytes_ = 0;
};

Table& message_queues();

}  // namespace nopte::guest::ipc
