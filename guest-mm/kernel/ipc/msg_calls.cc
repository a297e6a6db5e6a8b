// msgget, msgsnd, msgrcv, msgctl.
#include <algorithm>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/ipc/msg.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

using namespace ipc;  // NOLINT(google-build-using-namespace): the calls are this folder's
using files::get_user;
using files::put_user;

namespace {

// uapi/linux/msg.h
constexpr i32 kMsgStat = 11, kMsgInfo = 12, kMsgStatAny = 13;
constexpr u32 kNoError = 010000, kExcept = 020000, kCopy = 040000;

// msqid64_ds
struct QueueStatus {
  Permissions permissions;
  i64 sent_at = 0;
  i64 received_at = 0;
  i64 changed_at = 0;
  u64 used_bytes = 0;
  u64 messages = 0;
  u64 most_bytes = 0;
  i32 last_sender = 0;
  i32 last_receiver = 0;
  u64 unused[2] = {};
};
static_assert(sizeof(QueueStatus) == 120);

// msginfo
struct QueueBounds {
  i32 pool, map, message_bytes, queue_bytes, queues, segment_bytes, headers;
  u16 segments;
  u16 hole;
};

MessageQueue* queue_of(i32 id) {
  Object* const object = message_queues().with_id(id);
  return static_cast<MessageQueue*>(object);
}

i64 create(i32 key, u32 flags) {
  Ref<MessageQueue> queue = files::make_counted<MessageQueue>();
  if (!queue) return -kENOMEM;
  queue->changed_at = now_seconds();
  return message_queues().add(std::move(queue), key, flags, g_msg_limits.queues);
}

i64 tell(i32 id, i32 command, u64 to) {
  const bool by_slot = command != kStat;
  const Found found = find(message_queues(), id, by_slot);
  if (found.object == nullptr) return found.error;
  const auto& queue = static_cast<const MessageQueue&>(*found.object);
  if (command != kMsgStatAny && !permitted(queue, kRead)) return -kEACCES;
  const QueueStatus status{.permissions = queue.permissions,
                           .sent_at = queue.sent_at,
                           .received_at = queue.received_at,
                           .changed_at = queue.changed_at,
                           .used_bytes = queue.used_bytes(),
                           .messages = queue.messages(),
                           .most_bytes = queue.most_bytes,
                           .last_sender = queue.last_sender,
                           .last_receiver = queue.last_receiver};
  if (const i64 error = put_user(to, status); error != 0) return error;
  return by_slot ? queue.id() : 0;
}

i64 tell_bounds(i32 command, u64 to) {
  QueueBounds bounds{
      .pool = static_cast<i32>(g_msg_limits.queues * (static_cast<u32>(g_msg_limits.queue_bytes) / 1024)),
      .map = g_msg_limits.queue_bytes,
      .message_bytes = g_msg_limits.message_bytes,
      .queue_bytes = g_msg_limits.queue_bytes,
      .queues = static_cast<i32>(g_msg_limits.queues),
      .segment_bytes = 16,
      .headers = g_msg_limits.queue_bytes,
      .segments = 0xffff,
      .hole = 0};
  if (command == kMsgInfo) {
    u64 messages = 0;
    u64 bytes = 0;
    message_queues().for_each([&](Object& object) {
      messages += static_cast<MessageQueue&>(object).messages();
      bytes += static_cast<MessageQueue&>(object).used_bytes();
    });
    bounds.pool = static_cast<i32>(message_queues().used());
    bounds.map = static_cast<i32>(messages);
    bounds.headers = static_cast<i32>(bytes);
  }
  const i64 error = put_user(to, bounds);
  return error != 0 ? error : message_queues().last_slot();
}

i64 change(MessageQueue& queue, const QueueStatus& wanted) {
  if (!may_change(queue)) return -kEPERM;
  if (const i64 error = set_permissions(queue, wanted.permissions); error != 0) return error;
  queue.most_bytes = wanted.most_bytes;
  queue.changed_at = now_seconds();
  wake(queue.sent);  // whose rights may be others now
  wake(queue.received);
  return 0;
}

// Sleeps until there is something new about the queue. 0, or the error.
i64 wait_on(MessageQueue& queue, WaitQueue& event) {
  const WakeReason reason = block_on(event);
  if (queue.removed()) return -kEIDRM;
  return reason == WakeReason::kSignal ? -kERESTARTNOHAND : 0;
}

// What is received: the type, then as much of the text as there is room for.
i64 deliver(const Message& message, u64 to, u64 room) {
  const u64 bytes = std::min(room, message.text.bytes());
  if (const i64 error = put_user(to, message.type); error != 0) return -kEFAULT;
  if (bytes != 0 && !arch::copy_to_user(Gva{to + sizeof(message.type)}, message.text.data(), bytes)) {
    return -kEFAULT;
  }
  return static_cast<i64>(bytes);
}

}  // namespace

