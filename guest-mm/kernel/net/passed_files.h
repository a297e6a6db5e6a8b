// Open files on their way between processes (SCM_RIGHTS), and the search for those that nobody can receive:
// sockets that wait in the queues of each other alone (net/unix/garbage.c of Linux).
#pragma once

#include "guest-mm/kernel/files/file.h"
#include "guest-mm/kernel/net/linux_sockets.h"

namespace nopte::guest::net {

class Socket;

// What one message carries.
class PassedFiles final : public HeapAllocated {
 public:
  struct Sender;

  // On account of the running thread's user. Null: no memory.
  static UniquePtr<PassedFiles> make();
  explicit PassedFiles(Sender& sender) : sender_(sender) {}
  PassedFiles(const PassedFiles&) = delete;
  PassedFiles& operator=(const PassedFiles&) = delete;
  ~PassedFiles();
  // Whether its user has more on their way than RLIMIT_NOFILE allows, and not the right to.
  [[nodiscard]] bool too_many() const;
  // Precondition: there is room for one more.
  void add(Ref<files::File> file);
  [[nodiscard]] u32 count() const { return count_; }
  [[nodiscard]] const Ref<files::File>& operator[](u32 i) const { return files_[i]; }

 private:
  Sender& sender_;
  u32 count_ = 0;
  Ref<files::File> files_[kMostPassedFiles];
};

// A socket's own part in the search.
struct SocketFlight {
  u32 times = 0;  // that its file is on its way
  u32 outside = 0;
  bool reached = false;
  Socket* next = nullptr;  // of those that are on their way
  Socket** link = nullptr;
  Socket* next_reached = nullptr;
  Ref<Socket> next_lost;
};

// Whether any socket is on its way.
bool sockets_on_their_way();
// Closes the files that only sockets hold which nobody can reach any more. Called when a socket or a
// process's descriptors close, and before a sender is refused.
void close_unreachable();

}  // namespace nopte::guest::net
