// Which signals leave a core file, what keeps them from it, and that the file holds the memory.
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

void limit(unsigned long bytes) {
  const rlimit wanted{bytes, RLIM_INFINITY};
  CHECK(setrlimit(RLIMIT_CORE, &wanted) == 0);
}

// A file that begins as a core file does.
bool core() {
  const int file = open("core", O_RDONLY);
  if (file < 0) return false;
  Elf64_Ehdr header{};
  const bool good = read(file, &header, sizeof header) == sizeof header &&
                    memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_CORE;
  close(file);
  unlink("core");
  return good;
}

void end_by(int number) {
  siginfo_t info{};
  const pid_t child = fork();
  if (child == 0) {
    signal(number, SIG_DFL);
    raise(number);
    _exit(0);
  }
  int status = 0;
  CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0 && waitpid(child, &status, 0) == child);
  printf("signal %d: status %x, code %d, core %d\n", number, unsigned(status), info.si_code, core());
}

void signals() {
  limit(1 << 20);
  for (int number = 1; number < 32; ++number) {
    if (number != SIGCHLD && number != SIGCONT && number != SIGURG && number != SIGWINCH &&
        number != SIGSTOP && number != SIGTSTP && number != SIGTTIN && number != SIGTTOU) {
      end_by(number);
    }
  }
  end_by(SIGRTMIN);
}

void kept_from_it() {
  limit(0);
  end_by(SIGQUIT);
  limit(4095);
  end_by(SIGQUIT);
  limit(4096);
  end_by(SIGQUIT);
  limit(1 << 20);
  SHOW(status_of_child([] {
    prctl(PR_SET_DUMPABLE, 0);
    raise(SIGQUIT);
  }));
  SHOW(core());
  SHOW(status_of_child([] { abort(); }));
  SHOW(core());
  mkdir("core", 0700);
  SHOW(status_of_child([] { abort(); }));
  rmdir("core");
}

// The bytes at an address, as the file has them; -1: not there.
int byte_in_core(int file, const char* at) {
  Elf64_Ehdr header;
  CHECK(pread(file, &header, sizeof header, 0) == sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    CHECK(pread(file, &segment, sizeof segment, long(header.e_phoff + i * sizeof segment)) == sizeof segment);
    const auto address = reinterpret_cast<unsigned long>(at);
    if (segment.p_type == PT_LOAD && segment.p_vaddr <= address &&
        address < segment.p_vaddr + segment.p_filesz) {
      unsigned char byte = 0;
      return pread(file, &byte, 1, long(segment.p_offset + address - segment.p_vaddr)) == 1 ? byte : -2;
    }
  }
  return -1;
}

void memory() {
  limit(RLIM_INFINITY);
  char* const pages =
      static_cast<char*>(mmap(nullptr, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* const hidden =
      static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(madvise(hidden, 4096, MADV_DONTDUMP) == 0);
  SHOW(status_of_child([=] {
    pages[0] = 7;
    pages[8192] = 9;
    hidden[0] = 1;
    abort();
  }));
  const int file = open("core", O_RDONLY);
  CHECK(file >= 0);
  SHOW(byte_in_core(file, pages));
  SHOW(byte_in_core(file, pages + 4096));
  SHOW(byte_in_core(file, pages + 8192));
  SHOW(byte_in_core(file, hidden));
  close(file);
  struct stat status;
  CHECK(stat("core", &status) == 0);
  printf("%o\n", status.st_mode);
}

}  // namespace

int main() {
  show_lines();
  char folder[] = "/tmp/core-XXXXXX";
  mkdir("/tmp", 01777);
  CHECK(mkdtemp(folder) != nullptr && chdir(folder) == 0);
  check("signals", signals);
  check("what keeps from it", kept_from_it);
  check("its memory", memory);
  return finish();
}
