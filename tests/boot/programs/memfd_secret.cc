// memfd_secret: how it is made, sized and mapped, and who cannot see it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

int make(unsigned flags = 0) { return int(syscall(447, flags)); }

void the_file() {
  SHOW(make(1));
  SHOW(make(O_NONBLOCK));
  const int closing = make(O_CLOEXEC);
  SHOW(fcntl(closing, F_GETFD));
  close(closing);
  const int file = make();
  SHOW(fcntl(file, F_GETFD));
  SHOW(fcntl(file, F_GETFL) & O_ACCMODE);
  char byte = 0;
  SHOW(write(file, "a", 1));
  SHOW(read(file, &byte, 1));
  SHOW(pread(file, &byte, 1, 0));
  SHOW(ftruncate(file, 8192));
  SHOW(ftruncate(file, 4096));
  SHOW(ftruncate(file, 8192));
  SHOW(fallocate(file, 0, 0, 4096));
  struct stat status;
  SHOW(fstat(file, &status));
  printf("%o, %ld bytes\n", status.st_mode, long(status.st_size));
  close(file);
}

void its_memory() {
  const int file = make();
  SHOW(ftruncate(file, 4096));
  SHOW(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0));
  auto* const at = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  SHOW(at != MAP_FAILED);
  SHOW(at[0]);
  memcpy(at, "secret", 7);
  char copy[8] = {};
  const iovec here{copy, 6}, there{at, 6};
  SHOW(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
  SHOW(process_vm_writev(getpid(), &here, 1, &there, 1, 0));
  const int status = status_of_child([=] {
    SHOW(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
    memcpy(at, "shared", 7);
  });
  SHOW(status);
  puts(at);
  close(file);
  SHOW(munmap(at, 4096));
}

}  // namespace

int main() {
  show_lines();
  check("the file", the_file);
  check("its memory", its_memory);
  return finish();
}
