// Files of /proc: of a process, of the system, and those of /proc/sys that every Linux has.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <cstdint>
#include <set>
#include <string>

#include "tests/boot/programs/checks.h"

namespace {

std::string read_all(const std::string& path) {
  std::string text;
  char piece[4096];
  const int file = open(path.c_str(), O_RDONLY);
  CHECK(file >= 0);
  for (ssize_t bytes; (bytes = read(file, piece, sizeof piece)) != 0; text.append(piece, size_t(bytes)))
    CHECK(bytes > 0);
  CHECK(close(file) == 0);
  return text;
}

// 0 or errno.
int write_all(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY);
  if (file < 0) return errno;
  const ssize_t bytes = write(file, text.data(), text.size());
  const int error = bytes < 0 ? errno : 0;
  CHECK(error != 0 || size_t(bytes) == text.size());
  CHECK(close(file) == 0);
  return error;
}

// What stands behind "name:" in status; "?" when there is no such line.
std::string status(const std::string& name) {
  const std::string text = "\n" + read_all("/proc/self/status");
  const size_t at = text.find("\n" + name + ":\t");
  if (at == std::string::npos) return "?";
  const size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

void descriptors() {
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && lseek(file, 5, SEEK_SET) == 5);
  const std::string path = "/proc/self/fdinfo/" + std::to_string(file);
  const std::string info = read_all(path);
  CHECK(info.starts_with("pos:\t5\nflags:\t02100000\nmnt_id:\t"));
  CHECK(fcntl(file, F_SETFD, 0) == 0 && read_all(path).starts_with("pos:\t5\nflags:\t0100000\n"));
  DIR* const directory = opendir("/proc/self/fdinfo");
  std::set<std::string> names;
  while (const dirent* entry = readdir(directory)) names.insert(entry->d_name);
  CHECK(closedir(directory) == 0 && names.contains(std::to_string(file)) && names.contains("0"));
  CHECK(close(file) == 0);
  CHECK_ERRNO(open(path.c_str(), O_RDONLY), ENOENT);
}

void arguments_and_environment() {
  const std::string arguments = read_all("/proc/self/cmdline");
  const std::string environment = read_all("/proc/self/environ");
  std::string wanted;
  for (char** at = environ; *at != nullptr; ++at) wanted += std::string(*at) + '\0';
  CHECK(arguments.ends_with('\0') && arguments.find("proc_files") != std::string::npos);
  CHECK(environment == wanted);
  const std::string auxv = read_all("/proc/self/auxv");
  CHECK(auxv.size() % (2 * sizeof(unsigned long)) == 0);
  bool ends = false;
  for (size_t at = 0; at < auxv.size(); at += 2 * sizeof(unsigned long)) {
    unsigned long pair[2];
    memcpy(pair, auxv.data() + at, sizeof(pair));
    ends = pair[0] == AT_NULL;
    CHECK(ends || pair[0] == AT_HWCAP || getauxval(pair[0]) == pair[1]);  // the C library has its own
  }
  CHECK(ends && auxv.size() > 10 * 2 * sizeof(unsigned long));
}

void name_can_be_written() {
  CHECK(write_all("/proc/self/comm", "a name that is too long") == 0);
  CHECK(read_all("/proc/self/comm") == "a name that is \n");
  char name[16];
  CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a name that is ") == 0);
  CHECK(write_all("/proc/self/comm", "short") == 0 && status("Name") == "short");
  CHECK(write_all("/proc/1/comm", "x") == EINVAL || getpid() == 1);
}

void out_of_memory_scores() {
  CHECK(write_all("/proc/self/oom_score_adj", "300\n") == 0 &&
        read_all("/proc/self/oom_score_adj") == "300\n");
  for (const char* bad : {"1001", "-1001", "x"}) CHECK(write_all("/proc/self/oom_score_adj", bad) == EINVAL);
  CHECK(status_of_child([] { CHECK(read_all("/proc/self/oom_score_adj") == "300\n"); }) == 0);
}

long child_that_waits(pid_t wanted) {
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(&wanted);
  arguments.set_tid_size = wanted != 0;
  arguments.set_tid = wanted != 0 ? arguments.set_tid : 0;
  fflush(stdout);
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) {
    for (;;) pause();
  }
  CHECK(child > 0);
  return child;
}

