#include "guest-mm/kernel/ipc/mq.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::ipc {

using files::ErrnoFail;

namespace {

constexpr i32 kSiMesgq = -3;

struct Name : HeapAllocated {
  Name* next = nullptr;
  HeapBuffer text;
  Ref<PosixQueue> queue;
};
Name* g_names = nullptr;
i32 g_named = 0;
PosixQueue* g_queues = nullptr;  // all, those without a name, too
u64 g_bytes = 0;                 // that they may come to hold

// What RLIMIT_MSGQUEUE counts: the messages, and Linux's structures for them.
u64 counted_bytes(i64 messages, i64 bytes) {
  constexpr u64 kHeader = 48, kTreeNode = 48;
  const auto n = static_cast<u64>(messages);
  return n * static_cast<u64>(bytes) + n * kHeader + std::min<u64>(n, kPriorities) * kTreeNode;
}

class QueueFile final : public files::File {
 public:
  QueueFile(PosixQueue& queue, u32 flags) : File(Ref<files::Inode>(&queue), flags), queue_(queue) {}

  PosixQueue* as_queue() override { return &queue_; }
  u32 poll() override {
    return (queue_.empty() ? 0 : files::kPollIn | files::kPollReadNormal) |
           (queue_.full() ? 0 : files::kPollOut | files::kPollWriteNormal);
  }
  WaitQueue* poll_queue() override {
    return (flags() & files::kOpenAccessMask) == files::kOpenWriteOnly ? &queue_.left : &queue_.arrived;
  }

 private:
  ~QueueFile() override {
    if (queue_.notification.pid == current_process().pid) {
      queue_.forget_notification();
    }
  }
  PosixQueue& queue_;  // held by the base
};

Name** link_of(std::string_view name) {
  Name** link = &g_names;
  while (*link != nullptr && std::string_view((*link)->text.data(), (*link)->text.bytes()) != name) {
    link = &(*link)->next;
  }
  return link;
}

}  // namespace

MqCookie::~MqCookie() {
  if (record_ != nullptr) {
    net::free_record(record_);
  }
}

void MqCookie::give(Why why) {
  net::Record* const record = std::exchange(record_, nullptr);
  record->data()[kBytes - 1] = static_cast<char>(why);
  socket_->give(record);
}

PosixQueue::PosixQueue(u32 permissions, i64 messages, i64 bytes, u32 maker)
    : Inode(files::kModeRegular | permissions),
      most_messages(messages),
      most_bytes(bytes),
      maker_(maker),
      next_(std::exchange(g_queues, this)) {
  g_bytes += counted_bytes(most_messages, most_bytes);
}

u64 bytes_of(u32 user) {
  u64 bytes = 0;
  for (const PosixQueue* queue = g_queues; queue != nullptr; queue = queue->next_) {
    bytes += queue->maker_ == user ? counted_bytes(queue->most_messages, queue->most_bytes) : 0;
  }
  return bytes;
}

PosixQueue::~PosixQueue() {
  while (first_ != nullptr) {
    delete &take();
  }
  g_bytes -= counted_bytes(most_messages, most_bytes);
  PosixQueue** link = &g_queues;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
}

files::ErrnoOr<Ref<files::File>> PosixQueue::open(u32 flags) {
  Ref<files::File> file = files::make_counted<QueueFile>(*this, flags);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

void PosixQueue::post(PostedMessage& message) {
  const bool was_empty = empty();
  PostedMessage** link = &first_;
  while (*link != nullptr && (*link)->priority >= message.priority) {
    link = &(*link)->next;
  }
  message.next = std::exchange(*link, &message);
  ++messages_;
  wake(arrived);
  if (was_empty && receivers == 0 && notification.pid != 0) {
    Process* const process = notified();
    const MqNotification told = std::exchange(notification, {});
    if (told.cookie) {
      told.cookie->give(MqCookie::Why::kMessage);
    } else if (process != nullptr && told.signal != 0) {
      send_signal(*process, told.signal,
                  SignalInfo{.code = kSiMesgq, .pid = current_process().pid, .value = told.value});
    }
  }
}

Process* PosixQueue::notified() const {
  Process* const process = notification.pid != 0 ? find_process(notification.pid) : nullptr;
  return process != nullptr && !process->ended() && process->started_ns == notification.started_ns ? process
                                                                                                   : nullptr;
}

void PosixQueue::forget_notification() {
  const MqNotification told = std::exchange(notification, {});
  if (told.cookie) {
    told.cookie->give(MqCookie::Why::kRemoved);
  }
}

PostedMessage& PosixQueue::take() {
  PostedMessage& message = *first_;
  first_ = message.next;
  --messages_;
  wake(left);
  return message;
}

PosixQueue* find_queue(std::string_view name) {
  Name* const found = *link_of(name);
  return found != nullptr ? found->queue.get() : nullptr;
}

files::ErrnoOr<Ref<PosixQueue>> make_queue(std::string_view name, u32 permissions, i64 most_messages,
                                           i64 most_bytes) {
  if (g_named >= g_mq_limits.queues && !capable(Capability::kSysResource)) {
    return ErrnoFail(kENOSPC);
  }
  const u64 limit = current_process().limits->of(Resource::kQueueBytes).now;
  const u64 wanted = counted_bytes(most_messages, most_bytes);
  const u32 maker = identity().user.real;
  if (wanted > limit || (g_bytes > limit - wanted && bytes_of(maker) > limit - wanted)) {
    return ErrnoFail(kEMFILE);
  }
  UniquePtr<Name> entry = make_unique<Name>();
  Ref<PosixQueue> queue = files::make_counted<PosixQueue>(permissions, most_messages, most_bytes, maker);
  if (!entry || !queue) {
    return ErrnoFail(kENOMEM);
  }
  entry->text = HeapBuffer(name.size());
  if (!entry->text) {
    return ErrnoFail(kENOMEM);
  }
  std::memcpy(entry->text.data(), name.data(), name.size());
  entry->queue = queue;
  entry->next = g_names;
  g_names = entry.release();
  ++g_named;
  return queue;
}

bool unlink_queue(std::string_view name) {
  Name** const link = link_of(name);
  if (*link == nullptr) {
    return false;
  }
  Name* const gone = std::exchange(*link, (*link)->next);
  gone->queue->links = 0;
  --g_named;
  delete gone;
  return true;
}

}  // namespace nopte::guest::ipc
