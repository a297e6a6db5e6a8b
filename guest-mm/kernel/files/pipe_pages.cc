#include "guest-mm/kernel/files/pipe_pages.h"

#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/files/pipe_ring.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kUsualPages = PipeRing::kUsualCapacityBytes / kPageBytes;
constexpr u64 kPagesBeyondSoft = 2;

PipePages* g_first;
u64 g_all_pages;

bool is_bound() { return !capable(Capability::kSysResource) && !capable(Capability::kSysAdmin); }

}  // namespace

PipeLimits g_pipe_limits;

bool PipePages::exceeds(u64 limit, u32 user, u64 added) {
  if (limit == 0 || g_all_pages + added <= limit) {
    return false;
  }
  u64 pages = added;
  for (const PipePages* one = g_first; one != nullptr; one = one->next_) {
    pages += one->user_ == user ? one->pages_ : 0;
  }
  return pages > limit && is_bound();
}

u64 PipePages::begin() {
  const u32 user = identity().user.real;
  u64 pages = kUsualPages;
  if (pages * kPageBytes > g_pipe_limits.largest_bytes && !capable(Capability::kSysResource)) {
    pages = g_pipe_limits.largest_bytes / kPageBytes;
  }
  if (exceeds(g_pipe_limits.soft_user_pages, user, pages)) {
    pages = kPagesBeyondSoft;
  }
  if (exceeds(g_pipe_limits.hard_user_pages, user, pages)) {
    return 0;
  }
  user_ = user;
  pages_ = pages;
  g_all_pages += pages;
  next_ = g_first;
  link_ = &g_first;
  if (next_ != nullptr) {
    next_->link_ = &next_;
  }
  g_first = this;
  return pages * kPageBytes;
}

bool PipePages::change(u64 pages, bool more) {
  const u64 before = pages_;
  g_all_pages -= before;
  pages_ = 0;
  const bool may = !more || (!exceeds(g_pipe_limits.hard_user_pages, user_, pages) &&
                             !exceeds(g_pipe_limits.soft_user_pages, user_, pages));
  pages_ = may ? pages : before;
  g_all_pages += pages_;
  return may;
}

void PipePages::end() {
  if (link_ == nullptr) {
    return;
  }
  *link_ = next_;
  if (next_ != nullptr) {
    next_->link_ = link_;
  }
  link_ = nullptr;
  g_all_pages -= pages_;
}

}  // namespace nopte::guest::files
