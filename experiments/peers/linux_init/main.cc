// The first program of a Linux that is measured: runs what /peer/programs names, one after the other, and
// ends the machine.
//
//   /peer/programs      a line each: a name, the program and its arguments, with tabs between
//   environment         peer_console, the terminal's name below /dev; peer_marks, set: the file that takes
//   marks is the
//                       kernel's log, whose lines a KVM monitor reads
//
// Prints "program NAME status S instructions N" for each, N by the time-stamp counter, from before its fork
// until after its end. The last status that is not 0 becomes the machine's: in the counters channel where
// ports can be had, and otherwise (user-mode Linux) only on the console.
#include <fcntl.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "experiments/peers/kvm_monitor/ports.h"

namespace {

constexpr const char* kMarks = "/dev/nopte-mark";

// A machine that cannot be set up ends as one whose init has ended: the kernel says so.
void require(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::fflush(stderr);
  std::exit(1);
}

void mount_all() {
  const struct {
    const char* type;
    const char* folder;
  } mounts[] = {
      {"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}, {"tmpfs", "/dev/shm"}};
  for (const auto& [type, folder] : mounts) {
    mkdir(folder, 0755);
    // All of memory: user-mode Linux keeps its own there.
    const char* options = std::strcmp(type, "tmpfs") == 0 ? "size=100%" : nullptr;
    require(mount(type, folder, type, 0, options) == 0, folder);
  }
}

void open_console() {
  const char* name = std::getenv("peer_console");
  const int file = open((std::string("/dev/") + (name != nullptr ? name : "console")).c_str(), O_RDWR);
  require(file >= 0, "the console");
  for (const int standard : {0, 1, 2}) require(dup2(file, standard) == standard, "the console");
}

void mark(const char* edge, const std::string& name) {
  const int file = open(kMarks, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  const std::string text = edge + (" " + name + '\n');
  require(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the mark");
  close(file);
}

int run(std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (size_t i = 1; i < words.size(); ++i) arguments.push_back(words[i].data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    execv(arguments[0], arguments.data());
    std::perror(arguments[0]);
    _exit(127);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c == '\t') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

[[noreturn]] void power_off(int status) {
  sync();
  if (iopl(3) == 0) {
    kvm_monitor::write_counters("{\"event\":\"power_off\",\"status\":" + std::to_string(status) +
                                ",\"counters\":{}}\n");
    kvm_monitor::out_word(kvm_monitor::kExitPort, static_cast<uint32_t>(status) & 0x7f);
  }
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

}  // namespace

int main() {
  mount_all();
  open_console();
  setenv("PATH", "/bin", 1);
  setenv("HOME", "/root", 1);
  if (std::getenv("peer_marks") != nullptr) require(symlink("/dev/kmsg", kMarks) == 0, kMarks);
  int worst = 0;
  std::ifstream programs("/peer/programs");
  require(programs.is_open(), "/peer/programs");
  for (std::string line; std::getline(programs, line);) {
    std::vector<std::string> words = split(line);
    if (words.size() < 2) continue;
    mark("begin", words[0]);
    const uint64_t begin = __rdtsc();
    const int status = run(words);
    const uint64_t ticks = __rdtsc() - begin;
    mark("end", words[0]);
    std::printf("program %s status %d instructions %llu\n", words[0].c_str(), status,
                static_cast<unsigned long long>(ticks));
    std::fflush(stdout);
    if (status != 0) worst = status;
  }
  power_off(worst);
}
