// Rules about files that several calls share: set-group-ID folders, sticky ones, bits that a change takes
// away, files without a name, programs that run, limits. The same on Linux.
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "tests/boot/programs/answers.h"

namespace {

const char* g_self;
char* volatile g_bad = reinterpret_cast<char*>(8);

void show(const char* path) {
  struct stat info;
  if (lstat(path, &info) != 0) {
    printf("  %s: %s\n", path, strerrorname_np(errno));
    return;
  }
  printf("  %s: mode %o owner %u group %u links %lu size %ld\n", path, info.st_mode, info.st_uid, info.st_gid,
         static_cast<unsigned long>(info.st_nlink), static_cast<long>(info.st_size));
}

void groups_of_new_files() {
  CHECK(mkdir("plain", 0777) == 0 && mkdir("group", 0777) == 0);
  CHECK(chmod("plain", 0777) == 0 && chown("group", 0, 777) == 0 && chmod("group", 02777) == 0);
  for (const char* folder : {"plain", "group"}) {
    CHECK(chdir(folder) == 0);
    as_user(1234, [] {
      umask(0);
      for (const int mode : {0644, 02755, 02745, 06777, 01777}) {
        char name[32];
        snprintf(name, sizeof name, "file%o", mode);
        close(open(name, O_CREAT | O_WRONLY, mode));
        show(name);
        snprintf(name, sizeof name, "folder%o", mode);
        mkdir(name, static_cast<mode_t>(mode));
        show(name);
        snprintf(name, sizeof name, "node%o", mode);
        mknod(name, S_IFREG | static_cast<mode_t>(mode), 0);
        show(name);
      }
      SAY(mkfifo("fifo", 02777));
      show("fifo");
      SAY(symlink("there", "link"));
      show("link");
      SAY(mknod("device", S_IFCHR | 0666, makedev(1, 3)));
      SAY(chmod("file644", 02755));
      show("file644");
      const int nameless = open(".", O_TMPFILE | O_RDWR, 02755);
      struct stat info;
      CHECK(fstat(nameless, &info) == 0);
      printf("  nameless: mode %o group %u links %lu\n", info.st_mode, info.st_gid,
             static_cast<unsigned long>(info.st_nlink));
      SAY(truncate("file6777", 0));
      show("file6777");
    });
    CHECK(chdir("..") == 0);
  }
}

void bits_that_go() {
  put("file", "text");
  const auto with = [](mode_t mode) { CHECK(chown("file", 1234, 1234) == 0 && chmod("file", mode) == 0); };
  for (const mode_t mode : {06777u, 06767u, 02767u, 04755u}) {
    with(mode);
    printf(" %o\n", mode);
    SAY(chown("file", 1234, 1234));
    show("file");
    with(mode);
    SAY(chown("file", -1, -1));
    show("file");
    with(mode);
    SAY(truncate("file", 2));
    show("file");
    as_user(1234, [&] {
      SAY(chown("file", -1, 1234));
      show("file");
      chmod("file", mode);
      const int file = open("file", O_WRONLY);
      SAY(write(file, "a", 1));
      show("file");
      chmod("file", mode);
      SAY(ftruncate(file, 1));
      show("file");
      chmod("file", mode);
      SAY(fallocate(file, 0, 0, 10));
      show("file");
      chmod("file", mode);
      SAY(close(open("file", O_WRONLY | O_TRUNC)));
      show("file");
    });
    with(mode);
    as_user(4321, [&] {
      SAY(chown("file", 4321, -1));
      SAY(chmod("file", 0644));
      const int file = open("file", O_WRONLY);
      if (file >= 0) SAY(write(file, "ab", 2));
      show("file");
    });
  }
  CHECK(mkdir("folder", 0777) == 0 && chmod("folder", 06777) == 0);
  SAY(chown("folder", 1, 1));
  show("folder");
}

void sticky_folders() {
  CHECK(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
  put("sticky/root", "1");
  as_user(1, [] { put("sticky/one", "1"), mkdir("sticky/folder", 0755); });
  as_user(2, [] {
    SAY(unlink("sticky/one"));
    SAY(rename("sticky/one", "sticky/two"));
    SAY(rename("sticky/root", "two"));
    SAY(rmdir("sticky/folder"));
    put("sticky/mine", "1");
    SAY(rename("sticky/mine", "sticky/one"));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "sticky/mine", AT_FDCWD, "sticky/one", RENAME_EXCHANGE));
    SAY(unlink("sticky/mine"));
  });
  as_user(1, [] {
    SAY(rename("sticky/one", "sticky/two"));
    SAY(unlink("sticky/two"));
    SAY(rmdir("sticky/folder"));
  });
}

