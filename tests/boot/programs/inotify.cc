// inotify: prints every event that it sees.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <utime.h>

#include <cstdint>
#include <map>

#include "tests/boot/programs/file_checks.h"

namespace {

std::map<uint32_t, int> g_cookies;  // in the order of their coming

void print_event(const inotify_event& event) {
  static const struct {
    uint32_t bit;
    const char* name;
  } kNames[] = {{IN_ACCESS, "access"},           {IN_MODIFY, "modify"},           {IN_ATTRIB, "attrib"},
                {IN_CLOSE_WRITE, "close_write"}, {IN_CLOSE_NOWRITE, "close"},     {IN_OPEN, "open"},
                {IN_MOVED_FROM, "moved_from"},   {IN_MOVED_TO, "moved_to"},       {IN_CREATE, "create"},
                {IN_DELETE, "delete"},           {IN_DELETE_SELF, "delete_self"}, {IN_MOVE_SELF, "move_self"},
                {IN_Q_OVERFLOW, "overflow"},     {IN_IGNORED, "ignored"},         {IN_ISDIR, "+dir"}};
  printf("  %d", event.wd);
  uint32_t rest = event.mask;
  for (const auto& [bit, name] : kNames) {
    if ((rest & bit) != 0) printf(" %s", name);
    rest &= ~bit;
  }
  if (rest != 0) printf(" +%x", rest);
  if (event.cookie != 0) {
    const int next = static_cast<int>(g_cookies.size()) + 1;
    printf(" cookie %d", g_cookies.emplace(event.cookie, next).first->second);
  }
  if (event.len != 0) printf(" \"%s\" in %u", event.name, event.len);
  printf("\n");
}

void show(int instance, const char* what) {
  printf("%s:\n", what);
  alignas(inotify_event) char buffer[4096];
  ssize_t got;
  while ((got = read(instance, buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      print_event(*event);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  CHECK(got == -1 && errno == EAGAIN);
}

int make() {
  const int instance = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  CHECK(instance >= 0);
  return instance;
}

void errors() {
  check("errors", [] {
    CHECK_ERRNO(inotify_init1(1), EINVAL);
    const int blocking = inotify_init();
    CHECK(lseek(blocking, 7, SEEK_CUR) == 0);
    CHECK(blocking >= 0 && fcntl(blocking, F_GETFD) == 0 && (fcntl(blocking, F_GETFL) & O_NONBLOCK) == 0);
    close(blocking);
    const int instance = make();
    CHECK(fcntl(instance, F_GETFD) == FD_CLOEXEC && (fcntl(instance, F_GETFL) & O_NONBLOCK) != 0);
    put("file", "text");
    CHECK_ERRNO(inotify_add_watch(instance, "file", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(-1, "file", IN_OPEN), EBADF);
    CHECK_ERRNO(inotify_add_watch(1, "file", IN_OPEN), EINVAL);
    CHECK_ERRNO(inotify_add_watch(instance, "none", IN_OPEN), ENOENT);
    CHECK_ERRNO(inotify_add_watch(instance, "file/x", IN_OPEN), ENOTDIR);
    CHECK_ERRNO(inotify_add_watch(instance, "file", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    CHECK_ERRNO(inotify_add_watch(instance, reinterpret_cast<char*>(8), IN_OPEN), EFAULT);
    CHECK_ERRNO(inotify_add_watch(instance, "file", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(instance, 1), EINVAL);
    CHECK_ERRNO(inotify_rm_watch(-1, 1), EBADF);
    CHECK_ERRNO(inotify_rm_watch(1, 1), EINVAL);
    CHECK_ERRNO(write(instance, "x", 1), EBADF);
    CHECK(inotify_add_watch(instance, "file", IN_OPEN) == 1);
    CHECK_ERRNO(inotify_add_watch(instance, "file", IN_OPEN | IN_MASK_CREATE), EEXIST);
    CHECK(inotify_add_watch(instance, "file", IN_ATTRIB) == 1);
    CHECK(inotify_rm_watch(instance, 1) == 0);
    CHECK_ERRNO(inotify_rm_watch(instance, 1), EINVAL);
    show(instance, "removed");
    CHECK(inotify_add_watch(instance, "file", IN_OPEN) == 2);
    close(instance);
    unlink("file");
  });
  check("reading", [] {
    const int instance = make();
    CHECK(inotify_add_watch(instance, ".", IN_CREATE) == 1);
    char buffer[64];
    int waiting = -1;
    pollfd entry = {instance, POLLIN | POLLOUT, 0};
    CHECK(poll(&entry, 1, 0) == 0);
    CHECK_ERRNO(read(instance, buffer, sizeof(buffer)), EAGAIN);
    CHECK(ioctl(instance, FIONREAD, &waiting) == 0 && waiting == 0);
    CHECK(mkdir("a", 0700) == 0 && mkdir("sixteenletters16", 0700) == 0);
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN);
    CHECK(ioctl(instance, FIONREAD, &waiting) == 0 && waiting == 32 + 48);
    CHECK_ERRNO(ioctl(instance, 0x1234, &waiting), ENOTTY);
    CHECK_ERRNO(read(instance, buffer, 16), EINVAL);
    CHECK_ERRNO(read(instance, buffer, 31), EINVAL);
    CHECK(read(instance, buffer, 64) == 32);  // the second one does not fit
    CHECK_ERRNO(read(instance, buffer, 47), EINVAL);
    CHECK(read(instance, buffer, 48) == 48);
    CHECK(rmdir("a") == 0 && rmdir("sixteenletters16") == 0);
    close(instance);
  });
  check("who reads sleeps", [] {
    const int instance = inotify_init();
    CHECK(inotify_add_watch(instance, ".", IN_CREATE) == 1);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      await_state(getppid(), 'S');
      put("late", "");
      _exit(0);
    }
    alignas(inotify_event) char buffer[64];
    CHECK(read(instance, buffer, sizeof(buffer)) == 32);
    CHECK(strcmp(reinterpret_cast<inotify_event*>(buffer)->name, "late") == 0);
    CHECK(waitpid(child, nullptr, 0) == child);
    close(instance);
    unlink("late");
  });
}

void events() {
  check("a file", [] {
    const int instance = make();
    put("file", "text");
    CHECK(inotify_add_watch(instance, "file", IN_ALL_EVENTS) == 1);
    const int file = open("file", O_RDWR);
    show(instance, "open");
    char byte;
    CHECK(read(file, &byte, 1) == 1);
    CHECK(read(file, &byte, 0) == 0);
    show(instance, "read");
    CHECK(write(file, "x", 1) == 1 && pwrite(file, "yz", 2, 0) == 2 && write(file, "", 0) == 0);
    show(instance, "write twice");
    CHECK(ftruncate(file, 2) == 0);
    show(instance, "ftruncate");
    CHECK(truncate("file", 7) == 0);
    show(instance, "truncate");
    CHECK(fchmod(file, 0600) == 0);
    show(instance, "fchmod");
    CHECK(chown("file", 0, 0) == 0);
    show(instance, "chown");
    const timespec both[2] = {{1, 0}, {2, 0}};
    CHECK(futimens(file, both) == 0);
    show(instance, "both times");
    const timespec first[2] = {{1, 0}, {0, UTIME_OMIT}};
    CHECK(futimens(file, first) == 0);
    show(instance, "time of access");
    const timespec second[2] = {{0, UTIME_OMIT}, {3, 0}};
    CHECK(futimens(file, second) == 0);
    show(instance, "time of modification");
    CHECK(fallocate(file, 0, 0, 100) == 0);
    show(instance, "fallocate");
    const int again = dup(file);
    CHECK(close(file) == 0);
    show(instance, "close one of two");
    CHECK(close(again) == 0);
    show(instance, "close");
    CHECK(close(open("file", O_WRONLY | O_TRUNC)) == 0);
    show(instance, "open with O_TRUNC, close");
    CHECK(close(open("file", O_PATH)) == 0);
    CHECK(access("file", R_OK) == 0);
    struct stat info = stat_of("file");
    CHECK(info.st_size == 0);
    show(instance, "O_PATH, access, stat");
    CHECK(link("file", "other") == 0);
    show(instance, "link");
    CHECK(unlink("other") == 0);
    show(instance, "unlink the other name");
    CHECK(rename("file", "moved") == 0);
    show(instance, "rename");
    CHECK(unlink("moved") == 0);
    show(instance, "unlink");
    CHECK_ERRNO(inotify_rm_watch(instance, 1), EINVAL);
    close(instance);
  });
  check("a directory", [] {
    const int instance = make();
    CHECK(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    CHECK(inotify_add_watch(instance, "d", IN_ALL_EVENTS) == 1);
    put("d/file", "text");
    show(instance, "a new file");
    CHECK(contents("d/file") == "text");
    show(instance, "read it");
    CHECK(mkdir("d/sub", 0755) == 0);
    CHECK(symlink("nowhere", "d/link") == 0 && mkfifo("d/fifo", 0600) == 0);
    CHECK(link("d/file", "d/second") == 0);
    show(instance, "mkdir, symlink, mkfifo, link");
    CHECK(names_in("d").size() == 7);
    show(instance, "readdir");
    CHECK(names_in("d/sub").size() == 2);
    show(instance, "readdir of one below");
    CHECK(chmod("d/file", 0600) == 0 && chmod("d/sub", 0700) == 0 && chmod("d", 0700) == 0);
    show(instance, "chmod");
    CHECK(rename("d/file", "d/renamed") == 0);
    show(instance, "rename within");
    CHECK(rename("d/renamed", "e/away") == 0);
    show(instance, "rename away");
    CHECK(rename("e/away", "d/back") == 0 && rename("d/sub", "d/sub2") == 0);
    show(instance, "rename back, and a directory");
    CHECK(unlink("d/back") == 0 && unlink("d/second") == 0 && unlink("d/link") == 0 && unlink("d/fifo") == 0);
    show(instance, "unlink");
    CHECK(rmdir("d/sub2") == 0);
    show(instance, "rmdir of one below");
    CHECK(rename("d", "e/d") == 0);
    show(instance, "rename itself");
    CHECK(rmdir("e/d") == 0);
    show(instance, "rmdir itself");
    CHECK(rmdir("e") == 0);
    close(instance);
  });
  check("both", [] {
    const int instance = make();
    CHECK(mkdir("d", 0755) == 0);
    put("d/file", "text");
    put("d/old", "text");
    CHECK(inotify_add_watch(instance, "d", IN_ALL_EVENTS) == 1);
    CHECK(inotify_add_watch(instance, "d/file", IN_ALL_EVENTS) == 2);
    CHECK(inotify_add_watch(instance, "d/old", IN_ALL_EVENTS) == 3);
    CHECK(contents("d/file") == "text");
    show(instance, "read");
    CHECK(rename("d/file", "d/old") == 0);
    show(instance, "rename over");
    CHECK(unlink("d/old") == 0);
    show(instance, "unlink");
    CHECK(rmdir("d") == 0);
    show(instance, "rmdir");
    close(instance);
  });
  check("unlinked while open", [] {
    const int instance = make();
    put("file", "text");
    const int file = open("file", O_RDONLY);
    CHECK(inotify_add_watch(instance, "file", IN_ALL_EVENTS) == 1);
    CHECK(unlink("file") == 0);
    show(instance, "unlink");
    CHECK(close(file) == 0);
    show(instance, "close");
    close(instance);
  });
  check("its directory hears of what has no name any more", [] {
    CHECK(mkdir("d", 0755) == 0);
    put("d/file", "text");
    put("d/over", "text");
    const int all = make();
    const int named = make();
    CHECK(inotify_add_watch(all, "d", IN_ALL_EVENTS) == 1);
    CHECK(inotify_add_watch(named, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK) == 1);
    const int file = open("d/file", O_RDWR);
    const int over = open("d/over", O_RDWR);
    CHECK(unlink("d/file") == 0);
    put("d/new", "");
    CHECK(rename("d/new", "d/over") == 0);
    show(all, "unlink and rename");
    show(named, "with names");
    char byte;
    CHECK(write(file, "x", 1) == 1 && read(over, &byte, 1) == 1);
    show(all, "write and read");
    show(named, "with names");
    CHECK(close(file) == 0 && close(over) == 0);
    show(all, "close");
    show(named, "with names");
    CHECK(unlink("d/over") == 0 && rmdir("d") == 0);
    close(all);
    close(named);
  });
  check("what fdinfo says", [] {
    const int instance = make();
    put("file", "text");
    CHECK(inotify_add_watch(instance, "file", IN_MODIFY | IN_ONESHOT) == 1);
    CHECK(inotify_add_watch(instance, ".", IN_MODIFY | IN_EXCL_UNLINK) == 2);
    const std::string text = contents(("/proc/self/fdinfo/" + std::to_string(instance)).c_str());
    struct stat its = stat_of("file");
    char wanted[200];
    snprintf(wanted, sizeof wanted, "inotify wd:1 ino:%lx ", static_cast<unsigned long>(its.st_ino));
    printf("its inode: %d\n", text.find(wanted) != std::string::npos);
    for (const char* mask : {" mask:80000002 ", " mask:4000002 ", " mask:2 "}) {
      printf("%s: %d\n", mask, text.find(mask) != std::string::npos);
    }
    close(instance);
    unlink("file");
  });
}

void options() {
  check("masks", [] {
    const int instance = make();
    put("file", "text");
    CHECK(symlink("file", "link") == 0);
    CHECK(inotify_add_watch(instance, "file", IN_OPEN) == 1);
    CHECK(contents("file") == "text");
    show(instance, "open alone");
    CHECK(inotify_add_watch(instance, "file", IN_ACCESS | IN_MASK_ADD) == 1);
    CHECK(contents("file") == "text");
    show(instance, "and access");
    CHECK(inotify_add_watch(instance, "file", IN_CLOSE) == 1);
    CHECK(contents("link") == "text");
    show(instance, "close alone");
    CHECK(inotify_add_watch(instance, "link", IN_DONT_FOLLOW | IN_ALL_EVENTS) == 2);
    CHECK(contents("link") == "text");
    show(instance, "the link itself");
    CHECK(unlink("link") == 0);
    show(instance, "unlink of it");
    CHECK(inotify_add_watch(instance, "file", IN_OPEN | IN_ONESHOT) == 1);
    CHECK(contents("file") == "text" && contents("file") == "text");
    show(instance, "once");
    CHECK(inotify_add_watch(instance, ".", IN_CREATE | IN_ONLYDIR | IN_EXCL_UNLINK) == 3);
    CHECK(unlink("file") == 0);
    show(instance, "nothing");
    close(instance);
  });
  check("two instances", [] {
    const int one = make();
    const int two = make();
    put("file", "text");
    CHECK(inotify_add_watch(one, "file", IN_OPEN) == 1 && inotify_add_watch(two, "file", IN_CLOSE) == 1);
    CHECK(contents("file") == "text");
    show(one, "one");
    CHECK(close(one) == 0 && unlink("file") == 0);
    show(two, "two");
    close(two);
  });
  check("equal events", [] {
    const int instance = make();
    put("file", "text");
    CHECK(inotify_add_watch(instance, "file", IN_ATTRIB | IN_OPEN) == 1);
    for (int i = 0; i < 5; ++i) CHECK(chmod("file", 0600) == 0);
    close(open("file", O_RDONLY));
    CHECK(chmod("file", 0600) == 0);
    show(instance, "five, another, one");
    unlink("file");
    close(instance);
  });
  check("overflow", [] {
    const int instance = make();
    put("file", "text");
    const int most = atoi(contents("/proc/sys/fs/inotify/max_queued_events").c_str());
    CHECK(most > 0);
    CHECK(inotify_add_watch(instance, "file", IN_ATTRIB | IN_OPEN) == 1);
    for (int i = 0; i < most; ++i) {
      CHECK(chmod("file", 0600) == 0);
      close(open("file", O_RDONLY));
    }
    alignas(inotify_event) char buffer[sizeof(inotify_event)];
    const auto* event = reinterpret_cast<inotify_event*>(buffer);
    for (int i = 0; i < most; ++i) {
      CHECK(read(instance, buffer, sizeof(buffer)) == sizeof(buffer) && event->wd == 1);
    }
    show(instance, "after as many as there may be");
    CHECK(chmod("file", 0600) == 0);
    show(instance, "it goes on");
    unlink("file");
    close(instance);
  });
  check("instances", [] {
    const int most = atoi(contents("/proc/sys/fs/inotify/max_user_instances").c_str());
    CHECK(most > 0 && atoi(contents("/proc/sys/fs/inotify/max_user_watches").c_str()) > 0);
    int made = 0;
    while (made <= most && made < 1000 && inotify_init() >= 0) ++made;
    CHECK(made <= most && (made == 1000 || errno == EMFILE));
    CHECK(close_range(3, ~0u, 0) == 0);
    close(make());
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  errors();
  events();
  options();
  return finish();
}
