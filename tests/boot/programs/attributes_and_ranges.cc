// Extended attributes of a name space that no file system has, and copy_file_range: what Linux answers, in
// its order.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <vector>

#include "checks.h"

namespace {

constexpr char kFile[] = "/tmp/attributes";
constexpr char kOther[] = "/tmp/attributes-other";
constexpr char kLink[] = "/tmp/attributes-link";
constexpr char kName[] = "nonsense.name";
char* const kBad = reinterpret_cast<char*>(0x1000);

int open_new(const char* path, int flags, const std::vector<char>& text = {}) {
  unlink(path);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(file >= 0 && write(file, text.data(), text.size()) == ssize_t(text.size()) && close(file) == 0);
  const int again = open(path, flags);
  CHECK(again >= 0);
  return again;
}

std::vector<char> contents(const char* path) {
  const int file = open(path, O_RDONLY);
  std::vector<char> text(1 << 20);
  const ssize_t bytes = read(file, text.data(), text.size());
  CHECK(file >= 0 && bytes >= 0 && close(file) == 0);
  text.resize(size_t(bytes));
  return text;
}

std::vector<char> some_text(size_t bytes) {
  std::vector<char> text(bytes);
  for (size_t at = 0; at < bytes; ++at) text[at] = char('a' + at % 19);
  return text;
}

}  // namespace

