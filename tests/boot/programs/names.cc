// Names of files: directories, links, rename, attributes, /dev and /proc.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/boot/programs/file_checks.h"

namespace {

void names() {
  check("directories", [] {
    CHECK(mkdir("dir", 0755) == 0);
    CHECK_ERRNO(mkdir("dir", 0755), EEXIST);
    CHECK(mkdir("dir/sub/", 0700) == 0);
    CHECK_ERRNO(mkdir("none/sub", 0755), ENOENT);
    CHECK(stat_of("dir").st_nlink >= 1 && S_ISDIR(stat_of("dir").st_mode));
    CHECK_ERRNO(rmdir("dir"), ENOTEMPTY);
    CHECK_ERRNO(unlink("dir/sub"), EISDIR);
    CHECK_ERRNO(rmdir("dir/sub/."), EINVAL);
    put("dir/x", "x");
    put("dir/y", "y");
    CHECK_ERRNO(rmdir("dir/x"), ENOTDIR);
    CHECK((names_in("dir") == std::vector<std::string>{".", "..", "sub", "x", "y"}));
    CHECK(stat_of("dir/sub/..").st_ino == stat_of("dir").st_ino);
    CHECK(stat_of("dir//sub/../.").st_ino == stat_of("./dir").st_ino);
    CHECK(rmdir("dir/sub") == 0 && unlink("dir/x") == 0 && unlink("dir/y") == 0 && rmdir("dir") == 0);
    CHECK_ERRNO(rmdir("dir"), ENOENT);
  });
  check("a link's name with a slash after it", [] {
    CHECK(mkdir("dir", 0755) == 0 && symlink("dir", "link") == 0 && symlink("nowhere", "dangling") == 0);
    for (const char* name : {"link/", "link//", "dangling/"}) {
      CHECK_ERRNO(mkdir(name, 0755), EEXIST);
      CHECK_ERRNO(mknod(name, S_IFIFO | 0600, 0), EEXIST);
      CHECK_ERRNO(symlink("x", name), EEXIST);
      CHECK_ERRNO(link("dangling", name), EEXIST);
      CHECK_ERRNO(rmdir(name), ENOTDIR);
      CHECK_ERRNO(unlink(name), ENOTDIR);
      CHECK_ERRNO(rename(name, "other"), ENOTDIR);
      CHECK_ERRNO(rename("dir", name), ENOTDIR);
      CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "dir", AT_FDCWD, name, RENAME_EXCHANGE), ENOTDIR);
      CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, "dir", RENAME_EXCHANGE), ENOTDIR);
      CHECK_ERRNO(open(name, O_CREAT | O_RDWR, 0600), EISDIR);
    }
    struct stat seen;
    CHECK(lstat("link/", &seen) == 0 && S_ISDIR(seen.st_mode) && lstat("link", &seen) == 0 &&
          S_ISLNK(seen.st_mode));
    CHECK_ERRNO(lstat("dangling/", &seen), ENOENT);
    CHECK_ERRNO(mkdir("link/.", 0755), EEXIST);
    CHECK_ERRNO(mkdir("dangling/.", 0755), ENOENT);
    CHECK_ERRNO(rmdir("link/."), EINVAL);
    CHECK(mkdir("link/sub/", 0755) == 0 && rmdir("link/sub/") == 0);
    CHECK(unlink("link") == 0 && unlink("dangling") == 0 && rmdir("dir") == 0);
  });
  check("a directory of many, read in pieces", [] {
    CHECK(mkdir("many", 0755) == 0);
    for (int i = 0; i < 500; ++i) {
      put(("many/file" + std::to_string(i)).c_str(), "");
    }
    CHECK(names_in("many").size() == 502);
    const int directory = open("many", O_RDONLY | O_DIRECTORY);
    char buffer[256];
    size_t seen = 0;
    for (;;) {
      const long got = syscall(SYS_getdents64, directory, buffer, sizeof buffer);
      CHECK(got >= 0);
      if (got == 0) {
        break;
      }
      for (long at = 0; at < got;) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
        if (strncmp(entry->d_name, "file", 4) == 0) {
          CHECK(entry->d_type == DT_REG && unlinkat(directory, entry->d_name, 0) == 0);
          ++seen;
        }
        at += entry->d_reclen;
      }
    }
    CHECK(seen == 500);
    CHECK(lseek(directory, 0, SEEK_SET) == 0);
    CHECK_ERRNO(syscall(SYS_getdents64, directory, buffer, 1), EINVAL);
    CHECK(close(directory) == 0 && rmdir("many") == 0);
  });
  check("hard links", [] {
    put("one", "same");
    CHECK(link("one", "two") == 0);
    CHECK(stat_of("one").st_nlink == 2 && stat_of("one").st_ino == stat_of("two").st_ino);
    CHECK_ERRNO(link("one", "two"), EEXIST);
    CHECK_ERRNO(link(".", "dot"), EPERM);
    CHECK(unlink("one") == 0 && contents("two") == "same" && stat_of("two").st_nlink == 1);
    CHECK(unlink("two") == 0);
    CHECK_ERRNO(unlink("two"), ENOENT);
  });
  check("unlinked while open", [] {
    const int file = open("gone", O_RDWR | O_CREAT, 0644);
    CHECK(write(file, "still here", 10) == 10 && unlink("gone") == 0);
    CHECK_ERRNO(open("gone", O_RDONLY), ENOENT);
    char buffer[10];
    CHECK(pread(file, buffer, 10, 0) == 10 && memcmp(buffer, "still here", 10) == 0);
    struct stat info;
    CHECK(fstat(file, &info) == 0 && info.st_nlink == 0 && info.st_size == 10);
    CHECK(close(file) == 0);
  });
  check("symbolic links", [] {
    put("target", "aimed");
    CHECK(symlink("target", "sym") == 0 && contents("sym") == "aimed");
    char text[64];
    CHECK(readlink("sym", text, sizeof text) == 6 && memcmp(text, "target", 6) == 0);
    CHECK(readlink("sym", text, 3) == 3);
    CHECK_ERRNO(readlink("target", text, sizeof text), EINVAL);
    struct stat info;
    CHECK(lstat("sym", &info) == 0 && S_ISLNK(info.st_mode) && info.st_size == 6);
    CHECK_ERRNO(open("sym", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0);
    CHECK_ERRNO(open("loop1", O_RDONLY), ELOOP);
    CHECK(symlink("nothing", "dangling") == 0);
    CHECK_ERRNO(open("dangling", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    put("dangling", "made");
    CHECK(contents("nothing") == "made");
    CHECK(mkdir("real", 0755) == 0 && symlink("real", "alias") == 0);
    put("alias/inside", "in");
    CHECK(contents("real/inside") == "in" && contents("alias/../alias/./inside") == "in");
    CHECK(mkdir("real/deep", 0755) == 0 && symlink("../inside", "real/deep/up") == 0);
    CHECK(contents("alias/deep/up") == "in");
    std::string path = "chain0";
    put("chain0", "end of chain");
    for (int i = 1; i <= 40; ++i) {
      CHECK(symlink(("chain" + std::to_string(i - 1)).c_str(), ("chain" + std::to_string(i)).c_str()) == 0);
    }
    CHECK(contents("chain40") == "end of chain");
    CHECK(symlink("chain40", "chain41") == 0);
    CHECK_ERRNO(open("chain41", O_RDONLY), ELOOP);
  });
  check("rename", [] {
    put("r1", "first");
    put("r2", "second");
    CHECK(rename("r1", "r2") == 0 && contents("r2") == "first");
    CHECK_ERRNO(rename("r1", "r3"), ENOENT);
    CHECK(mkdir("d1", 0755) == 0 && mkdir("d2", 0755) == 0 && mkdir("d2/full", 0755) == 0);
    CHECK_ERRNO(rename("r2", "d1"), EISDIR);
    CHECK_ERRNO(rename("d1", "r2"), ENOTDIR);
    CHECK_ERRNO(rename("d1", "d2"), ENOTEMPTY);
    CHECK_ERRNO(rename("d2", "d2/full/in"), EINVAL);
    CHECK(rename("d1", "d2/moved") == 0 && rename("r2", "d2/moved/r") == 0);
    CHECK(contents("d2/moved/r") == "first");
    CHECK(stat_of("d2/moved/..").st_ino == stat_of("d2").st_ino);
    CHECK(rename("d2/moved", "d2/full") == 0 && contents("d2/full/r") == "first");
    put("here", "x");
    CHECK_ERRNO(renameat2(AT_FDCWD, "here", AT_FDCWD, "d2/full/r", RENAME_NOREPLACE), EEXIST);
    CHECK(link("here", "again") == 0 && rename("here", "again") == 0 && contents("here") == "x");
  });
  check("names too long", [] {
    const std::string name(255, 'n');
    put(name.c_str(), "fits");
    CHECK(contents(name.c_str()) == "fits" && unlink(name.c_str()) == 0);
    CHECK_ERRNO(open((name + "n").c_str(), O_RDONLY | O_CREAT, 0644), ENAMETOOLONG);
    std::string path;
    while (path.size() < 4000) {
      path += "./";
    }
    CHECK(contents((path + "target").c_str()) == "aimed");
    CHECK_ERRNO(open((path + path).c_str(), O_RDONLY), ENAMETOOLONG);
  });
  check("working directory", [] {
    char before[kPage], now[kPage];
    CHECK(getcwd(before, sizeof before) != nullptr);
    CHECK(mkdir("w", 0755) == 0 && mkdir("w/v", 0755) == 0 && chdir("w/v") == 0);
    CHECK(getcwd(now, sizeof now) != nullptr && std::string(now) == std::string(before) + "/w/v");
    CHECK(getcwd(now, 3) == nullptr && errno == ERANGE);
    const int directory = open("..", O_RDONLY | O_DIRECTORY);
    CHECK(fchdir(directory) == 0 && rmdir("v") == 0);
    CHECK_ERRNO(chdir("v"), ENOENT);
    put("f", "relative");
    CHECK_ERRNO(chdir("f"), ENOTDIR);
    CHECK(chdir(before) == 0);
    const int file = openat(directory, "f", O_RDONLY);
    CHECK(file >= 0 && close(file) == 0);
    CHECK_ERRNO(openat(directory, "missing", O_RDONLY), ENOENT);
    CHECK_ERRNO(openat(99, "f", O_RDONLY), EBADF);
    CHECK(close(directory) == 0);
  });
  check("working directory outside of the root", [] {
    CHECK(mkdir("w/inner", 0755) == 0);
    CHECK(status_of_child([] {
            char now[kPage];
            CHECK(chroot("w/inner") == 0 && syscall(SYS_getcwd, now, sizeof now) > 0);
            CHECK(std::string(now).starts_with("(unreachable)/"));
            CHECK_ERRNO(syscall(SYS_getcwd, now, strlen(now)), ERANGE);
            CHECK(realpath(".", nullptr) == nullptr && errno == ENOENT);
            CHECK(chdir("/") == 0 && getcwd(now, sizeof now) != nullptr && std::string(now) == "/");
          }) == 0);
  });
}

void attributes() {
  check("stat, fstatat and statx agree", [] {
    put("st", "12345");
    CHECK(chmod("st", 0751) == 0);
    const struct stat by_name = stat_of("st");
    CHECK(by_name.st_size == 5 && (by_name.st_mode & 07777) == 0751 && S_ISREG(by_name.st_mode));
    const int file = open("st", O_RDONLY);
    struct stat info;
    CHECK(fstatat(file, "", &info, AT_EMPTY_PATH) == 0 && info.st_ino == by_name.st_ino);
    struct statx extended;
    CHECK(statx(AT_FDCWD, "st", 0, STATX_BASIC_STATS, &extended) == 0);
    CHECK(extended.stx_ino == by_name.st_ino && extended.stx_size == 5 &&
          extended.stx_mode == by_name.st_mode);
    CHECK(extended.stx_nlink == 1 && extended.stx_mtime.tv_sec == by_name.st_mtime);
    CHECK(fchmod(file, 0600) == 0 && (stat_of("st").st_mode & 07777) == 0600);
    CHECK(close(file) == 0);
  });
  check("access", [] {
    CHECK(access("st", R_OK | W_OK) == 0);
    CHECK(access(".", X_OK) == 0);
    CHECK(access("st", F_OK) == 0);
    CHECK_ERRNO(access("st", X_OK), EACCES);
    CHECK_ERRNO(access("nothere", F_OK), ENOENT);
  });
  check("umask", [] {
    const mode_t before = umask(027);
    put("masked", "");
    CHECK(mkdir("masked_dir", 0777) == 0);
    CHECK((stat_of("masked").st_mode & 0777) == 0640 && (stat_of("masked_dir").st_mode & 0777) == 0750);
    CHECK(umask(before) == 027);
  });
  check("times", [] {
    const timespec times[2] = {{1000000000, 1}, {1234567890, 123456789}};
    CHECK(utimensat(AT_FDCWD, "st", times, 0) == 0);
    struct stat info = stat_of("st");
    CHECK(info.st_atim.tv_sec == 1000000000 && info.st_mtim.tv_sec == 1234567890);
    CHECK(info.st_mtim.tv_nsec == 123456789);
    const timespec omit[2] = {{0, UTIME_OMIT}, {5, 0}};
    CHECK(utimensat(AT_FDCWD, "st", omit, 0) == 0);
    info = stat_of("st");
    CHECK(info.st_atim.tv_sec == 1000000000 && info.st_mtim.tv_sec == 5);
    const int file = open("st", O_WRONLY);
    CHECK(write(file, "x", 1) == 1 && close(file) == 0);
    CHECK(stat_of("st").st_mtim.tv_sec > 1234567890);
  });
  check("statfs and sync", [] {
    struct statfs info;
    CHECK(statfs(".", &info) == 0 && info.f_bsize > 0 && info.f_namelen == 255);
    const int file = open("st", O_WRONLY);
    CHECK(fsync(file) == 0 && fdatasync(file) == 0 && close(file) == 0);
  });
}

void devices() {
  check("null, zero, full", [] {
    char buffer[64];
    memset(buffer, 'x', sizeof buffer);
    int file = open("/dev/null", O_RDWR);
    CHECK(write(file, "gone", 4) == 4 && read(file, buffer, 64) == 0 && close(file) == 0);
    file = open("/dev/zero", O_RDWR);
    CHECK(read(file, buffer, 64) == 64 && buffer[0] == 0 && buffer[63] == 0);
    char* const map = static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
    CHECK(map != MAP_FAILED && map[100] == 0);
    map[100] = 1;
    CHECK(munmap(map, kPage) == 0 && close(file) == 0);
    file = open("/dev/full", O_WRONLY);
    CHECK_ERRNO(write(file, "x", 1), ENOSPC);
    CHECK(close(file) == 0);
    CHECK(S_ISCHR(stat_of("/dev/null").st_mode) && stat_of("/dev/null").st_rdev == 0x103);
  });
  check("urandom", [] {
    unsigned char a[64], b[64];
    const int file = open("/dev/urandom", O_RDONLY);
    CHECK(read(file, a, 64) == 64 && read(file, b, 64) == 64 && memcmp(a, b, 64) != 0);
    CHECK(close(file) == 0);
  });
  check("what is no terminal", [] {
    const int file = open("st", O_RDONLY);
    CHECK(!isatty(file) && errno == ENOTTY && close(file) == 0);
  });
}

void proc() {
  check("self", [] {
    char text[256];
    const ssize_t bytes = readlink("/proc/self", text, sizeof text);
    CHECK(bytes > 0 && atoi(std::string(text, static_cast<size_t>(bytes)).c_str()) == getpid());
    CHECK(contents("/proc/self/comm") == "names\n");
    CHECK(contents("/proc/self/cmdline").substr(0, 2) != "");
    const std::string stat = contents("/proc/self/stat");
    CHECK(atoi(stat.c_str()) == getpid() && stat.find(" (names) R ") != std::string::npos);
    CHECK(contents("/proc/self/status").find("Name:\tnames\n") == 0);
  });
  check("maps", [] {
    void* const page = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char line[64];
    snprintf(line, sizeof line, "%lx-", reinterpret_cast<unsigned long>(page));
    const std::string maps = contents("/proc/self/maps");
    CHECK(maps.find("[stack]\n") != std::string::npos && maps.find("r-xp") != std::string::npos);
    CHECK(maps.find("/names\n") != std::string::npos);
    unsigned long begin = 0, end = 0, last = 0;
    bool found = false;
    for (size_t at = 0; at < maps.size(); at = maps.find('\n', at) + 1) {
      CHECK(sscanf(maps.c_str() + at, "%lx-%lx", &begin, &end) == 2 && begin >= last && end > begin);
      last = end;
      found = found ||
              (begin <= reinterpret_cast<unsigned long>(page) && reinterpret_cast<unsigned long>(page) < end);
    }
    CHECK(found && munmap(page, kPage) == 0);
  });
  check("fd", [] {
    put("link_me", "by number");
    const int file = open("link_me", O_RDONLY);
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    char text[kPage], here[kPage];
    const ssize_t bytes = readlink(path.c_str(), text, sizeof text);
    CHECK(bytes > 0 && getcwd(here, sizeof here) != nullptr);
    CHECK(std::string(text, static_cast<size_t>(bytes)) == std::string(here) + "/link_me");
    CHECK(contents(path.c_str()) == "by number");
    CHECK(contents(("/dev/fd/" + std::to_string(file)).c_str()) == "by number");
    CHECK(close(file) == 0);
  });
  check("when a link is made", [] {
    CHECK(mkdir("old", 0755) == 0);
    put("linked", "x");
    const timespec before = stat_of("linked").st_ctim;
    const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
    CHECK(utimensat(AT_FDCWD, "old", long_ago, 0) == 0);
    CHECK(link("linked", "old/linked") == 0);
    const timespec after = stat_of("linked").st_ctim;
    CHECK(after.tv_sec > before.tv_sec || (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec));
    CHECK(unlink("old/linked") == 0 && rmdir("old") == 0 && unlink("linked") == 0);
  });
  check("too far down", [] {
    const std::string name(250, 'd');
    int depth = 0;
    char here[2 * kPage];
    ssize_t bytes = 0;
    do {
      CHECK(mkdir(name.c_str(), 0755) == 0 && chdir(name.c_str()) == 0);
      ++depth;
      bytes = syscall(SYS_getcwd, here, sizeof here);
      char told[2 * kPage];
      const ssize_t link = readlink("/proc/self/cwd", told, sizeof told);
      CHECK(bytes < 0 || (link + 1 == bytes && memcmp(told, here, static_cast<size_t>(link)) == 0));
    } while (bytes > 0);
    CHECK(bytes == -1 && errno == ENAMETOOLONG && depth < 20);
    CHECK_ERRNO(readlink("/proc/self/cwd", here, sizeof here), ENAMETOOLONG);
    for (; depth > 0; --depth) CHECK(chdir("..") == 0 && rmdir(name.c_str()) == 0);
    CHECK_ERRNO(syscall(SYS_getcwd, here, 1), ERANGE);
  });
  check("seen from another root", [] {
    put("outside", "");
    char before[kPage];
    CHECK(mkdir("root", 0755) == 0 && mkdir("root/below", 0755) == 0 &&
          getcwd(before, sizeof before) != nullptr);
    CHECK(status_of_child([&] {
            const auto link = [](int proc, const std::string& name) {
              char text[kPage];
              const ssize_t bytes = readlinkat(proc, name.c_str(), text, sizeof text);
              CHECK(bytes > 0);
              return std::string(text, static_cast<size_t>(bytes));
            };
            const int proc = open("/proc/self", O_PATH), outside = open("outside", O_RDONLY);
            const int below = open("root/below", O_RDONLY);
            CHECK(proc >= 0 && outside >= 0 && below >= 0 && chroot("root") == 0);
            CHECK(link(proc, "cwd") == before);
            CHECK(chdir("root/below") == 0 && link(proc, "cwd") == "/below" && link(proc, "root") == "/");
            CHECK(link(proc, "fd/" + std::to_string(outside)) == std::string(before) + "/outside");
            CHECK(link(proc, "fd/" + std::to_string(below)) == "/below");
          }) == 0);
    CHECK(unlink("outside") == 0 && rmdir("root/below") == 0 && rmdir("root") == 0);
  });
  check("system files", [] {
    CHECK(contents("/proc/meminfo").find("MemTotal:") == 0);
    CHECK(atof(contents("/proc/uptime").c_str()) > 0);
    CHECK(contents("/proc/loadavg").find('/') != std::string::npos);
    CHECK(contents("/proc/version").find("Linux version") == 0);
    CHECK(contents("/proc/mounts").find(" /proc proc ") != std::string::npos);
    CHECK(contents("/proc/stat").find("cpu ") == 0);
    CHECK_ERRNO(open("/proc/999999999/stat", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/nothing", O_RDONLY), ENOENT);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  names();
  attributes();
  devices();
  proc();
  return finish();
}
