// What another user's process does not let one do: signals, memory, descriptors, System V objects.
// Prints the same on Linux as root, where it works in a fresh directory below /tmp.
#include <linux/kcmp.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

int g_word = 4711;

// In a child that has become user 1000 without any capability.
void as_other(const char* name, void (*body)(pid_t root)) {
  check(name, [&] {
    const pid_t root = getpid();
    const int status = status_of_child([&] {
      CHECK(syscall(SYS_setresgid, 1000, 1000, 1000) == 0 && syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
      body(root);
    });
    CHECK(status == 0);
  });
}

void signals(pid_t root) {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, root, 0));
  CHECK(pidfd >= 0);
  CHECK_ERRNO(kill(root, 0), EPERM);
  CHECK_ERRNO(syscall(SYS_tgkill, root, root, SIGUSR1), EPERM);
  CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, root, SIGUSR1, &info), EPERM);
  CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, root, root, SIGUSR1, &info), EPERM);
  CHECK_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, nullptr, 0), EPERM);
  CHECK_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0), EPERM);
  CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 0, 0), EPERM);
  const pid_t own = fork();
  if (own == 0) {
    pause();
  }
  CHECK(kill(own, SIGTERM) == 0 && waitpid(own, nullptr, 0) == own);
}

void memory(pid_t root) {
  int here = 0;
  iovec local = {&here, sizeof here}, remote = {&g_word, sizeof g_word};
  CHECK_ERRNO(process_vm_readv(root, &local, 1, &remote, 1, 0), EPERM);
  CHECK_ERRNO(process_vm_writev(root, &local, 1, &remote, 1, 0), EPERM);
  CHECK(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == sizeof here && here == 4711);
  const std::string mem = "/proc/" + std::to_string(root) + "/mem";
  CHECK_ERRNO(open(mem.c_str(), O_RDONLY), EACCES);
}

// In /proc: what says how a process is laid out, and what it has open.
void in_proc(pid_t root) {
  const std::string its = "/proc/" + std::to_string(root) + "/";
  CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);  // the change of user took it away
  char text[256];
  for (const char* name :
       {"maps", "smaps", "smaps_rollup", "environ", "io", "fd", "fdinfo", "fdinfo/0", "exe"}) {
    CHECK_ERRNO(open((its + name).c_str(), O_RDONLY), EACCES);
    CHECK(open((std::string("/proc/self/") + name).c_str(), O_RDONLY) >= 0);
  }
  for (const char* name : {"exe", "cwd", "root", "fd/0"}) {
    CHECK_ERRNO(readlink((its + name).c_str(), text, sizeof text), EACCES);
    CHECK(readlink((std::string("/proc/self/") + name).c_str(), text, sizeof text) > 0);
  }
  for (const char* name : {"stat", "statm", "status", "cmdline", "comm", "limits", "task"}) {
    const int file = open((its + name).c_str(), O_RDONLY);
    CHECK(file >= 0 && close(file) == 0);
  }
  struct stat seen;
  CHECK(lstat((its + "exe").c_str(), &seen) == 0 && S_ISLNK(seen.st_mode));
  CHECK(stat((its + "fd").c_str(), &seen) == 0 && (seen.st_mode & 07777) == 0500);
  CHECK(stat((its + "fdinfo").c_str(), &seen) == 0 && (seen.st_mode & 07777) == 0555);
  CHECK_ERRNO(open((its + "fd/0").c_str(), O_RDONLY), EACCES);
  CHECK_ERRNO(stat((its + "exe").c_str(), &seen), EACCES);
  CHECK_ERRNO(stat((its + "cwd/x").c_str(), &seen), EACCES);
  CHECK_ERRNO(syscall(SYS_kcmp, getpid(), root, KCMP_VM, 0, 0), EPERM);
}

// What was opened of a program is not the next program's of the same process, which may be another user's.
void before_an_exec() {
  int go[2], gone[2];
  CHECK(pipe(go) == 0 && pipe2(gone, O_CLOEXEC) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char c;
    read(go[0], &c, 1);
    close(go[1]);
    dup2(go[0], 0);
    execl("/proc/self/exe", "inspection", "wait", nullptr);
    _exit(1);
  }
  const std::string its = "/proc/" + std::to_string(child) + "/";
  const int memory = open((its + "mem").c_str(), O_RDWR), pagemap = open((its + "pagemap").c_str(), O_RDONLY);
  CHECK(memory >= 0 && pagemap >= 0);
  const auto at = reinterpret_cast<off_t>(&g_word);
  int word = 0;
  uint64_t page = 0;
  CHECK(pread(memory, &word, sizeof word, at) == sizeof word && word == 4711);
  CHECK(pread(pagemap, &page, sizeof page, at / kPage * 8) == sizeof page);
  CHECK(write(go[1], "", 1) == 1);
  char c;
  CHECK(close(gone[1]) == 0 && read(gone[0], &c, 1) == 0);  // the exec closed it
  CHECK(pread(memory, &word, sizeof word, at) == 0);
  CHECK(pwrite(memory, &word, sizeof word, at) == 0);
  CHECK(pread(pagemap, &page, sizeof page, at / kPage * 8) == 0);
  CHECK(close(go[1]) == 0 && close(go[0]) == 0);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int g_ids[3];

void objects(pid_t) {
  msqid_ds queue;
  CHECK_ERRNO(msgctl(g_ids[0], IPC_STAT, &queue), EACCES);
  CHECK_ERRNO(msgctl(g_ids[0], IPC_RMID, nullptr), EPERM);
  sembuf one = {0, 1, 0};
  CHECK_ERRNO(semop(g_ids[1], &one, 1), EACCES);
  CHECK(semctl(g_ids[1], 0, GETVAL) == 0);
  CHECK_ERRNO(semctl(g_ids[1], 0, IPC_RMID), EPERM);
  CHECK(shmat(g_ids[2], nullptr, SHM_RDONLY) != reinterpret_cast<void*>(-1));
  CHECK_ERRNO(reinterpret_cast<long>(shmat(g_ids[2], nullptr, 0)), EACCES);
  const int own = msgget(IPC_PRIVATE, 0600);
  CHECK(own >= 0 && msgctl(own, IPC_STAT, &queue) == 0 && queue.msg_perm.uid == 1000 &&
        queue.msg_perm.cgid == 1000);
  CHECK(msgctl(own, IPC_RMID, nullptr) == 0);
}

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    char c;
    while (read(0, &c, 1) > 0) {
    }
    return 0;
  }
  begin_with_fresh_directory();
  as_other("signals and descriptors of another user", signals);
  as_other("memory of another user", memory);
  as_other("another user's process in /proc", in_proc);
  check("memory of the program before an exec", before_an_exec);
  g_ids[0] = msgget(IPC_PRIVATE, 0600);
  g_ids[1] = semget(IPC_PRIVATE, 1, 0644);
  g_ids[2] = shmget(IPC_PRIVATE, kPage, 0644);
  as_other("System V objects of another user", objects);
  CHECK(msgctl(g_ids[0], IPC_RMID, nullptr) == 0 && semctl(g_ids[1], 0, IPC_RMID) == 0 &&
        shmctl(g_ids[2], IPC_RMID, nullptr) == 0);
  return finish();
}