int main() {
  const int file = open_new(kFile, O_RDWR, some_text(100'000));
  unlink(kLink);
  CHECK(symlink("/tmp/nowhere", kLink) == 0);
  char value[16] = {};
  check("names_of_no_file_system", [&] {
    CHECK_ERRNO(getxattr(kFile, kName, value, sizeof value), EOPNOTSUPP);
    CHECK_ERRNO(fgetxattr(file, kName, value, sizeof value), EOPNOTSUPP);
    CHECK_ERRNO(setxattr(kFile, kName, value, sizeof value, 0), EOPNOTSUPP);
    CHECK_ERRNO(fsetxattr(file, kName, value, sizeof value, 0), EOPNOTSUPP);
    CHECK_ERRNO(removexattr(kFile, kName), EOPNOTSUPP);
    CHECK_ERRNO(fremovexattr(file, kName), EOPNOTSUPP);
    CHECK(listxattr(kFile, nullptr, 0) >= 0 && flistxattr(file, nullptr, 0) >= 0 &&
          llistxattr(kLink, nullptr, 0) >= 0);
  });
  check("no_such_file", [&] {
    CHECK_ERRNO(getxattr(kLink, kName, value, sizeof value), ENOENT);
    CHECK_ERRNO(lgetxattr(kLink, kName, value, sizeof value), EOPNOTSUPP);
    CHECK_ERRNO(setxattr("/tmp/no/such", kName, value, 1, 0), ENOENT);
    CHECK_ERRNO(listxattr("/tmp/no/such", nullptr, 0), ENOENT);
    CHECK_ERRNO(fgetxattr(-1, kName, value, 1), EBADF);
    CHECK_ERRNO(flistxattr(99, nullptr, 0), EBADF);
  });
  check("names_that_are_none", [&] {
    char longest[257];
    memset(longest, 'n', 256);
    longest[256] = 0;
    CHECK_ERRNO(getxattr(kFile, longest, value, 1), ERANGE);
    CHECK_ERRNO(getxattr(kFile, "", value, 1), ERANGE);
    CHECK_ERRNO(getxattr(kFile, kBad, value, 1), EFAULT);
    CHECK_ERRNO(removexattr(kFile, ""), ERANGE);
  });
  check("values_that_are_none", [&] {
    CHECK_ERRNO(setxattr(kFile, kName, value, 1, 8), EINVAL);
    const std::vector<char> much((64 << 10) + 1);
    CHECK_ERRNO(setxattr(kFile, kName, much.data(), much.size(), 0), E2BIG);
    CHECK_ERRNO(setxattr(kFile, kName, kBad, 1, 0), EFAULT);
  });

  check("copied_by_positions", [&] {
    const int other = open_new(kOther, O_RDWR);
    CHECK(lseek(file, 10, SEEK_SET) == 10);
    CHECK(copy_file_range(file, nullptr, other, nullptr, 50'000, 0) == 50'000);
    CHECK(lseek(file, 0, SEEK_CUR) == 50'010 && lseek(other, 0, SEEK_CUR) == 50'000);
    CHECK(copy_file_range(file, nullptr, other, nullptr, 1 << 20, 0) == 49'990);
    CHECK(copy_file_range(file, nullptr, other, nullptr, 1 << 20, 0) == 0);
    std::vector<char> expected = contents(kFile);
    expected.erase(expected.begin(), expected.begin() + 10);
    CHECK(contents(kOther) == expected && close(other) == 0);
  });
  check("copied_by_offsets", [&] {
    const int other = open_new(kOther, O_RDWR);
    off_t from = 99'990, to = 5;
    CHECK(copy_file_range(file, &from, other, &to, 100, 0) == 10 && from == 100'000 && to == 15);
    CHECK(lseek(other, 0, SEEK_CUR) == 0 && contents(kOther).size() == 15 && contents(kOther)[0] == 0);
    from = 100'000;
    CHECK(copy_file_range(file, &from, other, &to, 100, 0) == 0);
    close(other);
  });
  check("in_one_file", [&] {
    const int one = open_new(kOther, O_RDWR, some_text(1000));
    off_t from = 0, to = 1000;
    CHECK(copy_file_range(one, &from, one, &to, 500, 0) == 500);
    from = 0, to = 100;
    CHECK_ERRNO(copy_file_range(one, &from, one, &to, 500, 0), EINVAL);
    from = 0, to = 100;
    CHECK(copy_file_range(one, &from, one, &to, 100, 0) == 100);
    close(one);
  });
  check("what_cannot_be_copied", [&] {
    const int other = open_new(kOther, O_RDWR);
    const int reader = open_new("/tmp/attributes-third", O_RDONLY);
    const int appender = open("/tmp/attributes-third", O_WRONLY | O_APPEND);
    const int folder = open("/tmp", O_RDONLY);
    int pipe_ends[2];
    CHECK(appender >= 0 && folder >= 0 && pipe(pipe_ends) == 0);
    CHECK_ERRNO(copy_file_range(-1, nullptr, other, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(file, nullptr, reader, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(file, nullptr, appender, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(appender, nullptr, other, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(folder, nullptr, other, nullptr, 1, 0), EISDIR);
    CHECK_ERRNO(copy_file_range(pipe_ends[0], nullptr, other, nullptr, 1, 0), EINVAL);
    const int maps = open("/proc/self/maps", O_RDONLY);
    CHECK_ERRNO(copy_file_range(maps, nullptr, other, nullptr, 1, 0), EXDEV);
    CHECK(close(maps) == 0);
    off_t first = 0, last = 0x7fff'ffff'ffff'ffff;
    CHECK_ERRNO(copy_file_range(file, &first, other, &last, 1, 0), EFBIG);
    CHECK_ERRNO(copy_file_range(file, &first, other, &last, -1, 0), EOVERFLOW);
    CHECK_ERRNO(copy_file_range(file, &last, other, &first, 1ul << 63 | 1, 0), EOVERFLOW);
    CHECK(copy_file_range(file, &last, other, &first, 1, 0) == 0);
    CHECK_ERRNO(copy_file_range(file, nullptr, other, nullptr, 1, 1), EINVAL);
    CHECK_ERRNO(copy_file_range(file, reinterpret_cast<off_t*>(kBad), other, nullptr, 1, 0), EFAULT);
    CHECK(unlink("/tmp/attributes-third") == 0);
  });
  unlink(kFile);
  unlink(kOther);
  unlink(kLink);
  return finish();
}
