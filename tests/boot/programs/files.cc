// The contents of files as programs see them: reading, writing, mapping, bad memory, descriptors.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/boot/programs/file_checks.h"

namespace {

void reading_and_writing() {
  check("open flags", [] {
    CHECK_ERRNO(open("missing", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("missing/below", O_RDONLY | O_CREAT, 0644), ENOENT);
    const int file = open("a", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(file == 3);
    CHECK_ERRNO(open("a", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    CHECK_ERRNO(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK((stat_of("a").st_mode & 07777) == 0640);
    CHECK(fcntl(file, F_GETFL) == (O_RDWR | 0100000));
    CHECK(close(file) == 0);
    CHECK_ERRNO(close(file), EBADF);
    CHECK_ERRNO(read(99, nullptr, 0), EBADF);
  });
  check("access modes", [] {
    const int reader = open("a", O_RDONLY);
    const int writer = open("a", O_WRONLY);
    CHECK_ERRNO(write(reader, "x", 1), EBADF);
    char c;
    CHECK_ERRNO(read(writer, &c, 1), EBADF);
    CHECK_ERRNO(ftruncate(reader, 0), EINVAL);
    CHECK(close(reader) == 0 && close(writer) == 0);
  });
  check("sequential and positioned", [] {
    put("f", "0123456789");
    const int file = open("f", O_RDWR);
    char buffer[16] = {};
    CHECK(read(file, buffer, 4) == 4 && memcmp(buffer, "0123", 4) == 0);
    CHECK(pread(file, buffer, 3, 7) == 3 && memcmp(buffer, "789", 3) == 0);
    CHECK(lseek(file, 0, SEEK_CUR) == 4);
    CHECK(pwrite(file, "XY", 2, 8) == 2);
    CHECK(lseek(file, -2, SEEK_END) == 8);
    CHECK(read(file, buffer, 16) == 2 && memcmp(buffer, "XY", 2) == 0);
    CHECK(read(file, buffer, 16) == 0);
    CHECK_ERRNO(lseek(file, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(pread(file, buffer, 1, -1), EINVAL);
    CHECK(lseek(file, 100, SEEK_SET) == 100);
    CHECK(write(file, "end", 3) == 3);
    CHECK(close(file) == 0);
    const std::string text = contents("f");
    CHECK(text.size() == 103 && text.substr(0, 10) == "01234567XY");
    CHECK(text.substr(10, 90) == std::string(90, 0) && text.substr(100) == "end");
  });
  check("append", [] {
    put("log", "one\n");
    const int first = open("log", O_WRONLY | O_APPEND);
    const int second = open("log", O_WRONLY | O_APPEND);
    CHECK(write(first, "two\n", 4) == 4);
    CHECK(write(second, "three\n", 6) == 6);
    CHECK(write(first, "four\n", 5) == 5);
    CHECK(lseek(first, 0, SEEK_CUR) == 19);
    CHECK(close(first) == 0 && close(second) == 0);
    CHECK(contents("log") == "one\ntwo\nthree\nfour\n");
  });
  check("vectors", [] {
    const int file = open("v", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char a[] = "alpha", b[] = "", c[] = "gamma";
    const iovec out[] = {{a, 5}, {b, 0}, {c, 5}};
    CHECK(writev(file, out, 3) == 10);
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    char x[3], y[20] = {};
    const iovec in[] = {{x, 3}, {y, 20}};
    CHECK(readv(file, in, 2) == 10);
    CHECK(memcmp(x, "alp", 3) == 0 && memcmp(y, "hagamma", 7) == 0);
    CHECK(pwritev(file, out, 3, 2) == 10);
    CHECK(preadv(file, in, 1, 2) == 3 && memcmp(x, "alp", 3) == 0);
    CHECK(close(file) == 0);
  });
  check("a large file, odd sizes", [] {
    const std::string text = pattern(3 * 1024 * 1024 + 123);
    const int file = open("large", O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (size_t at = 0, piece = 1; at < text.size(); piece = piece * 3 + 7) {
      const size_t bytes = std::min(piece, text.size() - at);
      CHECK(write(file, text.data() + at, bytes) == static_cast<ssize_t>(bytes));
      at += bytes;
    }
    CHECK(close(file) == 0);
    CHECK(contents("large") == text);
    CHECK(stat_of("large").st_size == static_cast<off_t>(text.size()));
  });
  check("many small appends", [] {
    const int file = open("small", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    std::string text;
    for (int i = 0; i < 3000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      CHECK(write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
      text += line;
    }
    CHECK(close(file) == 0);
    CHECK(contents("small") == text);
  });
  check("truncate", [] {
    put("t", pattern(10000));
    CHECK(truncate("t", 5000) == 0);
    CHECK(truncate("t", 9000) == 0);
    std::string text = contents("t");
    CHECK(text.size() == 9000 && text.substr(0, 5000) == pattern(5000));
    CHECK(text.substr(5000) == std::string(4000, 0));
    CHECK(truncate("t", 0) == 0 && stat_of("t").st_size == 0);
    CHECK_ERRNO(truncate("t", -1), EINVAL);
    CHECK_ERRNO(truncate(".", 0), EISDIR);
    const int file = open("t", O_RDWR);
    CHECK(fallocate(file, 0, 100, 50) == 0 && stat_of("t").st_size == 150);
    CHECK(close(file) == 0);
    CHECK(contents("t") == std::string(150, 0));
    put("t", "short");
    CHECK(contents("t") == "short");
  });
  check("sendfile", [] {
    const std::string text = pattern(100000);
    put("from", text);
    const int from = open("from", O_RDONLY);
    const int to = open("to", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(sendfile(to, from, nullptr, 70000) == 70000);
    off_t offset = 70000;
    CHECK(sendfile(to, from, &offset, 70000) == 30000 && offset == 100000);
    CHECK(sendfile(to, from, &offset, 1) == 0);
    CHECK(close(from) == 0 && close(to) == 0);
    CHECK(contents("to") == text);
  });
}

void bad_memory() {
  check("bad addresses", [] {
    // Not constants to the compiler, which would warn.
    volatile unsigned long addresses[2] = {8, 0xffff800000000000};
    char* const nowhere = reinterpret_cast<char*>(addresses[0]);
    char* const kernel = reinterpret_cast<char*>(addresses[1]);
    put("e", "content");
    const int file = open("e", O_RDWR);
    CHECK_ERRNO(read(file, nowhere, 4), EFAULT);
    CHECK_ERRNO(read(file, kernel, 4), EFAULT);
    CHECK(lseek(file, 0, SEEK_CUR) == 0);
    CHECK_ERRNO(write(file, nowhere, 4), EFAULT);
    CHECK_ERRNO(open(nowhere, O_RDONLY), EFAULT);
    struct stat info;
    CHECK_ERRNO(stat(nowhere, &info), EFAULT);
    CHECK_ERRNO(syscall(SYS_fstat, file, nowhere), EFAULT);
    CHECK_ERRNO(pipe(reinterpret_cast<int*>(nowhere)), EFAULT);
    CHECK_ERRNO(syscall(SYS_getcwd, nowhere, kPage), EFAULT);
    CHECK(close(file) == 0);
    CHECK(contents("e") == "content");
  });
  check("half of a buffer", [] {
    char* const pages = static_cast<char*>(
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(pages != MAP_FAILED && munmap(pages + kPage, kPage) == 0);
    const std::string text = pattern(2 * kPage);
    put("half", text);
    const int file = open("half", O_RDWR);
    const ssize_t got = pread(file, pages + kPage - 100, 200, 0);
    CHECK(got == 100 && memcmp(pages + kPage - 100, text.data(), 100) == 0);
    memset(pages, 'z', kPage);
    const ssize_t put_bytes = pwrite(file, pages + kPage - 50, 100, 0);
    // Linux may refuse the whole; what is written is right.
    CHECK(put_bytes == 50 || (put_bytes == -1 && errno == EFAULT));
    CHECK(close(file) == 0);
    CHECK(contents("half").substr(50) == text.substr(50));
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "precious", 8) == 8);
    CHECK_ERRNO(read(ends[0], pages + kPage, 8), EFAULT);
    char back[8];
    CHECK(read(ends[0], back, 8) == 8 && memcmp(back, "precious", 8) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && munmap(pages, kPage) == 0);
  });
}

void mapped_files() {
  check("a shared mapping and write see each other", [] {
    put("m", pattern(2 * kPage));
    const int file = open("m", O_RDWR);
    char* const map =
        static_cast<char*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    CHECK(map != MAP_FAILED && memcmp(map, pattern(2 * kPage).data(), 2 * kPage) == 0);
    CHECK(pwrite(file, "written", 7, kPage) == 7 && memcmp(map + kPage, "written", 7) == 0);
    memcpy(map, "mapped", 6);
    char back[6];
    CHECK(pread(file, back, 6, 0) == 6 && memcmp(back, "mapped", 6) == 0);
    CHECK(ftruncate(file, 4 * kPage) == 0);
    CHECK(munmap(map, 2 * kPage) == 0 && close(file) == 0);
  });
  check("a private mapping keeps its writes", [] {
    put("p", std::string(kPage, 'a'));
    const int file = open("p", O_RDONLY);
    CHECK(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED && errno == EACCES);
    char* const map = static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
    CHECK(map != MAP_FAILED);
    map[0] = 'b';
    CHECK(close(file) == 0 && unlink("p") == 0 && map[0] == 'b' && map[1] == 'a');
    CHECK(munmap(map, kPage) == 0);
  });
  check("past the end is SIGBUS", [] {
    put("bus", std::string(100, 'x'));
    const int status = status_of_child([] {
      const int file = open("bus", O_RDONLY);
      char* const map = static_cast<char*>(mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, file, 0));
      CHECK(map[99] == 'x' && map[100] == 0 && map[kPage - 1] == 0);
      _exit(map[kPage] == 0 ? 1 : 2);
    });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
  });
}

void descriptors() {
  check("dup", [] {
    put("d", "abcdef");
    const int file = open("d", O_RDONLY);
    const int copy = dup(file);
    char c;
    CHECK(read(file, &c, 1) == 1 && read(copy, &c, 1) == 1 && c == 'b');
    CHECK(dup2(file, 200) == 200 && read(200, &c, 1) == 1 && c == 'c');
    CHECK(dup2(file, file) == file);
    CHECK_ERRNO(dup2(file, 1 << 20), EBADF);
    CHECK_ERRNO(dup2(77, 5), EBADF);
    CHECK(dup3(file, 201, O_CLOEXEC) == 201 && fcntl(201, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(dup3(file, file, 0), EINVAL);
    CHECK(fcntl(file, F_DUPFD, 100) == 100 && fcntl(100, F_GETFD) == 0);
    CHECK(fcntl(file, F_DUPFD_CLOEXEC, 100) == 101 && fcntl(101, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(100, F_SETFD, FD_CLOEXEC) == 0 && fcntl(100, F_GETFD) == FD_CLOEXEC);
    for (const int each : {file, copy, 100, 101, 200, 201}) {
      CHECK(close(each) == 0);
    }
  });
  check("the lowest descriptor, and no more than the limit", [] {
    std::vector<int> open_files;
    for (;;) {
      const int file = open("d", O_RDONLY);
      if (file < 0) {
        CHECK(errno == EMFILE);
        break;
      }
      CHECK(file == static_cast<int>(open_files.size()) + 3);
      open_files.push_back(file);
      CHECK(open_files.size() < 1024);
    }
    CHECK(open_files.size() == 1021);
    CHECK(close(500) == 0 && open("d", O_RDONLY) == 500);
    for (const int file : open_files) {
      CHECK(close(file) == 0);
    }
  });
  check("close on exec", [] {
    const int kept = open("d", O_RDONLY);
    const int closed = open("d", O_RDONLY | O_CLOEXEC);
    const int status = status_of_child([=] {
      const std::string k = std::to_string(kept), c = std::to_string(closed);
      execl("/proc/self/exe", "files", "descriptors", k.c_str(), c.c_str(), nullptr);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK(close(kept) == 0 && close(closed) == 0);
  });
  check("fork shares the position", [] {
    put("s", "abcdef");
    const int file = open("s", O_RDONLY);
    CHECK(status_of_child([=] {
            char c;
            _exit(read(file, &c, 1) == 1 ? 0 : 1);
          }) == 0);
    char c;
    CHECK(read(file, &c, 1) == 1 && c == 'b');
    CHECK(close(file) == 0);
  });
  check("locks", [] {
    const int file = open("d", O_RDWR);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    CHECK(fcntl(file, F_SETLK, &lock) == 0);
    CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
    CHECK(close(file) == 0);
  });
}

// The program that "close on exec" starts: the first descriptor is open, the second is not.
int report_descriptors(const char* kept, const char* closed) {
  return fcntl(atoi(kept), F_GETFD) == 0 && fcntl(atoi(closed), F_GETFD) == -1 && errno == EBADF ? 42 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 4) {
    return report_descriptors(arguments[2], arguments[3]);
  }
  begin_with_fresh_directory();
  reading_and_writing();
  bad_memory();
  mapped_files();
  descriptors();
  return finish();
}
