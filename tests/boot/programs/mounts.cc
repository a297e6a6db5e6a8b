// tmpfs mounted somewhere, read-only as well; handles of files; old calls on directories and file systems.
// The same on Linux.
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <utime.h>

#include "tests/boot/programs/answers.h"

namespace {

int mount_at(const char* where, unsigned long flags = 0, const char* options = nullptr) {
  return mount("nopte", where, "tmpfs", flags, options);
}

// The line of /proc/mounts about it, without the path before.
std::string told(const char* name) {
  std::string text = contents("/proc/mounts");
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (line.find(name) != std::string::npos) {
      return line.substr(0, 5) + " " + line.substr(line.find(name));
    }
    at = end + 1;
  }
  return "none";
}

void one_is_mounted() {
  CHECK(mkdir("point", 0700) == 0 && mkdir("point/below", 0755) == 0);
  put("point/file", "under");
  const ino_t under = stat_of("point").st_ino;
  SAY(mount_at("point"));
  printf("  %s\n", told("/point ").substr(0, 30).c_str());
  SAY(stat_of("point").st_dev == stat_of(".").st_dev);
  SAY(stat_of("point").st_ino == under);
  SAY(stat_of("point").st_mode);
  SAY(stat_of("point/..").st_ino == stat_of(".").st_ino);
  SAY(access("point/file", F_OK));
  put("point/new", "over");
  SAY(contents("point/new") == "over");
  SAY(link("point/new", "link"));
  SAY(rename("point/new", "name"));
  SAY(rename("point", "other"));
  SAY(rmdir("point"));
  SAY(unlink("point"));
  SAY(mkdir("point/inner", 0755));
  CHECK(chdir("point/inner") == 0);
  char path[4096];
  CHECK(getcwd(path, sizeof path) != nullptr);
  printf("  %s\n", strstr(path, "/point"));
  SAY(stat_of("../..").st_ino != stat_of("..").st_ino);
  SAY(umount("../../point"));
  CHECK(chdir("../..") == 0);
  SAY(umount("point/inner"));
  const int file = open("point/new", O_RDONLY);
  SAY(umount("point"));
  SAY(close(file));
  SAY(umount2("point", 64));
  SAY(umount2("point", MNT_EXPIRE | MNT_DETACH));
  const int used = open("point/new", O_RDONLY);
  SAY(umount2("point", MNT_EXPIRE));  // busy
  SAY(close(used));
  SAY(umount2("point", MNT_EXPIRE));
  SAY(access("point/new", F_OK));  // a use
  SAY(umount2("point", MNT_EXPIRE));
  SAY(umount2("point", MNT_EXPIRE));
  SAY(umount("point"));
  SAY(contents("point/file") == "under");
  SAY(stat_of("point").st_ino == under);
  SAY(mount_at("point", 0, "mode=750,size=1m"));
  SAY(stat_of("point").st_mode);
  SAY(mount_at("point"));
  SAY(stat_of("point").st_mode);
  SAY(umount2("point", MNT_DETACH));
  SAY(stat_of("point").st_mode);
  SAY(umount("point"));
}

void what_it_refuses() {
  put("file", "text");
  SAY(mount_at("missing"));
  SAY(mount_at("file"));
  SAY(mount_at("file/below"));
  SAY(mount("nopte", "point", "no-such-system", 0, nullptr));
  SAY(mount("nopte", "point", nullptr, 0, nullptr));
  SAY(mount("nopte", reinterpret_cast<char*>(8), "tmpfs", 0, nullptr));
  SAY(mount("nopte", "point", reinterpret_cast<char*>(8), 0, nullptr));
  SAY(mount("nopte", "point", "tmpfs", MS_REMOUNT, nullptr));
  SAY(mount_at("point", 0, "mode=9"));
  SAY(mount(nullptr, "point", nullptr, MS_PRIVATE, nullptr));
  SAY(umount("point"));
  SAY(umount("missing"));
  SAY(umount("file"));
  SAY(umount(""));
  SAY(umount(reinterpret_cast<char*>(8)));
  SAY(umount2("point", UMOUNT_NOFOLLOW));
  as_user(65534, [] {
    SAY(mount_at("point"));
    SAY(umount("point"));
    SAY(umount("missing"));
  });
}

