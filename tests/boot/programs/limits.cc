// Resource limits: what setrlimit(2) takes, who inherits it, and what it refuses then. The same on Linux.
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>

#include "tests/boot/programs/memory_checks.h"

namespace {

rlimit of(int resource) {
  rlimit limit;
  CHECK(getrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0);
  return limit;
}
int set(int resource, rlim_t now, rlim_t most) {
  const rlimit limit{now, most};
  return setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}
bool is(const rlimit& limit, rlim_t now, rlim_t most) {
  return limit.rlim_cur == now && limit.rlim_max == most;
}

// In a child, so that nothing stays.
template <class Body>
void aside(Body body) {
  const int status = status_of_child(body);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// Only lowered: not everybody may raise them.
void every_limit_can_be_set_and_is_inherited() {
  aside([] {
    rlimit wanted[16];
    for (int resource = 0; resource < 16; ++resource) {
      const rlim_t most = std::min<rlim_t>(of(resource).rlim_max, (rlim_t{1} << 40) + 16 * resource);
      wanted[resource] = {most - most / 4, most};
      CHECK(set(resource, wanted[resource].rlim_cur, most) == 0);
    }
    CHECK(in_child([&wanted] {
      for (int resource = 0; resource < 16; ++resource) {
        if (!is(of(resource), wanted[resource].rlim_cur, wanted[resource].rlim_max)) return false;
      }
      return true;
    }));
    CHECK(set(RLIMIT_CORE, wanted[RLIMIT_CORE].rlim_max, wanted[RLIMIT_CORE].rlim_max) == 0);
  });
}

void what_makes_no_sense() {
  rlimit limit{2, 1};
  CHECK_ERRNO(syscall(SYS_setrlimit, 16, &limit), EINVAL);
  CHECK_ERRNO(syscall(SYS_getrlimit, 16, &limit), EINVAL);
  CHECK_ERRNO(syscall(SYS_setrlimit, RLIMIT_CORE, &limit), EINVAL);
  CHECK_ERRNO(syscall(SYS_setrlimit, RLIMIT_CORE, 8), EFAULT);
  CHECK_ERRNO(syscall(SYS_getrlimit, RLIMIT_CORE, 8), EFAULT);
  CHECK_ERRNO(syscall(SYS_prlimit64, 99999999, RLIMIT_CORE, nullptr, &limit), ESRCH);
  CHECK_ERRNO(syscall(SYS_prlimit64, 0, 16, nullptr, &limit), EINVAL);
  CHECK_ERRNO(set(RLIMIT_NOFILE, 10, RLIM_INFINITY), EPERM);
}

void another_processs_limits() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char byte;
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1) _exit(2);
    _exit(is(of(RLIMIT_CORE), 11, 22) ? 0 : 1);
  }
  const rlimit wanted{11, 22};
  rlimit before;
  const rlimit own = of(RLIMIT_CORE);
  CHECK(prlimit(child, RLIMIT_CORE, &wanted, &before) == 0);
  CHECK(is(before, own.rlim_cur, own.rlim_max));
  CHECK(prlimit(child, RLIMIT_CORE, nullptr, &before) == 0 && is(before, 11, 22));
  CHECK(is(of(RLIMIT_CORE), own.rlim_cur, own.rlim_max));
  CHECK(write(ends[1], "x", 1) == 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  close(ends[0]);
  close(ends[1]);
}

void open_files() {
  aside([] {
    CHECK(dup2(0, 50) == 50);
    CHECK(set(RLIMIT_NOFILE, 20, 3000) == 0);
    int last = -1;
    for (int file; (file = dup(0)) >= 0;) last = file;
    CHECK(errno == EMFILE && last == 19);
    CHECK_ERRNO(dup2(0, 20), EBADF);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 20), EINVAL);
    CHECK_ERRNO(open("/proc/self/status", O_RDONLY), EMFILE);
    int ends[2];
    CHECK_ERRNO(pipe(ends), EMFILE);
    CHECK(fcntl(50, F_GETFD) == 0);
    pollfd entries[21] = {};
    CHECK_ERRNO(poll(entries, 21, 0), EINVAL);
    CHECK(set(RLIMIT_NOFILE, 3000, 3000) == 0);
    CHECK(dup2(0, 2999) == 2999 && fcntl(0, F_DUPFD, 2500) == 2500);
    CHECK(in_child([] { return fcntl(2999, F_GETFD) == 0 && fcntl(2500, F_GETFD) == 0; }));
    CHECK(dup(0) == 20);
  });
}

