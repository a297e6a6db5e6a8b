// POSIX message queues (ipc/mqueue.c of 6.12). Messages lie in kernel memory.
//
// A queue lives as long as it has its name or somebody has it open.
#pragma once

#include <string_view>

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/net/route_socket.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest {
struct Process;
}  // namespace nopte::guest

namespace nopte::guest::ipc {

// /proc/sys/fs/mqueue
struct MqLimits {
  i32 queues = 256;
  i32 most_messages = 10;
  i32 most_bytes = 8192;
  i32 usual_messages = 10;
  i32 usual_bytes = 8192;
};
inline constinit MqLimits g_mq_limits;
inline constexpr i64 kHardMessages = 65536, kHardBytes = i64{16} << 20;
inline constexpr u32 kPriorities = 32768;

struct PostedMessage : HeapAllocated {
  PostedMessage* next = nullptr;
  u32 priority = 0;
  HeapBuffer text;
};

// What SIGEV_THREAD asks for: a netlink socket is given the program's cookie, and at its end why.
class MqCookie : public HeapAllocated {
 public:
  static constexpr u64 kBytes = 32;
  enum class Why : char { kMessage = 1, kRemoved = 2 };

  // Takes the record over, which holds the cookie.
  MqCookie(net::RouteSocket& socket, net::Record* record) : socket_(&socket), record_(record) {}
  MqCookie(const MqCookie&) = delete;
  MqCookie& operator=(const MqCookie&) = delete;
  ~MqCookie();
  // At most once.
  void give(Why why);

 private:
  Ref<net::RouteSocket> socket_;
  net::Record* record_;
};

// Whom a message to an empty queue is told to, once.
struct MqNotification {
  i32 pid = 0;         // 0: nobody
  u64 started_ns = 0;  // when that process began: another one may have its number by now
  i32 signal = 0;      // 0: nothing is sent
  u64 value = 0;
  UniquePtr<MqCookie> cookie = {};  // instead of a signal
};

class PosixQueue final : public files::Inode {
 public:
  // `maker`: the user whose RLIMIT_MSGQUEUE it counts to.
  PosixQueue(u32 permissions, i64 most_messages, i64 most_bytes, u32 maker);

  files::ErrnoOr<Ref<files::File>> open(u32 flags) override;
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] bool full() const { return messages_ >= most_messages; }
  [[nodiscard]] i64 messages() const { return messages_; }
  // Takes a message over, behind those of its priority.
  void post(PostedMessage& message);
  // The first one, which is the caller's to destroy. Precondition: there is one.
  PostedMessage& take();

  const i64 most_messages;
  const i64 most_bytes;  // of a message
  MqNotification notification;
  // Whom it is, if that process is there still; null.
  [[nodiscard]] Process* notified() const;
  // Nobody is told any more.
  void forget_notification();
  WaitQueue arrived;
  WaitQueue left;
  u32 receivers = 0;  // asleep

 private:
  ~PosixQueue() override;

  friend u64 bytes_of(u32 user);

  const u32 maker_;
  PosixQueue* next_ = nullptr;  // of all there are
  PostedMessage* first_ = nullptr;
  i64 messages_ = 0;
};

// Null: there is none of this name.
PosixQueue* find_queue(std::string_view name);
// A new one of this name. Errors: kENOMEM, kENOSPC, kEMFILE (RLIMIT_MSGQUEUE).
files::ErrnoOr<Ref<PosixQueue>> make_queue(std::string_view name, u32 permissions, i64 most_messages,
                                           i64 most_bytes);
// False: there is none of this name.
bool unlink_queue(std::string_view name);

}  // namespace nopte::guest::ipc
