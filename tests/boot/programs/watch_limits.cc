// What each user may watch with epoll and inotify: /proc/sys/fs/epoll/max_user_watches,
// /proc/sys/fs/inotify/max_user_watches. It sets them, so that it is nothing for a machine that others use.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <string>

#include "tests/boot/programs/checks.h"

namespace {

constexpr uid_t kUser = 54321, kOther = 54322;

long setting(const char* path) {
  long value = -1;
  FILE* const file = fopen(path, "r");
  CHECK(file != nullptr && fscanf(file, "%ld", &value) == 1 && fclose(file) == 0);
  return value;
}
void set(const char* path, long value) {
  FILE* const file = fopen(path, "w");
  CHECK(file != nullptr && fprintf(file, "%ld", value) > 0 && fclose(file) == 0);
}

template <class Body>
void as_user(uid_t user, Body body) {
  const int status = status_of_child([&] {
    CHECK(setresuid(user, user, user) == 0);
    body();
  });
  CHECK(status == 0);
}

void epolls() {
  constexpr const char* kPath = "/proc/sys/fs/epoll/max_user_watches";
  const long usual = setting(kPath);
  CHECK(usual > 1000);
  set(kPath, 5);
  const auto fill = [](int first, int second) {
    const int watched = eventfd(0, 0);
    CHECK(watched >= 0);
    epoll_event event = {EPOLLIN, {}};
    for (int i = 0; i < 5; ++i) {
      CHECK(epoll_ctl(i % 2 == 0 ? first : second, EPOLL_CTL_ADD, i < 2 ? watched : dup(watched), &event) ==
            0);
    }
    CHECK_ERRNO(epoll_ctl(first, EPOLL_CTL_ADD, watched, &event), EEXIST);
    CHECK_ERRNO(epoll_ctl(first, EPOLL_CTL_ADD, dup(watched), &event), ENOSPC);
    CHECK_ERRNO(epoll_ctl(second, EPOLL_CTL_ADD, dup(watched), &event), ENOSPC);
    CHECK(epoll_ctl(first, EPOLL_CTL_MOD, watched, &event) == 0);
    CHECK(epoll_ctl(second, EPOLL_CTL_DEL, watched, nullptr) == 0);
    CHECK(epoll_ctl(first, EPOLL_CTL_ADD, dup(watched), &event) == 0);
    CHECK_ERRNO(epoll_ctl(first, EPOLL_CTL_ADD, dup(watched), &event), ENOSPC);
  };
  as_user(kUser, [&] {
    const int first = epoll_create1(0), second = epoll_create1(0);
    fill(first, second);
    CHECK(close(second) == 0);  // with one watch
    epoll_event event = {EPOLLIN, {}};
    CHECK(epoll_ctl(first, EPOLL_CTL_ADD, eventfd(0, 0), &event) == 0);
  });
  as_user(kUser, [&] {
    const int own = epoll_create1(0);
    fill(own, epoll_create1(0));
    as_user(kUser, [&] {  // whose set it is counts
      CHECK_ERRNO(setresuid(0, 0, 0), EPERM);
      epoll_event event = {EPOLLIN, {}};
      CHECK_ERRNO(epoll_ctl(own, EPOLL_CTL_ADD, eventfd(0, 0), &event), ENOSPC);
    });
  });
  as_user(kOther, [&] { fill(epoll_create1(0), epoll_create1(0)); });
  set(kPath, usual);
}

void inotifies() {
  constexpr const char* kPath = "/proc/sys/fs/inotify/max_user_watches";
  const long usual = setting(kPath);
  set(kPath, 3);
  char top[] = "/tmp/watch_limits_XXXXXX";
  CHECK(mkdtemp(top) != nullptr && chmod(top, 0755) == 0);
  std::string names[5];
  for (int i = 0; i < 5; ++i) {
    names[i] = std::string(top) + "/" + std::to_string(i);
    CHECK(mkdir(names[i].c_str(), 0755) == 0);
  }
  const auto fill = [&] {
    const int first = inotify_init(), second = inotify_init();
    CHECK(first >= 0 && second >= 0);
    const auto add = [&](int to, int i) { return inotify_add_watch(to, names[i].c_str(), IN_CREATE); };
    const int one = add(first, 0);
    CHECK(one > 0 && add(first, 1) > 0 && add(second, 0) > 0);
    CHECK_ERRNO(add(first, 2), ENOSPC);
    CHECK_ERRNO(add(second, 2), ENOSPC);
    CHECK(add(first, 0) == one);
    CHECK(inotify_rm_watch(first, one) == 0 && add(second, 3) > 0);
    CHECK_ERRNO(add(first, 4), ENOSPC);
  };
  for (const uid_t user : {kUser, kOther}) {  // the first one's are still there
    CHECK(seteuid(user) == 0);
    fill();
    CHECK(seteuid(0) == 0);
  }
  for (const std::string& name : names) {
    CHECK(rmdir(name.c_str()) == 0);
  }
  CHECK(rmdir(top) == 0);
  set(kPath, usual);
}

}  // namespace

int main() {
  check("epoll", epolls);
  check("inotify", inotifies);
  return finish();
}
