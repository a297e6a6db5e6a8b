// Core files: which signals leave one, what keeps a process from it, and what is in it. The same on Linux
// with the core_pattern "core".
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <initializer_list>
#include <string>

#include "tests/boot/programs/checks.h"

namespace {

constexpr uid_t kUser = 54341;
constexpr rlim_t kMuch = 64 << 20;

void limit(rlim_t bytes) {
  rlimit wanted;
  CHECK(getrlimit(RLIMIT_CORE, &wanted) == 0);
  wanted.rlim_cur = bytes;
  CHECK(setrlimit(RLIMIT_CORE, &wanted) == 0);
}
bool there() { return access("core", F_OK) == 0; }

// Whether a child that the signal ends is said to have left a file; there must be one then, and none
// otherwise.
template <class Before>
bool leaves(int signal, rlim_t bytes, Before before) {
  unlink("core");
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    limit(bytes);
    before();
    raise(signal);
    _exit(1);
  }
  siginfo_t info;
  CHECK(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == signal);
  const bool left = WCOREDUMP(status);
  CHECK(info.si_status == signal && info.si_code == (left ? CLD_DUMPED : CLD_KILLED));
  CHECK(left == there());
  return left;
}
bool leaves(int signal, rlim_t bytes = kMuch) {
  return leaves(signal, bytes, [] {});
}

void which_signals() {
  for (const int signal :
       {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ}) {
    CHECK(leaves(signal));
  }
  for (const int signal : {SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM,
                           SIGPROF, SIGIO, SIGPWR, SIGSTKFLT, SIGRTMIN}) {
    CHECK(!leaves(signal));
  }
}

void what_keeps_from_it() {
  CHECK(!leaves(SIGABRT, 0) && !leaves(SIGABRT, 4095) && leaves(SIGABRT, 4096));
  struct stat cut;
  CHECK(stat("core", &cut) == 0 && cut.st_size <= 4096);
  CHECK(!leaves(SIGABRT, kMuch, [] { CHECK(prctl(PR_SET_DUMPABLE, 0) == 0); }));
  CHECK(leaves(SIGABRT, kMuch,
               [] { CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0); }));
  CHECK(!leaves(SIGABRT, kMuch, [] {
    CHECK(setresuid(kUser, kUser, kUser) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);  // may not write here
  }));
}

void the_name() {
  struct stat file;
  CHECK(leaves(SIGABRT, kMuch, [] { umask(0); }) && stat("core", &file) == 0);
  CHECK(S_ISREG(file.st_mode) && (file.st_mode & 07777) == 0600 && file.st_uid == 0 && file.st_size > 4096);
  unlink("core");
  // What was there goes, and a link is not followed.
  CHECK(symlink("elsewhere", "core") == 0);
  const int status = status_of_child([] {
    limit(kMuch);
    raise(SIGABRT);
  });
  CHECK(WCOREDUMP(status) && lstat("core", &file) == 0 && S_ISREG(file.st_mode) &&
        access("elsewhere", F_OK) != 0);
  unlink("core");
}

char g_marked[] = "what lies in the data of the program";
char* g_mapped;
char* g_not_dumped;

// Its bytes at that address; false if the file has none.
bool find(const char* core, const char* at, const char* wanted) {
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(core);
  const auto* const segments = reinterpret_cast<const Elf64_Phdr*>(core + header->e_phoff);
  const auto address = reinterpret_cast<Elf64_Addr>(at);
  for (int i = 0; i < header->e_phnum; ++i) {
    const Elf64_Phdr& segment = segments[i];
    if (segment.p_type == PT_LOAD && segment.p_vaddr <= address &&
        address < segment.p_vaddr + segment.p_filesz) {
      return strcmp(core + segment.p_offset + (address - segment.p_vaddr), wanted) == 0;
    }
  }
  return false;
}