void nothing_changes_where_it_is_read_only() {
  SAY(mount_at("point"));
  put("point/file", "text");
  CHECK(mkdir("point/folder", 0755) == 0 && symlink("file", "point/link") == 0 &&
        mkfifo("point/fifo", 0644) == 0);
  CHECK(mknod("point/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
  SAY(mount("nopte", "point", "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr));
  printf("  %s\n", told("/point ").substr(0, 16).c_str());
  struct statfs system;
  struct statvfs more;
  CHECK(statfs("point", &system) == 0 && statvfs("point", &more) == 0);
  printf("  type %lx read-only %d\n", static_cast<long>(system.f_type), (more.f_flag & ST_RDONLY) != 0);
  SAY(contents("point/file") == "text");
  SAY(access("point/file", W_OK));
  SAY(access("point/file", R_OK));
  SAY(access("point/folder", W_OK));
  SAY(access("point/fifo", W_OK));
  SAY(open("point/file", O_WRONLY));
  SAY(open("point/file", O_RDWR));
  SAY(open("point/file", O_RDONLY | O_TRUNC));
  SAY(open("point/new", O_RDWR | O_CREAT, 0644));
  SAY(open("point/new", O_RDONLY | O_CREAT, 0644));
  SAY(open("point/file", O_RDONLY | O_CREAT | O_EXCL, 0644));
  SAY(open("point", O_TMPFILE | O_RDWR, 0644));
  SAY(creat("point/new", 0644));
  SAY(open("point/null", O_RDWR) >= 0);
  SAY(open("point/fifo", O_RDWR) >= 0);
  SAY(truncate("point/file", 0));
  SAY(chmod("point/file", 0600));
  SAY(chown("point/file", 0, 0));
  SAY(lchown("point/link", 0, 0));
  SAY(utime("point/file", nullptr));
  SAY(utimes("point/file", nullptr));
  SAY(mkdir("point/new", 0755));
  SAY(mkdir("point/folder", 0755));
  SAY(mknod("point/new", S_IFREG | 0644, 0));
  SAY(mkfifo("point/new", 0644));
  SAY(symlink("file", "point/new"));
  SAY(link("point/file", "point/new"));
  SAY(rename("point/file", "point/new"));
  SAY(unlink("point/file"));
  SAY(unlink("point/folder"));
  SAY(rmdir("point/folder"));
  SAY(rmdir("point/file"));
  SAY(rename("file", "point/new"));
  SAY(link("file", "point/new"));
  const int file = open("point/file", O_RDONLY);
  SAY(fchmod(file, 0600));
  SAY(fchown(file, 0, 0));
  SAY(futimens(file, nullptr));
  close_range(3, ~0u, 0);
  SAY(mount("nopte", "point", "tmpfs", MS_REMOUNT, nullptr));
  SAY(chmod("point/file", 0600));
  SAY(umount("point"));
  SAY(mount_at("point", MS_NODEV | MS_NOEXEC));
  CHECK(mknod("point/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
  SAY(open("point/null", O_RDWR));
  SAY(open("point/null", O_PATH) > 0);
  close_range(3, ~0u, 0);
  put("point/program", "#!/bin/true");
  CHECK(chmod("point/program", 0755) == 0);
  SAY(execl("point/program", "program", nullptr));
  SAY(umount("point"));
}

struct Handle {
  file_handle header;
  unsigned char bytes[128];
};

void handles() {
  put("file", "by its handle");
  CHECK(symlink("file", "link") == 0 && mkdir("folder", 0755) == 0);
  Handle one = {};
  int mount = 0;
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, &mount, 0));
  SAY(one.header.handle_bytes != 0);
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, &mount, 0));
  one.header.handle_bytes = 129;
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, &mount, 0));
  one.header.handle_bytes = 128;
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, &mount, 1));
  SAY(name_to_handle_at(AT_FDCWD, "missing", &one.header, &mount, 0));
  SAY(name_to_handle_at(AT_FDCWD, "", &one.header, &mount, 0));
  SAY(name_to_handle_at(99, "file", &one.header, &mount, 0));
  SAY(syscall(SYS_name_to_handle_at, AT_FDCWD, "file", 8, &mount, 0));
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, reinterpret_cast<int*>(8), 0));
  one.header.handle_bytes = 128;
  SAY(name_to_handle_at(AT_FDCWD, "file", &one.header, &mount, 0));
  int file = open_by_handle_at(AT_FDCWD, &one.header, O_RDONLY);
  char text[32] = {};
  SAY(read(file, text, sizeof text));
  printf("  %s\n", text);
  close(file);
  SAY(open_by_handle_at(99, &one.header, O_RDONLY));
  SAY(syscall(SYS_open_by_handle_at, AT_FDCWD, 8, O_RDONLY));
  Handle bad = one;
  bad.header.handle_bytes = 0;
  SAY(open_by_handle_at(AT_FDCWD, &bad.header, O_RDONLY));
  bad.header.handle_bytes = 129;
  SAY(open_by_handle_at(AT_FDCWD, &bad.header, O_RDONLY));
  as_user(65534, [&] { SAY(open_by_handle_at(AT_FDCWD, &one.header, O_RDONLY)); });
  CHECK(rename("file", "folder/name") == 0);
  SAY(open_by_handle_at(AT_FDCWD, &one.header, O_RDWR) > 0);
  Handle other = {};
  other.header.handle_bytes = 128;
  SAY(name_to_handle_at(AT_FDCWD, "link", &other.header, &mount, 0));
  SAY(open_by_handle_at(AT_FDCWD, &other.header, O_RDONLY));
  SAY(open_by_handle_at(AT_FDCWD, &other.header, O_PATH) > 0);
  other.header.handle_bytes = 128;
  SAY(name_to_handle_at(AT_FDCWD, "folder", &other.header, &mount, 0));
  file = open_by_handle_at(AT_FDCWD, &other.header, O_RDONLY | O_DIRECTORY);
  SAY(openat(file, "name", O_RDONLY) > 0);
  other.header.handle_bytes = 128;
  SAY(name_to_handle_at(file, "", &other.header, &mount, AT_EMPTY_PATH));
  close_range(3, ~0u, 0);
  CHECK(unlink("folder/name") == 0);
  SAY(open_by_handle_at(AT_FDCWD, &one.header, O_RDONLY));
  SAY(name_to_handle_at(AT_FDCWD, "/proc/self/status", &one.header, &mount, 0));
}

