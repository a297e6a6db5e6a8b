#include "experiments/peers/kvm_monitor/host.h"

#include <fcntl.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "experiments/peers/kvm_monitor/ports.h"

namespace kvm_monitor {
namespace {

constexpr const char* kConsole = "/dev/ttyS0";
constexpr uint32_t kGaveUpStatus = 125;

int g_console = -1;
volatile sig_atomic_t* g_on_input = nullptr;
volatile unsigned char* g_leave = nullptr;

void note_input(int) {
  *g_on_input = 1;
  *g_leave = 1;
}

std::string errno_text() { return std::strerror(errno); }

void load_module(std::string_view line) {
  const size_t blank = line.find(' ');
  const std::string name(line.substr(0, blank));
  const std::string options(blank == std::string_view::npos ? "" : line.substr(blank + 1));
  const int file = open(("/modules/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) give_up("the module " + name + " is not among the files");
  if (syscall(SYS_finit_module, file, options.c_str(), 0) != 0) {
    give_up_with_kernel_log(
        "the kernel does not take the module " + name + ": " + errno_text(),
        "KVM needs a processor with SVM: QEMU's tcg has it, --accel kvm only where the host's KVM nests");
  }
  close(file);
}

void open_console() {
  g_console = open(kConsole, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  termios settings{};
  if (g_console < 0 || tcgetattr(g_console, &settings) != 0) give_up("no console: " + errno_text());
  cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  if (tcsetattr(g_console, TCSANOW, &settings) != 0)
    give_up("the console cannot be made raw: " + errno_text());
}

}  // namespace

void give_up(std::string_view why, std::string_view todo) {
  const std::string text(why);
  write_console("nopte kvm monitor: " + text + "\r\n");
  write_counters("{\"event\":\"power_off\",\"status\":125,\"reason\":\"the KVM monitor gave up: " + text +
                 "\",\"todo\":\"" + std::string(todo) + "\"}\n");
  out_word(kExitPort, kGaveUpStatus & 0x7f);
  for (;;) pause();
}

void give_up_with_kernel_log(std::string_view why, std::string_view todo) {
  constexpr int kReadAll = 3;  // syslog(2)
  constexpr int kShown = 600;
  static char log[1 << 16];
  int bytes = klogctl(kReadAll, log, sizeof log);
  if (bytes < 0) bytes = 0;
  const int begin = bytes > kShown ? bytes - kShown : 0;
  for (int i = begin; i < bytes; ++i) {
    if (log[i] == '\n') write_console('\r');
    write_console(static_cast<uint8_t>(log[i]));
  }
  give_up(why, todo);
}

void start_host() {
  // Without its ports it cannot say why; the kernel then says that its init has ended.
  if (iopl(3) != 0) _exit(1);
  for (const auto& [type, folder] : {std::pair{"devtmpfs", "/dev"}, {"sysfs", "/sys"}}) {
    mkdir(folder, 0755);
    if (mount(type, folder, type, 0, nullptr) != 0) {
      give_up(std::string(folder) + " cannot be mounted: " + errno_text());
    }
  }
  open_console();
  const std::string modules = read_file("/modules/load");
  for (size_t at = 0; at < modules.size();) {
    const size_t end = std::min(modules.find('\n', at), modules.size());
    if (end > at) load_module(std::string_view(modules).substr(at, end - at));
    at = end + 1;
  }
}

void say_symbols() {
  mkdir("/proc", 0755);
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) give_up("/proc cannot be mounted: " + errno_text());
  constexpr size_t kEventBytes = 4096;
  std::string event;
  const auto say = [&event] {
    if (!event.empty()) write_counters("{\"event\":\"symbols\",\"text\":\"" + event + "\"}\n");
    event.clear();
  };
  // ADDRESS TYPE NAME, and a module's behind a tab in brackets.
  const std::string all = read_file("/proc/kallsyms");
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    const std::string_view line = std::string_view(all).substr(at, end - at);
    at = end + 1;
    const size_t type = line.find(' ');
    if (type == std::string_view::npos || type + 3 > line.size()) continue;
    if (std::string_view("tTwW").find(line[type + 1]) == std::string_view::npos) continue;
    const std::string_view rest = line.substr(type + 3);
    const size_t tab = rest.find('\t');
    event += line.substr(0, type);
    event += ' ';
    event += rest.substr(0, tab);
    event += ' ';
    event += tab == std::string_view::npos ? "linux" : rest.substr(tab + 2, rest.size() - tab - 3);
    event += ';';
    if (event.size() > kEventBytes) say();
  }
  say();
  write_counters("{\"event\":\"power_off\",\"status\":0}\n");
  out_word(kExitPort, 0);
  for (;;) pause();
}

bool nested_paging() { return read_file("/sys/module/kvm_amd/parameters/npt").starts_with('Y'); }

std::string read_file(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) give_up(std::string(path) + ": " + errno_text());
  // What a file of sysfs holds is less than its size says.
  std::string data;
  for (ssize_t bytes = 1; bytes > 0;) {
    constexpr size_t kStep = 1 << 20;
    const size_t at = data.size();
    data.resize(at + kStep);
    bytes = read(file, data.data() + at, kStep);
    if (bytes < 0) give_up(std::string(path) + " cannot be read: " + errno_text());
    data.resize(at + static_cast<size_t>(bytes));
  }
  close(file);
  return data;
}

void watch_console(volatile sig_atomic_t* on_input, volatile unsigned char* leave) {
  g_on_input = on_input;
  g_leave = leave;
  struct sigaction action{};
  action.sa_handler = note_input;
  const bool watched = sigaction(SIGIO, &action, nullptr) == 0 && fcntl(g_console, F_SETOWN, getpid()) == 0 &&
                       fcntl(g_console, F_SETFL, O_NONBLOCK | O_ASYNC) == 0;
  if (!watched) give_up("the console cannot be watched: " + errno_text());
  // What was typed before.
  note_input(SIGIO);
}

std::string read_console() {
  char bytes[256];
  const ssize_t count = read(g_console, bytes, sizeof bytes);
  return count > 0 ? std::string(bytes, static_cast<size_t>(count)) : std::string();
}

}  // namespace kvm_monitor