// A descriptor is of the process, not of who has its number next.
void numbers_used_again() {
  const auto end = [](pid_t child) {
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  };
  const auto child = static_cast<pid_t>(child_that_waits(0));
  const std::string path = "/proc/" + std::to_string(child) + "/oom_score_adj";
  const int file = open(path.c_str(), O_WRONLY);
  CHECK(file >= 0 && write(file, "400", 3) == 3 && read_all(path) == "400\n");
  end(child);
  CHECK_ERRNO(write(file, "500", 3), ESRCH);
  CHECK(child_that_waits(child) == child);
  CHECK_ERRNO(write(file, "500", 3), ESRCH);
  CHECK(read_all(path) == "300\n");
  end(child);
  CHECK(close(file) == 0);
}

void lines_of_status() {
  for (const char* name :
       {"Umask",  "State",  "Tgid",       "Ngid",    "Pid",          "PPid",        "TracerPid",
        "Uid",    "Gid",    "FDSize",     "Groups",  "Threads",      "SigQ",        "SigPnd",
        "ShdPnd", "SigBlk", "SigIgn",     "SigCgt",  "CapInh",       "CapPrm",      "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed"}) {
    if (status(name) == "?") printf("no line %s\n", name);
  }
  umask(027);
  CHECK(status("Umask") == "0027" && status("Tgid") == std::to_string(getpid()));
  CHECK(status_of_child([] {
          const gid_t groups[] = {7, 5};
          CHECK(setgroups(2, groups) == 0 && setresgid(10, 11, 12) == 0 && setresuid(20, 21, 22) == 0);
          printf("Uid %s\nGid %s\nGroups %s\n", status("Uid").c_str(), status("Gid").c_str(),
                 status("Groups").c_str());
          printf("CapEff %s\nCapPrm %s\n", status("CapEff").c_str(), status("CapPrm").c_str());
          CHECK(status("NoNewPrivs") == "0");
          fflush(stdout);
        }) == 0);
}

void fields_of_stat() {
  const std::string text = read_all("/proc/self/stat");
  size_t spaces = 0;
  for (const char c : text.substr(text.rfind(')'))) spaces += c == ' ';
  printf("%zu fields\n", spaces + 2);
  CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
  const std::string after = read_all("/proc/self/stat");
  size_t at = after.rfind(')');
  for (int field = 2; field < 18; ++field) at = after.find(' ', at + 1);
  CHECK(after.substr(at, 6) == " 25 5 ");
}

void mounts_have_numbers() {
  const std::string text = read_all("/proc/self/mountinfo");
  CHECK(text.find(" / / ") != std::string::npos && text.find(" /proc ") != std::string::npos);
  CHECK(text.find(" - proc proc ") != std::string::npos);
  CHECK(read_all("/proc/self/io").starts_with("rchar: "));
}

void the_system() {
  utsname names;
  CHECK(uname(&names) == 0);
  CHECK(read_all("/proc/sys/kernel/ostype") == std::string(names.sysname) + "\n");
  CHECK(read_all("/proc/sys/kernel/osrelease") == std::string(names.release) + "\n");
  CHECK(read_all("/proc/sys/kernel/version") == std::string(names.version) + "\n");
  CHECK(read_all("/proc/sys/kernel/hostname") == std::string(names.nodename) + "\n");
  CHECK(read_all("/proc/version").starts_with("Linux version " + std::string(names.release) + " "));
  CHECK(read_all("/proc/cmdline").ends_with('\n'));
  CHECK(read_all("/proc/filesystems").find("nodev\tproc\n") != std::string::npos);
  CHECK(read_all("/proc/cpuinfo").starts_with("processor\t: 0\n"));
  CHECK(read_all("/proc/stat").starts_with("cpu  "));
  for (const char* name : {"ngroups_max", "cap_last_cap", "sched_rt_period_us", "overflowuid"}) {
    printf("%s %s", name, read_all(std::string("/proc/sys/kernel/") + name).c_str());
  }
  for (const char* name :
       {"kernel/pid_max", "kernel/tainted", "kernel/threads-max", "kernel/core_pattern",
        "kernel/core_uses_pid", "kernel/sched_rr_timeslice_ms", "fs/file-max", "fs/nr_open",
        "fs/pipe-max-size", "fs/inotify/max_user_instances", "fs/inotify/max_user_watches",
        "fs/inotify/max_queued_events", "fs/lease-break-time"}) {
    CHECK(read_all(std::string("/proc/sys/") + name).size() > 1);
  }
  const std::string uuid = read_all("/proc/sys/kernel/random/uuid");
  CHECK(uuid.size() == 37 && uuid[14] == '4' && uuid != read_all("/proc/sys/kernel/random/uuid"));
  const std::string boot = read_all("/proc/sys/kernel/random/boot_id");
  CHECK(boot.size() == 37 && boot == read_all("/proc/sys/kernel/random/boot_id"));
}