void old_calls() {
  CHECK(mkdir("listed", 0755) == 0);
  put("listed/one", "");
  CHECK(mkdir("listed/two", 0755) == 0);
  int folder = open("listed", O_RDONLY);
  char buffer[512];
  const long bytes = syscall(SYS_getdents, folder, buffer, sizeof buffer);
  printf("  %ld bytes\n", bytes);
  std::vector<std::string> names;
  for (long at = 0; at < bytes;) {
    unsigned short length;
    memcpy(&length, buffer + at + 16, 2);
    names.push_back(std::string(buffer + at + 18) + " type " + std::to_string(buffer[at + length - 1]));
    at += length;
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) printf("  %s\n", name.c_str());
  SAY(syscall(SYS_getdents, folder, buffer, sizeof buffer));
  SAY(lseek(folder, 0, SEEK_SET));
  SAY(syscall(SYS_getdents, folder, buffer, 5));
  SAY(syscall(SYS_getdents, folder, 8, sizeof buffer));
  CHECK(unlink("listed/one") == 0 && rmdir("listed/two") == 0 && rmdir("listed") == 0);
  SAY(syscall(SYS_getdents, folder, buffer, sizeof buffer));
  SAY(syscall(SYS_getdents64, folder, buffer, sizeof buffer));
  close(folder);
  SAY(syscall(SYS_ustat, static_cast<unsigned>(stat_of(".").st_dev), buffer));
  SAY(syscall(SYS_ustat, 0x12345u, buffer));
  SAY(syscall(SYS_ustat, static_cast<unsigned>(stat_of(".").st_dev), 8));
  SAY(syscall(SYS_sysfs, 1, "tmpfs") >= 0);
  SAY(syscall(SYS_sysfs, 1, "none-such"));
  SAY(syscall(SYS_sysfs, 1, 8));
  SAY(syscall(SYS_sysfs, 2, 0, buffer));
  SAY(syscall(SYS_sysfs, 2, 9999, buffer));
  SAY(syscall(SYS_sysfs, 2, 0, 8));
  SAY(syscall(SYS_sysfs, 3) > 2);
  SAY(syscall(SYS_sysfs, 4));
}

}  // namespace

int main() {
  begin_in_tmpfs();
  check("one is mounted", one_is_mounted);
  check("what it refuses", what_it_refuses);
  check("nothing changes where it is read-only", nothing_changes_where_it_is_read_only);
  check("handles", handles);
  check("old calls", old_calls);
  return finish();
}
