// The arena's mappings as /proc/self/maps lists them: start, pages, permissions, offset, kind. Neighbours
// that continue each other are one: when Linux merges depends on what was written to before (anon_vma), which
// is no promise.
#include "tests/oracle/operations.h"

namespace oracle {
namespace {

char listing[1 << 16];

struct Area {
  int64_t start, end, offset;
  char permissions[5];
  char kind[24];
  bool continues(const Area& before) const {
    return before.end == start && strcmp(before.permissions, permissions) == 0 &&
           strcmp(before.kind, kind) == 0 &&
           (kind[0] == '-' || before.offset + (before.end - before.start) == offset);
  }
};

void read_listing() {
  const int64_t file = call(SYS_open, address_of("/proc/self/maps"), O_RDONLY);
  size_t used = 0;
  for (int64_t got;
       (got = call(SYS_read, file, address_of(listing + used), sizeof(listing) - 1 - used)) > 0;) {
    used += static_cast<size_t>(got);
  }
  listing[used] = 0;
  call(SYS_close, file);
}

// Its name's last part, as far as Linux and the guest can agree on it.
void set_kind(Area& area, const char* name) {
  const char* const last = strrchr(name, '/');
  snprintf(area.kind, sizeof(area.kind), "%s", *name == 0 ? "-" : last == nullptr ? name : last + 1);
  if (char* const end = strchr(area.kind, ' ')) *end = 0;
}

void add(const Area& area) {
  if (area.end == area.start) return;
  shared->add(" [%ld+%ld %s %s", (area.start - kArenaBase) / kPage, (area.end - area.start) / kPage,
              area.permissions, area.kind);
  if (area.kind[0] != '-') shared->add(" %ld", area.offset / kPage);
  shared->add("]");
}

}  // namespace

void list_mappings() {
  read_listing();
  Area pending = {};
  for (char* line = listing; *line != 0;) {
    char* const end = strchrnul(line, '\n');
    char* const next = *end == 0 ? end : end + 1;
    *end = 0;
    Area area = {};
    char name[256] = "";
    sscanf(line, "%lx-%lx %4s %lx %*s %*s %255[^\n]", &area.start, &area.end, area.permissions, &area.offset,
           name);
    line = next;
    if (area.start < kArenaBase - kPage || area.start > kArenaBase + 2 * kArenaPages * kPage) continue;
    set_kind(area, name);
    if (!is_raw && area.continues(pending)) {  // "neighbours"
      pending.end = area.end;
    } else {
      add(pending);
      pending = area;
    }
  }
  add(pending);
}

}  // namespace oracle