void files_without_names() {
  char path[64];
  int file = open(".", O_TMPFILE | O_RDWR, 0644);
  CHECK(write(file, "text", 4) == 4);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  SAY(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
  show("linked");
  SAY(linkat(file, "", AT_FDCWD, "again", AT_EMPTY_PATH));
  show("linked");
  SAY(unlink("linked"));
  SAY(unlink("again"));
  SAY(linkat(file, "", AT_FDCWD, "back", AT_EMPTY_PATH));
  close(file);
  file = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0644);
  SAY(linkat(file, "", AT_FDCWD, "exclusive", AT_EMPTY_PATH));
  close(file);
  SAY(open(".", O_TMPFILE | O_RDONLY, 0644));
  SAY(open("missing", O_TMPFILE | O_RDWR, 0644));
  put("file", "text");
  SAY(open("file", O_TMPFILE | O_RDWR, 0644));
  file = open("file", O_RDWR);
  unlink("file");
  SAY(linkat(file, "", AT_FDCWD, "back", AT_EMPTY_PATH));
  struct stat info;
  SAY(fstat(file, &info));
  SAY(info.st_nlink);
  close(file);
  as_user(1, [] {
    SAY(open(".", O_TMPFILE | O_RDWR, 0644));
    const int there = open("/dev/shm", O_TMPFILE | O_RDWR, 0644);
    SAY(linkat(there, "", AT_FDCWD, "/dev/shm/nopte-linked", AT_EMPTY_PATH));
    SAY(unlink("/dev/shm/nopte-linked"));
  });
}

void programs_that_run() {
  // A copy of this program, that waits.
  const std::string text = contents(g_self);
  put("program", text);
  CHECK(chmod("program", 0755) == 0);
  int writer = open("program", O_WRONLY);
  SAY(execl("program", "program", nullptr));
  close(writer);
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], 0);
    close(ends[1]);
    execl("program", "program", "wait", nullptr);
    _exit(1);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", child);
  struct stat own = stat_of("program"), its = {};
  while (stat(path, &its) != 0 || its.st_ino != own.st_ino) sched_yield();
  SAY(open("program", O_WRONLY));
  SAY(open("program", O_RDWR));
  SAY(open("program", O_RDONLY | O_TRUNC));
  SAY(creat("program", 0644));
  SAY(truncate("program", 0));
  SAY(close(open("program", O_RDONLY)));
  SAY(chmod("program", 0700));
  SAY(link("program", "same"));
  SAY(open("same", O_WRONLY));
  SAY(rename("program", "moved"));
  SAY(unlink("same"));
  SAY(open("moved", O_WRONLY | O_APPEND));
  close(ends[1]);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  writer = open("moved", O_WRONLY);
  SAY(writer >= 0);
  close_range(3, ~0u, 0);
}

void limits_of_size() {
  signal(SIGXFSZ, SIG_IGN);
  CHECK(status_of_child([] {
          const rlimit limit = {100, 100};
          CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
          const int file = open("limited", O_CREAT | O_RDWR | O_TRUNC, 0644);
          char bytes[200] = {};
          SAY(write(file, bytes, 60));
          SAY(write(file, bytes, 60));
          SAY(write(file, bytes, 60));
          SAY(pwrite(file, bytes, 10, 95));
          SAY(pwrite(file, bytes, 10, 100));
          SAY(ftruncate(file, 100));
          SAY(ftruncate(file, 101));
          SAY(truncate("limited", 101));
          SAY(fallocate(file, 0, 0, 101));
          SAY(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 101));
          iovec parts[2] = {{bytes, 60}, {bytes, 60}};
          SAY(lseek(file, 0, SEEK_SET));
          SAY(writev(file, parts, 2));
          SAY(sendfile(file, file, nullptr, 10));
          SAY(lseek(file, 1000, SEEK_SET));
          SAY(write(file, bytes, 0));
          show("limited");
          signal(SIGXFSZ, SIG_DFL);
          fflush(stdout);
          if (fork() == 0) {
            write(file, bytes, 1);
            _exit(0);
          }
          int status;
          wait(&status);
          printf("  ended by %d\n", status);
          fflush(stdout);
        }) == 0);
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && strcmp(arguments[1], "wait") == 0) {
    char byte;
    return read(0, &byte, 1) != 0;
  }
  static char self[4096];
  CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  g_self = self;
  begin_in_tmpfs();
  check("groups of new files", groups_of_new_files);
  check("bits that go", bits_that_go);
  check("sticky folders", sticky_folders);
  check("files without names", files_without_names);
  check("programs that run", programs_that_run);
  check("limits of size", limits_of_size);
  return finish();
}
