#include "guest-mm/kernel/files/pipes/pipe_pages.h"

#include "guest-mm/kernel/files/pipes/pipe_ring.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kUsualPages = PipeRing::kUsualCapacityBytes / kPageBytes;
constexpr u64 kPagesBeyondSoft = 2;

// Whether it is too much for the running process.
bool exceeds(u64 limit, u64 pages) {
  return limit != 0 && pages > limit && !capable(Capability::kSysResource) && !capable(Capability::kSysAdmin);
}

}  // namespace

PipeLimits g_pipe_limits;

u64 PipePages::begin() {
  Ref<UserAccount> account = UserAccount::of(identity().user.real);
  if (!account) {
    return 0;
  }
  u64 pages = kUsualPages;
  if (pages * kPageBytes > g_pipe_limits.largest_bytes && !capable(Capability::kSysResource)) {
    pages = g_pipe_limits.largest_bytes / kPageBytes;
  }
  if (exceeds(g_pipe_limits.soft_user_pages, account->pipe_pages + pages)) {
    pages = kPagesBeyondSoft;
  }
  if (exceeds(g_pipe_limits.hard_user_pages, account->pipe_pages + pages)) {
    return 0;
  }
  pages_ = pages;
  account->pipe_pages += pages;
  account_ = std::move(account);
  return pages * kPageBytes;
}

bool PipePages::change(u64 pages, bool more) {
  const u64 all = account_->pipe_pages - pages_ + pages;
  if (more && (exceeds(g_pipe_limits.hard_user_pages, all) || exceeds(g_pipe_limits.soft_user_pages, all))) {
    return false;
  }
  account_->pipe_pages = all;
  pages_ = pages;
  return true;
}

void PipePages::end() {
  if (account_) {
    account_->pipe_pages -= pages_;
    account_ = nullptr;
  }
}

}  // namespace nopte::guest::files
