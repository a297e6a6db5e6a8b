// A process of 64 MiB forks for the first time: all of its pages lose the right to be written. The span is
// marked for the counters, where there is such a thing.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "checks.h"

namespace {

constexpr size_t kBytes = 64 << 20, kPageBytes = 4096;

void mark(int fd, const char* text) {
  if (fd >= 0) CHECK(write(fd, text, strlen(text)) > 0);
}

}  // namespace

int main() {
  check("first_fork", [] {
    void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    auto* const bytes = static_cast<volatile char*>(memory);
    for (size_t at = 0; at < kBytes; at += kPageBytes) bytes[at] = 1;
    const int marks = open("/dev/nopte-mark", O_WRONLY | O_CLOEXEC);
    mark(marks, "begin fork");
    // The C library's fork writes to pages of its own after the call, glibc 2.41's to more of them
    // than 2.36's.
    const auto child = static_cast<pid_t>(syscall(SYS_fork));
    CHECK(child >= 0);
    if (child == 0) _exit(0);
    mark(marks, "end fork");
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  });
  return finish();
}
