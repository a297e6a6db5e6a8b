// A removed tree whose directories live as long as the last of them is open, each with a watch. Prints the
// same on Linux, where it works in a fresh directory below /tmp.
#include <sys/inotify.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

constexpr int kDepth = 1000;

// The next event, with the name "d" or none.
void expect(int instance, int wd, uint32_t mask, bool named = false) {
  alignas(inotify_event) char buffer[2 * sizeof(inotify_event)];
  const size_t bytes = sizeof(inotify_event) * (named ? 2 : 1);
  CHECK(read(instance, buffer, bytes) == static_cast<ssize_t>(bytes));
  const auto* event = reinterpret_cast<inotify_event*>(buffer);
  CHECK(event->wd == wd && event->mask == mask);
  CHECK(!named || strcmp(event->name, "d") == 0);
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  const int instance = inotify_init1(IN_NONBLOCK);
  int last = -1;
  check("removed from its end on", [&] {
    for (int wd = 1; wd <= kDepth; ++wd) {
      CHECK(mkdir("d", 0755) == 0);
      CHECK(inotify_add_watch(instance, "d", IN_ATTRIB | IN_CLOSE | IN_DELETE_SELF) == wd);
      CHECK(chdir("d") == 0);
    }
    last = open(".", O_RDONLY);
    CHECK(last >= 0);
    for (int i = 0; i < kDepth; ++i) CHECK(chdir("..") == 0 && rmdir("d") == 0);
  });
  check("its parent alone hears of it", [&] {
    CHECK(fchmod(last, 0700) == 0);
    expect(instance, kDepth - 1, IN_ATTRIB | IN_ISDIR, true);
    expect(instance, kDepth, IN_ATTRIB | IN_ISDIR);
  });
  check("they end one after the other", [&] {
    CHECK(close(last) == 0);
    expect(instance, kDepth - 1, IN_CLOSE_NOWRITE | IN_ISDIR, true);
    expect(instance, kDepth, IN_CLOSE_NOWRITE | IN_ISDIR);
    for (int wd = kDepth; wd > 0; --wd) {
      expect(instance, wd, IN_DELETE_SELF);
      expect(instance, wd, IN_IGNORED);
    }
    char byte;
    CHECK_ERRNO(read(instance, &byte, 1), EAGAIN);
  });
  return finish();
}