i64 sys_msgget(const SyscallArgs& args) {
  const auto key = static_cast<i32>(args.a0);
  const auto flags = static_cast<u32>(args.a1);
  return get(
      message_queues(), key, flags, [](Object&) -> i64 { return 0; }, [&] { return create(key, flags); });
}

i64 sys_msgsnd(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const u64 bytes = args.a2;
  i64 type = 0;
  if (const i64 error = get_user(type, args.a1); error != 0) return error;
  if (bytes > static_cast<u64>(g_msg_limits.message_bytes) || id < 0 || type < 1) return -kEINVAL;
  UniquePtr<Message> message = make_unique<Message>();
  if (!message) return -kENOMEM;
  message->type = type;
  if (bytes != 0) {
    message->text = HeapBuffer(bytes);
    if (!message->text) return -kENOMEM;
    if (!arch::copy_from_user(message->text.data(), Gva{args.a1 + sizeof(type)}, bytes)) return -kEFAULT;
  }
  const Ref<MessageQueue> queue(queue_of(id));
  if (!queue) return -kEINVAL;
  for (;;) {
    if (!permitted(*queue, kWrite)) return -kEACCES;
    if (queue->room_for(bytes)) break;
    if ((args.a3 & kNoWait) != 0) return -kEAGAIN;
    if (const i64 error = wait_on(*queue, queue->received); error != 0) return error;
  }
  queue->last_sender = current_process().pid;
  queue->sent_at = now_seconds();
  queue->send(*message.release());
  return 0;
}

i64 sys_msgrcv(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const u64 room = args.a2;
  const auto type = static_cast<i64>(args.a3);
  const auto flags = static_cast<u32>(args.a4);
  if (id < 0 || static_cast<i64>(room) < 0) return -kEINVAL;
  const bool copies = (flags & kCopy) != 0;
  if (copies && ((flags & kExcept) != 0 || (flags & kNoWait) == 0)) return -kEINVAL;
  const Ref<MessageQueue> queue(queue_of(id));
  if (!queue) return -kEINVAL;
  for (;;) {
    if (!permitted(*queue, kRead)) return -kEACCES;
    Message** const link =
        copies ? queue->at(static_cast<u64>(type)) : queue->wanted(type, (flags & kExcept) != 0);
    if (*link != nullptr) {
      if (room < (*link)->text.bytes() && (flags & kNoError) == 0) return -kE2BIG;
      if (copies) return deliver(**link, args.a1, room);
      const UniquePtr<Message> message(&queue->take(link));
      queue->last_receiver = current_process().pid;
      queue->received_at = now_seconds();
      wake(queue->received);
      return deliver(*message, args.a1, room);
    }
    if ((flags & kNoWait) != 0) return -kENOMSG;
    if (const i64 error = wait_on(*queue, queue->sent); error != 0) return error;
  }
}

i64 sys_msgctl(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const auto command = static_cast<i32>(args.a1);
  if (id < 0 || command < 0) return -kEINVAL;
  QueueStatus wanted;
  switch (command) {
    case kInfo:
    case kMsgInfo:
      return tell_bounds(command, args.a2);
    case kStat:
    case kMsgStat:
    case kMsgStatAny:
      return tell(id, command, args.a2);
    case kSet:
      if (const i64 error = get_user(wanted, args.a2); error != 0) return error;
      [[fallthrough]];
    case kRemove: {
      MessageQueue* const queue = queue_of(id);
      if (queue == nullptr) return -kEINVAL;
      if (command == kSet) return change(*queue, wanted);
      if (!may_change(*queue)) return -kEPERM;
      queue->remove();
      return 0;
    }
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