void sizes_of_files() {
  aside([] {
    signal(SIGXFSZ, SIG_IGN);
    const int file = new_file(0);
    CHECK(set(RLIMIT_FSIZE, 100, 1000) == 0);
    static char bytes[300];
    CHECK(write(file, bytes, 60) == 60);
    CHECK(write(file, bytes, 60) == 40);
    CHECK_ERRNO(write(file, bytes, 1), EFBIG);
    CHECK(pwrite(file, bytes, 300, 50) == 50);
    CHECK_ERRNO(pwrite(file, bytes, 1, 100), EFBIG);
    CHECK(write(file, bytes, 0) == 0);
    CHECK_ERRNO(ftruncate(file, 101), EFBIG);
    CHECK(ftruncate(file, 90) == 0 && ftruncate(file, 100) == 0);
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], bytes, 300) == 300);
    end_file(file);
  });
  const int status = status_of_child([] {
    const int file = new_file(0);
    unlink(g_path);
    CHECK(set(RLIMIT_FSIZE, 10, 10) == 0);
    (void)!pwrite(file, "x", 1, 10);
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

void address_space() {
  aside([] {
    char* at = map(4);
    CHECK(set(RLIMIT_AS, 1 << 20, RLIM_INFINITY) == 0);
    CHECK_ERRNO(mmap(nullptr, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERRNO(mremap(at, 4 * kPage, 64 << 20, MREMAP_MAYMOVE), ENOMEM);
    void* const end = sbrk(0);
    CHECK(sbrk(64 << 20) == reinterpret_cast<void*>(-1) && errno == ENOMEM && sbrk(0) == end);
    // What it replaces does not count.
    CHECK(mmap(at, 4 * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at ||
          errno == ENOMEM);
    unmap(at, 4);
    CHECK(set(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY) == 0);
    char* const large = map(64 << 8);
    unmap(large, 64 << 8);
  });
}

void data() {
  aside([] {
    char* seen = map(300, PROT_READ);
    CHECK(set(RLIMIT_DATA, 4 << 20, RLIM_INFINITY) == 0);
    CHECK_ERRNO(mmap(nullptr, 8 << 20, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    char* shared = map(2048, PROT_READ | PROT_WRITE, MAP_SHARED);
    char* reserved = map(2048, PROT_NONE);
    CHECK_ERRNO(mprotect(reserved, 2048 * kPage, PROT_WRITE), ENOMEM);
    CHECK(mprotect(seen, 300 * kPage, PROT_READ | PROT_WRITE) == 0);
    CHECK(sbrk(8 << 20) == reinterpret_cast<void*>(-1) && errno == ENOMEM);
    unmap(reserved, 2048);
    unmap(shared, 2048);
    unmap(seen, 300);
  });
}

int deeper(int left) {
  volatile char page[kPage];
  page[0] = static_cast<char>(left);
  return left == 0 ? page[0] : deeper(left - 1) + page[0];
}
void stack() {
  aside([] {
    CHECK(set(RLIMIT_STACK, 1 << 20, RLIM_INFINITY) == 0);
    CHECK(in_child([] { return deeper(200) != 123'456'789; }));
    const int status = status_of_child([] {
      signal(SIGSEGV, SIG_DFL);
      deeper(300);
    });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(set(RLIMIT_STACK, 16 << 20, RLIM_INFINITY) == 0);
    CHECK(in_child([] { return deeper(3000) != 123'456'789; }));
  });
}

void what_proc_says() {
  aside([] {
    CHECK(set(RLIMIT_CORE, 77, RLIM_INFINITY) == 0);
    FILE* file = fopen("/proc/self/limits", "r");
    CHECK(file != nullptr);
    char line[200];
    int lines = 0;
    bool found = false;
    while (fgets(line, sizeof line, file) != nullptr) {
      ++lines;
      if (strncmp(line, "Max core", 8) == 0) {
        found =
            strcmp(line,
                   "Max core file size        77                   unlimited            bytes     \n") == 0;
      }
    }
    CHECK(lines == 17 && found && fclose(file) == 0);
  });
}

}  // namespace

int main() {
  start();
  check("every_limit_can_be_set_and_is_inherited", every_limit_can_be_set_and_is_inherited);
  check("what_makes_no_sense", what_makes_no_sense);
  check("another_processs_limits", another_processs_limits);
  check("open_files", open_files);
  check("sizes_of_files", sizes_of_files);
  check("address_space", address_space);
  check("data", data);
  check("stack", stack);
  check("what_proc_says", what_proc_says);
  return finish();
}
