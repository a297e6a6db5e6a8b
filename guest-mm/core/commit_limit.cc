#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

namespace {
constinit u64 g_total_pages = 0;
}

void set_commit_limit(u64 total_pages) { g_total_pages = total_pages; }

bool may_commit(u64 pages) { return pages <= g_total_pages; }

}  // namespace nopte::guest