void what_is_in_it() {
  constexpr size_t kBytes = 64 << 10;
  for (char** const memory : {&g_mapped, &g_not_dumped}) {
    *memory =
        static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(*memory != MAP_FAILED);
    strcpy(*memory + kBytes / 2, "mapped");
  }
  CHECK(madvise(g_not_dumped, kBytes, MADV_DONTDUMP) == 0);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(leaves(SIGSEGV, kMuch, [&] {
    const pid_t self = getpid();
    strcpy(g_marked, "changed");
    CHECK(write(ends[1], &self, sizeof(self)) == sizeof(self));
  }));
  pid_t pid = 0;
  CHECK(read(ends[0], &pid, sizeof(pid)) == sizeof(pid));
  const int file = open("core", O_RDONLY);
  struct stat facts;
  CHECK(file >= 0 && fstat(file, &facts) == 0);
  const char* const core = static_cast<const char*>(
      mmap(nullptr, static_cast<size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0));
  CHECK(core != MAP_FAILED);
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(core);
  CHECK(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_type == ET_CORE &&
        header->e_machine == EM_X86_64);
  CHECK(find(core, g_marked, "changed") && find(core, g_mapped + kBytes / 2, "mapped"));
  CHECK(!find(core, g_not_dumped + kBytes / 2, "mapped"));
  const auto* const notes = reinterpret_cast<const Elf64_Phdr*>(core + header->e_phoff);
  CHECK(notes->p_type == PT_NOTE);
  const auto* const note = reinterpret_cast<const Elf64_Nhdr*>(core + notes->p_offset);
  CHECK(note->n_type == NT_PRSTATUS && note->n_descsz == sizeof(prstatus_t));
  prstatus_t status;
  memcpy(&status, core + notes->p_offset + sizeof(*note) + 8, sizeof(status));
  CHECK(status.pr_info.si_signo == SIGSEGV && status.pr_cursig == SIGSEGV && status.pr_pid == pid &&
        status.pr_ppid == getpid());
  user_regs_struct registers;
  memcpy(&registers, &status.pr_reg, sizeof(registers));
  CHECK(registers.cs == 0x33 && registers.rip != 0 && registers.rsp != 0);
  close(file);
}

std::string contents(const char* path) {
  char text[64];
  const int file = open(path, O_RDONLY);
  const ssize_t bytes = read(file, text, sizeof text);
  CHECK(bytes >= 0 && close(file) == 0);
  return {text, static_cast<size_t>(bytes)};
}
int put(const char* path, const char* text) {
  const int file = open(path, O_WRONLY);
  CHECK(file >= 0);
  const int error = write(file, text, strlen(text)) < 0 ? errno : 0;
  CHECK(close(file) == 0);
  return error;
}

// Whether what g_marked says is anywhere in the file that is left.
bool marked_in_core() {
  const int file = open("core", O_RDONLY);
  struct stat facts;
  CHECK(file >= 0 && fstat(file, &facts) == 0);
  const size_t bytes = static_cast<size_t>(facts.st_size);
  void* const core = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  CHECK(core != MAP_FAILED && close(file) == 0);
  const std::string wanted = std::string("filtered") + " out";
  const bool found = memmem(core, bytes, wanted.data(), wanted.size()) != nullptr;
  CHECK(munmap(core, bytes) == 0);
  return found;
}

void what_is_filtered() {
  constexpr const char* kFilter = "/proc/self/coredump_filter";
  CHECK(contents(kFilter) == "00000033\n");
  CHECK(put(kFilter, "x") == EINVAL && contents(kFilter) == "00000033\n");
  CHECK(put(kFilter, "0x7\n") == 0 && contents(kFilter) == "00000007\n");
  CHECK(put(kFilter, "51") == 0 && contents(kFilter) == "00000033\n");
  const auto mark = [] {
    strcpy(g_marked, "filtered");
    strcat(g_marked, " out");
  };
  CHECK(leaves(SIGABRT, kMuch, mark) && marked_in_core());
  CHECK(put(kFilter, "0x30") == 0);
  CHECK(leaves(SIGABRT, kMuch, mark) && !marked_in_core());  // inherited
  CHECK(put(kFilter, "0x33") == 0);
}

}  // namespace

int main() {
  char folder[] = "/tmp/core_files_XXXXXX";
  mkdir("/tmp", 01777);
  CHECK(mkdtemp(folder) != nullptr && chdir(folder) == 0 && chmod(folder, 0755) == 0);
  check("which signals", which_signals);
  check("what keeps from it", what_keeps_from_it);
  check("the name", the_name);
  check("what is in it", what_is_in_it);
  check("what is filtered", what_is_filtered);
  unlink("core");
  CHECK(chdir("/") == 0 && rmdir(folder) == 0);
  return finish();
}
