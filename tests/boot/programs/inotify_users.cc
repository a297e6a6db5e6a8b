// inotify: each user may have as many instances as /proc/sys/fs/inotify/max_user_instances says. The same on
// Linux.
#include <sys/inotify.h>

#include "tests/boot/programs/checks.h"

namespace {

int most_instances() {
  int most = 0;
  FILE* const file = fopen("/proc/sys/fs/inotify/max_user_instances", "r");
  CHECK(file != nullptr && fscanf(file, "%d", &most) == 1 && fclose(file) == 0);
  return most;
}

// As many as may be; the last of them.
int fill(int most) {
  int made = 0, last = -1;
  for (int one; (one = inotify_init1(0)) >= 0; ++made) {
    last = one;
  }
  CHECK(errno == EMFILE && made == most);
  return last;
}

}  // namespace

int main() {
  const int most = most_instances();
  check("each user has as many", [=] {
    CHECK(seteuid(54321) == 0);
    const int last = fill(most);
    CHECK(seteuid(0) == 0 && seteuid(54322) == 0);
    fill(most);
    CHECK(close(last) == 0);
    CHECK_ERRNO(inotify_init(), EMFILE);  // the other's
    CHECK(seteuid(0) == 0 && seteuid(54321) == 0);
    CHECK(inotify_init() == last);
    CHECK_ERRNO(inotify_init(), EMFILE);
  });
  return finish();
}
