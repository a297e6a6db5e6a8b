// What each user's pipes may hold together, in pages: /proc/sys/fs/pipe-user-pages-* (fs/pipe.c of Linux,
// alloc_pipe_info and pipe_set_size). A user is counted when all of them together have so much that one could
// be over it.
#pragma once

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

  // The bytes that a new pipe of the running process's user may hold; 0: none, and nothing is counted.
  // Precondition: it has not begun.
  [[nodiscard]] u64 begin();
  // Other pages than before: false, and as before, if the running process may not have as many.
  [[nodiscard]] bool change(u64 pages, bool more);
  void end();

 private:
  [[nodiscard]] static bool exceeds(u64 limit, u32 user, u64 added);

  PipePages* next_ = nullptr;
  PipePages** link_ = nullptr;  // null: it has not begun
  u32 user_ = 0;
  u64 pages_ = 0;
};

}  // namespace nopte::guest::files
