// What calls on names answer to names that lead nowhere, or to what may not be touched. The same on Linux.
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "tests/boot/programs/answers.h"

namespace {

const char* const kBad = reinterpret_cast<const char*>(8);
char* const kBadOut = reinterpret_cast<char*>(8);
std::string g_long_name, g_long_path;

// Every call that takes a name.
void each_call(const char* label, const char* path) {
  printf(" %s\n", label);
  struct stat info;
  struct statfs system;
  struct statx more;
  char buffer[256];
  SAY(access(path, F_OK));
  SAY(access(path, R_OK | W_OK));
  SAY(access(path, X_OK));
  SAY(chdir(path));
  SAY(chmod(path, 0644));
  SAY(chown(path, 0, 0));
  SAY(lchown(path, 0, 0));
  SAY(chroot(path));
  SAY(creat(path, 0644));
  SAY(syscall(SYS_execve, path, nullptr, nullptr));
  SAY(syscall(SYS_getxattr, path, "user.x", buffer, 8ul));
  SAY(link(path, "new"));
  SAY(link("there", path));
  SAY(lstat(path, &info));
  SAY(mkdir(path, 0755));
  SAY(mknod(path, S_IFREG | 0644, 0));
  SAY(mknod(path, S_IFIFO | 0644, 0));
  SAY(open(path, O_RDONLY));
  SAY(open(path, O_RDWR | O_CREAT, 0644));
  SAY(open(path, O_RDWR | O_CREAT | O_EXCL, 0644));
  SAY(open(path, O_RDONLY | O_DIRECTORY));
  SAY(open(path, O_RDONLY | O_NOFOLLOW));
  SAY(open(path, O_PATH));
  SAY(open(path, O_TMPFILE | O_RDWR, 0644));
  SAY(readlink(path, buffer, sizeof buffer));
  SAY(rename(path, "new"));
  SAY(rename("there", path));
  SAY(rmdir(path));
  SAY(stat(path, &info));
  SAY(statfs(path, &system));
  SAY(syscall(SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &more));
  SAY(symlink("there", path));
  SAY(truncate(path, 0));
  SAY(unlink(path));
  SAY(utime(path, nullptr));
  SAY(syscall(SYS_utimes, path, nullptr));
  SAY(syscall(SYS_utimensat, AT_FDCWD, path, nullptr, 0));
  SAY(syscall(SYS_futimesat, AT_FDCWD, path, nullptr));
  SAY(syscall(SYS_faccessat, AT_FDCWD, path, F_OK));
  SAY(syscall(SYS_umount2, path, 0));
  SAY(syscall(SYS_mount, "none", path, "tmpfs", 1, nullptr));
  SAY(syscall(SYS_umount2, path, 0));
  SAY(syscall(SYS_pivot_root, path, path));
  SAY(syscall(SYS_swapon, path, 0));
  SAY(syscall(SYS_swapoff, path));
  SAY(syscall(SYS_acct, path));
  SAY(syscall(SYS_acct, nullptr));
  SAY(syscall(SYS_inotify_add_watch, 0, path, 1));
  close_range(3, ~0u, 0);
}

// The same every time: a file, a folder, links.
void fresh() {
  static int count = 0;
  char name[16];
  snprintf(name, sizeof name, "%d", ++count);
  CHECK(mkdir(name, 0777) == 0 && chdir(name) == 0 && chmod(".", 0777) == 0);
  put("there", "text");
  CHECK(mkdir("folder", 0755) == 0 && mkdir("full", 0755) == 0);
  put("full/inner", "1");
  CHECK(symlink("circle", "circle") == 0 && symlink("nowhere", "dangling") == 0);
  CHECK(symlink("there", "to_file") == 0 && symlink("folder", "to_folder") == 0);
  CHECK(mkfifo("fifo", 0644) == 0);
}

void in_fresh(const char* label, const char* path) {
  CHECK(status_of_child([&] {
          fresh();
          each_call(label, path);
          fflush(stdout);
        }) == 0);
  static int count = 0;
  char name[32];
  snprintf(name, sizeof name, "done%d", ++count);
  CHECK(rename("1", name) == 0);
}

void names_that_lead_nowhere() {
  in_fresh("bad address", kBad);
  in_fresh("empty", "");
  in_fresh("missing", "missing");
  in_fresh("below what is missing", "missing/name");
  in_fresh("below a file", "there/name");
  in_fresh("long name", g_long_name.c_str());
  in_fresh("long path", g_long_path.c_str());
  in_fresh("circle", "circle");
  in_fresh("below a circle", "circle/name");
  in_fresh("dangling link", "dangling");
  in_fresh("missing with slash", "missing/");
}

void names_that_lead_somewhere() {
  in_fresh("file", "there");
  in_fresh("file with slash", "there/");
  in_fresh("folder", "folder");
  in_fresh("folder with slash", "folder/");
  in_fresh("full folder", "full");
  in_fresh("link to file", "to_file");
  in_fresh("link to folder", "to_folder");
  in_fresh("link to folder with slash", "to_folder/");
  in_fresh(".", ".");
  in_fresh("folder/.", "folder/.");
  in_fresh("folder/..", "folder/..");
}

// As a user that owns nothing.
void without_rights(const char* label, const char* path) {
  CHECK(status_of_child([&] {
          fresh();
          CHECK(mkdir("closed", 0700) == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
          CHECK(chmod("there", 0600) == 0);
          put("closed/file", "1");
          put("sticky/file", "1");
          CHECK(mkdir("sticky/folder", 0755) == 0 && mkdir("shown", 0755) == 0);
          put("shown/file", "1");
          as_user(65534, [&] { each_call(label, path); });
          fflush(stdout);
        }) == 0);
  static int count = 0;
  char name[32];
  snprintf(name, sizeof name, "user%d", ++count);
  CHECK(rename("1", name) == 0);
}

void what_others_may_not() {
  without_rights("a file of another", "there");
  without_rights("a folder of another", "folder");
  without_rights("in a closed folder", "closed/file");
  without_rights("missing in a closed folder", "closed/missing");
  without_rights("file in a sticky folder", "sticky/file");
  without_rights("folder in a sticky folder", "sticky/folder");
  without_rights("in a folder of another", "shown/file");
  without_rights("missing in a folder of another", "shown/missing");
  without_rights("missing", "missing");
}

}  // namespace

int main() {
  begin_in_tmpfs();
  CHECK(chmod(".", 0777) == 0);
  g_long_name.assign(256, 'n');
  for (int part = 0; part < 2100; ++part) g_long_path += "./";
  g_long_path += "there";
  check("names that lead nowhere", names_that_lead_nowhere);
  check("names that lead somewhere", names_that_lead_somewhere);
  check("what others may not", what_others_may_not);
  return finish();
}
