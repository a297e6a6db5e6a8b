#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

namespace {
using CountPages = u64 (*)();
constinit CountPages g_committed_pages = nullptr;
}  // namespace

void set_commit_limit(u64 total_pages, u64 (*committed_pages)()) {
  g_all_pages = total_pages;
  g_committed_pages = committed_pages;
}

u64 commit_limit_pages() {
  return g_overcommit.kbytes != 0 ? g_overcommit.kbytes / (kPageBytes >> 10)
                                  : g_all_pages * static_cast<u64>(g_overcommit.ratio) / 100;
}

bool may_commit_unguessed(u64 pages) {
  if (g_overcommit.mode == static_cast<i32>(OvercommitMode::kAlways)) return true;
  const u64 limit = commit_limit_pages();
  const u64 committed = g_committed_pages == nullptr ? 0 : g_committed_pages();
  return committed <= limit && pages <= limit - committed;
}

}  // namespace nopte::guest
