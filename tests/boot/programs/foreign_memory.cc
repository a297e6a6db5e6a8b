// Another process's memory: process_vm_readv and process_vm_writev. The same on Linux.
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/boot/programs/memory_checks.h"

namespace {

// A child that shows `pages` pages, the second of them not, and the fourth read-only; until it is killed.
struct Child {
  explicit Child(char* at) {
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      memset(at, 'c', 4 * kPage);
      CHECK(munmap(at + kPage, kPage) == 0 && mprotect(at + 3 * kPage, kPage, PROT_READ) == 0);
      pause();
      for (;;) pause();
    }
    await_state(pid, 'S');
  }
  ~Child() { CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, nullptr, 0) == pid); }
  pid_t pid;
};

void reading_and_writing() {
  char* at = map(4);
  memset(at, 'p', 4 * kPage);
  const Child child(at);
  char text[8] = {};
  iovec here[2] = {{text, 3}, {text + 3, 4}};
  iovec there[2] = {{at + 10, 5}, {at + 2 * kPage, 2}};
  CHECK(process_vm_readv(child.pid, here, 2, there, 2, 0) == 7 && strcmp(text, "ccccccc") == 0);
  strcpy(text, "written");
  CHECK(process_vm_writev(child.pid, here, 2, there, 2, 0) == 7 && at[10] == 'p');
  memset(text, 0, sizeof text);
  CHECK(process_vm_readv(child.pid, here, 2, there, 2, 0) == 7 && strcmp(text, "written") == 0);
  // Its own memory is as good.
  there[0].iov_base = at;
  CHECK(process_vm_readv(getpid(), here, 1, there, 1, 0) == 3 && memcmp(text, "ppp", 3) == 0);
  unmap(at, 4);
}

void as_far_as_memory_goes() {
  char* at = map(4);
  const Child child(at);
  char* mine = map(8);
  iovec here{mine, 4 * kPage};
  iovec there{at, 4 * kPage};
  CHECK(process_vm_readv(child.pid, &here, 1, &there, 1, 0) == ssize_t(kPage) && mine[kPage - 1] == 'c');
  there.iov_base = at + kPage;
  CHECK_ERRNO(process_vm_readv(child.pid, &here, 1, &there, 1, 0), EFAULT);
  there.iov_base = at + 2 * kPage;
  there.iov_len = 2 * kPage;
  CHECK(process_vm_writev(child.pid, &here, 1, &there, 1, 0) == ssize_t(kPage));
  there.iov_base = at + 3 * kPage;
  CHECK_ERRNO(process_vm_writev(child.pid, &here, 1, &there, 1, 0), EFAULT);
  iovec two[2] = {{at, 16}, {at + kPage, 16}};
  CHECK(process_vm_readv(child.pid, &here, 1, two, 2, 0) == 16);
  unmap(mine, 1);
  here.iov_base = mine;
  CHECK_ERRNO(process_vm_readv(child.pid, &here, 1, two, 1, 0), EFAULT);
  unmap(mine, 8);
  unmap(at, 4);
}

void arguments_are_checked() {
  char* at = map(1);
  iovec one{at, 8};
  iovec negative{at, size_t(-1)};
  auto* const bad = reinterpret_cast<iovec*>(8);
  iovec* const none = nullptr;
  CHECK_ERRNO(process_vm_readv(getpid(), &one, 1, &one, 1, 1), EINVAL);
  CHECK_ERRNO(process_vm_readv(getpid(), &one, 1025, &one, 1, 0), EINVAL);
  CHECK_ERRNO(process_vm_readv(getpid(), &one, 1, &one, 1025, 0), EINVAL);
  CHECK_ERRNO(process_vm_readv(getpid(), &negative, 1, &one, 1, 0), EINVAL);
  CHECK_ERRNO(process_vm_readv(getpid(), &one, 1, &negative, 1, 0), EINVAL);
  CHECK_ERRNO(process_vm_readv(getpid(), bad, 1, &one, 1, 0), EFAULT);
  CHECK_ERRNO(process_vm_readv(getpid(), &one, 1, bad, 1, 0), EFAULT);
  CHECK_ERRNO(process_vm_readv(9999999, &one, 1, &one, 1, 0), ESRCH);
  CHECK(process_vm_readv(9999999, none, 0, &one, 1, 0) == 0);
  CHECK(process_vm_readv(9999999, &one, 1, none, 0, 0) == 0);
  CHECK_ERRNO(process_vm_writev(getpid(), &one, 1, bad, 1, 0), EFAULT);
  unmap(at, 1);
}

}  // namespace

int main() {
  start();
  check("reading and writing", reading_and_writing);
  check("as far as memory goes", as_far_as_memory_goes);
  check("arguments are checked", arguments_are_checked);
  return finish();
}
