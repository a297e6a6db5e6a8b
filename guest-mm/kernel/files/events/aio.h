// Asynchronous transfers of old (io_setup and its kin; fs/aio.c of Linux 6.12): a process's contexts, each a
// queue of what has ended. A transfer is done when it is submitted, as Linux does those of buffered files.
#pragma once

#include "guest-mm/kernel/files/file.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest {

struct Process;

namespace files {

// struct io_event
struct AioEvent {
  u64 data;
  u64 request;  // its address
  i64 result;
  i64 second;
};
static_assert(sizeof(AioEvent) == 32);

class AioContext final : public RefCounted {
 public:
  // For as many requests at a time; null: no memory.
  static Ref<AioContext> make(u32 requests, u64 id);
  AioContext(HeapBuffer events, u32 requests, u64 id);

  // A place for one more request. False: all are in use, or it is closed.
  [[nodiscard]] bool reserve();
  void give_back() { --used_; }
  // A request that has a place ended; `counter` may be null.
  void complete(const AioEvent& event, File* counter);
  // Nobody will ask any more.
  void close();
  [[nodiscard]] bool closed() const { return closed_; }
  // The next that ended; null: none. It goes by take_event().
  [[nodiscard]] const AioEvent* first_event() const;
  void take_event();
  [[nodiscard]] u32 waiting_events() const { return ended_; }

  WaitQueue queue;
  const u64 id;  // what programs know it by: where its page lies
  const u32 requests;
  Ref<AioContext> next;  // of the process; null once it is closed

 private:
  HeapBuffer events_;
  u32 first_ = 0;
  u32 ended_ = 0;
  u32 used_ = 0;  // requests that have a place: what has ended and nobody took, and what is being done
  bool closed_ = false;
};

// As the process ends, or its program.
void drop_aio_contexts(Process& process);

// /proc/sys/fs/aio-nr, aio-max-nr
struct AioLimits {
  u32 requests = 0;
  u32 most = 65536;
};
inline constinit AioLimits g_aio;

}  // namespace files
}  // namespace nopte::guest