void pipes_hold_what_a_setting_says() {
  const long most = atol(read_all("/proc/sys/fs/pipe-max-size").c_str());
  int ends[2];
  CHECK(most >= 4096 && pipe(ends) == 0 && fcntl(ends[0], F_SETPIPE_SZ, most) == most);
  CHECK(status_of_child([&] {
          CHECK(setuid(1000) == 0);
          CHECK_ERRNO(fcntl(ends[0], F_SETPIPE_SZ, most + 1), EPERM);
        }) == 0);
}

char state_of(int file) {
  char text[4096];
  const ssize_t bytes = pread(file, text, sizeof text - 1, 0);
  CHECK(bytes > 0);
  text[bytes] = 0;
  const char* const line = strstr(text, "\nState:\t");
  return line == nullptr ? '?' : line[8];
}

// A file that is kept open tells what is when it is read, and not what was when it was opened.
void texts_are_of_the_time_of_the_read() {
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    for (;;) pause();
  }
  const std::string folder = "/proc/" + std::to_string(child);
  const int file = open((folder + "/status").c_str(), O_RDONLY);
  const int memory = open((folder + "/environ").c_str(), O_RDONLY);
  CHECK(file >= 0 && memory >= 0);
  int status = 0;
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
  CHECK(state_of(file) == 'T');
  CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
  while (state_of(file) != 'S') sched_yield();
  CHECK(kill(child, SIGKILL) == 0);
  siginfo_t ended;
  CHECK(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) == 0 && state_of(file) == 'Z');
  char piece[16];
  CHECK(pread(memory, piece, sizeof piece, 0) == 0);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_ERRNO(pread(file, piece, sizeof piece, 0), ESRCH);
  CHECK(close(file) == 0 && close(memory) == 0);
  // What was read goes on where it ended.
  const int seen = open("/proc/self/status", O_RDONLY);
  char first[8], second[8], again[8];
  CHECK(read(seen, first, sizeof first) == 8 && read(seen, second, sizeof second) == 8);
  CHECK(memcmp(first, second, sizeof first) != 0 && pread(seen, again, sizeof again, 8) == 8);
  CHECK(memcmp(again, second, sizeof again) == 0 && close(seen) == 0);
}

void the_thread_itself() {
  char text[64] = {};
  CHECK(readlink("/proc/thread-self", text, sizeof text - 1) > 0);
  CHECK(text == std::to_string(getpid()) + "/task/" + std::to_string(gettid()));
  CHECK(read_all("/proc/thread-self/status") == read_all("/proc/self/status"));
  CHECK(read_all("/proc/self/wchan") == "0");
}

}  // namespace

int main() {
  check("descriptors", descriptors);
  check("arguments_and_environment", arguments_and_environment);
  check("name_can_be_written", name_can_be_written);
  check("out_of_memory_scores", out_of_memory_scores);
  check("numbers_used_again", numbers_used_again);
  check("lines_of_status", lines_of_status);
  check("fields_of_stat", fields_of_stat);
  check("mounts_have_numbers", mounts_have_numbers);
  check("the_system", the_system);
  check("pipes_hold_what_a_setting_says", pipes_hold_what_a_setting_says);
  check("texts_are_of_the_time_of_the_read", texts_are_of_the_time_of_the_read);
  check("the_thread_itself", the_thread_itself);
  return finish();
}
