// What one user has of what /proc/sys limits for each. An account is there as long as somebody holds a
// reference to it: who counts in it keeps one. (user_share.h counts what resource limits bound.)
//
// Concurrency: one CPU, non-preemptible kernel.
#pragma once

#include <boost/intrusive/set_hook.hpp>

#include "guest-mm/core/heap.h"
#include "guest-mm/core/ref.h"

namespace nopte::guest {

class UserAccount : public HeapAllocated, public boost::intrusive::set_base_hook<> {
 public:
  explicit UserAccount(u32 user_id) : user(user_id) {}

  // Null: no memory.
  [[nodiscard]] static Ref<UserAccount> of(u32 user);

  void retain() { ++references_; }
  void release();

  const u32 user;
  u64 epoll_watches = 0;
  u32 inotify_instances = 0;
  u32 inotify_watches = 0;
  u64 pipe_pages = 0;
  u64 file_locks = 0;

 private:
  u64 references_ = 1;
};

}  // namespace nopte::guest
