#include "guest-mm/kernel/ipc/msg.h"

#include <limits>

#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::ipc {

namespace {
constinit Table g_queues{g_next_ids.messages};
}

Table& message_queues() { return g_queues; }

MessageQueue::~MessageQueue() {
  while (first_ != nullptr) destroy(&take(&first_));
}

void MessageQueue::send(Message& message) {
  message.next = nullptr;
  *end_ = &message;
  end_ = &message.next;
  ++messages_;
  used_bytes_ += message.text.bytes();
  wake(sent);
}

Message** MessageQueue::wanted(i64 type, bool except) {
  Message** link = &first_;
  if (type >= 0) {
    for (; *link != nullptr; link = &(*link)->next) {
      if (type == 0 || ((*link)->type == type) != except) break;
    }
    return link;
  }
  // The lowest type up to -type.
  const i64 most = type == std::numeric_limits<i64>::min() ? std::numeric_limits<i64>::max() : -type;
  Message** best = nullptr;
  for (; *link != nullptr; link = &(*link)->next) {
    if ((*link)->type <= most && (best == nullptr || (*link)->type < (*best)->type)) best = link;
  }
  return best != nullptr ? best : link;
}

Message** MessageQueue::at(u64 number) {
  Message** link = &first_;
  for (; *link != nullptr && number != 0; --number) link = &(*link)->next;
  return link;
}

Message& MessageQueue::take(Message** link) {
  Message& message = **link;
  *link = message.next;
  if (*link == nullptr) end_ = link;
  --messages_;
  used_bytes_ -= message.text.bytes();
  return message;
}

void MessageQueue::remove() {
  const Ref<Object> held(this);
  g_queues.remove(*this);
  wake(sent);
  wake(received);
}

}  // namespace nopte::guest::ipc
