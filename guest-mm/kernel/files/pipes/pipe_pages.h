// What each user's pipes may hold together, in pages: /proc/sys/fs/pipe-user-pages-* (fs/pipe.c of Linux,
// alloc_pipe_info and pipe_set_size).
#pragma once

#include "guest-mm/kernel/rights/user_account.h"
#include "pvops/base/types.h"

namespace nopte::guest::files {

// /proc/sys/fs/pipe-*
struct PipeLimits {
  u64 largest_bytes = 1 << 20;  // beyond it one needs CAP_SYS_RESOURCE
  u64 soft_user_pages = 16384;  // 0: no limit; beyond it new pipes are of two pages
  u64 hard_user_pages = 0;      // 0: no limit; beyond it there are none
};
extern PipeLimits g_pipe_limits;

// One pipe's part, of the user who began it.
class PipePages {
 public:
  PipePages() = default;
  ~PipePages() { end(); }
  PipePages(const PipePages&) = delete;
  PipePages& operator=(const PipePages&) = delete;

  // The bytes that a new pipe of the running process's user may hold; 0: none (or no memory to count them),
  // and nothing is counted. Precondition: it has not begun.
  [[nodiscard]] u64 begin();
  // Other pages than before: false, and as before, if the running process may not have as many.
  [[nodiscard]] bool change(u64 pages, bool more);
  void end();

 private:
  Ref<UserAccount> account_;  // null: it has not begun
  u64 pages_ = 0;
};

}  // namespace nopte::guest::files
