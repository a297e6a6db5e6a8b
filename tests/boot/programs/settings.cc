// Files of /proc/sys and /sys: read, written, listed, refused; and what overcommit makes of a mapping.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/boot/programs/checks.h"

namespace {

std::string read_all(const char* path) {
  char text[4096];
  const int file = open(path, O_RDONLY);
  CHECK(file >= 0);
  const ssize_t bytes = read(file, text, sizeof text);
  CHECK(bytes >= 0 && close(file) == 0);
  return std::string(text, size_t(bytes));
}

// 0 or errno.
int write_all(const char* path, const char* text) {
  const int file = open(path, O_WRONLY);
  if (file < 0) return errno;
  const ssize_t bytes = write(file, text, strlen(text));
  const int error = bytes < 0 ? errno : 0;
  CHECK(error != 0 || size_t(bytes) == strlen(text));
  CHECK(close(file) == 0);
  return error;
}

constexpr char kMode[] = "/proc/sys/vm/overcommit_memory";
constexpr char kMaps[] = "/proc/sys/vm/max_map_count";

void numbers_are_kept_within_bounds() {
  const std::string before = read_all("/proc/sys/vm/swappiness");
  CHECK(write_all("/proc/sys/vm/swappiness", "30\n") == 0 && read_all("/proc/sys/vm/swappiness") == "30\n");
  CHECK(write_all("/proc/sys/vm/swappiness", " 31 ") == 0 && read_all("/proc/sys/vm/swappiness") == "31\n");
  for (const char* bad : {"-1", "201", "x", "9999999999999999999999", "3x"}) {
    CHECK(write_all("/proc/sys/vm/swappiness", bad) == EINVAL);
  }
  CHECK(read_all("/proc/sys/vm/swappiness") == "31\n");
  CHECK(write_all("/proc/sys/vm/swappiness", before.c_str()) == 0);
  CHECK(write_all(kMode, "3") == EINVAL && write_all(kMode, "-1") == EINVAL);
}

void real_time_has_its_bounds() {
  const std::string kernel = "/proc/sys/kernel/sched_";
  const auto set = [&](const char* name, const char* text) {
    return write_all((kernel + name).c_str(), text);
  };
  const auto get = [&](const char* name) { return read_all((kernel + name).c_str()); };
  CHECK(set("rr_timeslice_ms", "-1") == 0);
  const std::string usual = get("rr_timeslice_ms");
  CHECK(usual == "100\n" && set("rr_timeslice_ms", "20") == 0 && get("rr_timeslice_ms") == "20\n");
  sched_param priority = {.sched_priority = 1};
  const bool may = sched_setscheduler(0, SCHED_RR, &priority) == 0;
  timespec slice = {};
  CHECK(!may || (sched_rr_get_interval(0, &slice) == 0 && slice.tv_sec == 0 && slice.tv_nsec == 20'000'000));
  priority = {};
  CHECK(sched_setscheduler(0, SCHED_OTHER, &priority) == 0);
  CHECK(set("rr_timeslice_ms", "0") == 0 && get("rr_timeslice_ms") == usual);
  const std::string period = get("rt_period_us"), runtime = get("rt_runtime_us");
  CHECK(set("rt_period_us", "0") == EINVAL && set("rt_period_us", "-1") == EINVAL);
  CHECK(set("rt_runtime_us", "-2") == EINVAL);
  CHECK(set("rt_runtime_us", std::to_string(atol(period.c_str()) + 1).c_str()) == EINVAL);
  CHECK(set("rt_period_us", std::to_string(atol(runtime.c_str()) - 1).c_str()) == EINVAL);
  CHECK(get("rt_period_us") == period && get("rt_runtime_us") == runtime);
  CHECK(set("rt_runtime_us", runtime.c_str()) == 0);
}

void what_is_written_is_read_through_the_same_descriptor() {
  const int file = open("/proc/sys/vm/swappiness", O_RDWR | O_TRUNC);
  char text[8] = {};
  CHECK(file >= 0 && write(file, "40", 2) == 2 && lseek(file, 0, SEEK_CUR) == 2);
  CHECK(pread(file, text, sizeof text, 0) == 3 && strcmp(text, "40\n") == 0);
  CHECK(pwrite(file, "50", 2, 1) == 2);  // does not begin at the beginning
  CHECK(pread(file, text, sizeof text, 0) == 3 && strcmp(text, "40\n") == 0);
  CHECK(lseek(file, 0, SEEK_SET) == 0 && write(file, "60\n", 3) == 3 && close(file) == 0);
  CHECK(read_all("/proc/sys/vm/swappiness") == "60\n");
}

void directories_list_each_name_once() {
  std::vector<std::string> names;
  DIR* const directory = opendir("/proc/sys/vm");
  CHECK(directory != nullptr);
  while (const dirent* entry = readdir(directory)) names.push_back(entry->d_name);
  CHECK(closedir(directory) == 0);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK(std::binary_search(names.begin(), names.end(), "swappiness"));
  struct stat status;
  CHECK(stat("/proc/sys/vm/swappiness", &status) == 0 && status.st_mode == (S_IFREG | 0644));
  CHECK(stat("/proc/sys/kernel/ostype", &status) == 0 && status.st_mode == (S_IFREG | 0444));
  CHECK(stat("/proc/sys/vm", &status) == 0 && status.st_mode == (S_IFDIR | 0555));
  CHECK_ERRNO(open("/proc/sys/kernel/ostype", O_WRONLY), EACCES);
  CHECK_ERRNO(open("/proc/sys/vm/none", O_RDONLY), ENOENT);
  CHECK_ERRNO(open("/proc/sys/vm/swappiness/x", O_RDONLY), ENOTDIR);
  CHECK_ERRNO(open("/proc/sys/swappiness", O_RDONLY), ENOENT);
  char path[64];
  CHECK(chdir("/proc/sys/vm") == 0 && strcmp(getcwd(path, sizeof path), "/proc/sys/vm") == 0);
  CHECK(read_all("../kernel/ostype") == "Linux\n");
}

void sys_has_what_allocators_read() {
  CHECK(read_all("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") == "2097152\n");
  const std::string enabled = read_all("/sys/kernel/mm/transparent_hugepage/enabled");
  CHECK(enabled.find('[') != std::string::npos && enabled.find("madvise") != std::string::npos);
  CHECK(read_all("/sys/devices/system/cpu/online")[0] == '0');
}

// Who finds it may ask for MADV_MERGEABLE, and where nobody looks for equal pages none are shared.
void sys_has_ksm() {
  CHECK(read_all("/sys/kernel/mm/ksm/run") == "0\n");
  CHECK(read_all("/sys/kernel/mm/ksm/pages_shared") == "0\n");
  CHECK(atol(read_all("/sys/kernel/mm/ksm/pages_to_scan").c_str()) > 0);
  CHECK(write_all("/sys/kernel/mm/ksm/run", "7") == EINVAL && write_all("/sys/kernel/mm/ksm/run", "0") == 0);
}

long kib_of(const char* name) {
  const std::string text = read_all("/proc/meminfo");
  const size_t at = text.find(std::string(name) + ":");
  CHECK(at != std::string::npos);
  return atol(text.c_str() + at + strlen(name) + 1);
}
bool maps(size_t kib) {
  void* at = mmap(nullptr, kib << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) CHECK(errno == ENOMEM);
  return at != MAP_FAILED && munmap(at, kib << 10) == 0;
}

void overcommit_has_three_modes() {
  const size_t all = size_t(kib_of("MemTotal") + kib_of("SwapTotal"));
  CHECK(write_all(kMode, "0") == 0);
  CHECK(maps(all / 4) && !maps(all * 2));
  CHECK(write_all(kMode, "1") == 0);
  CHECK(maps(all / 2) && maps(all) && maps(all * 2));
  CHECK(write_all("/proc/sys/vm/overcommit_ratio", "50") == 0 && write_all(kMode, "2") == 0);
  const long left = kib_of("CommitLimit") - kib_of("Committed_AS");
  if (left > 0) CHECK(maps(size_t(left) / 2));
  CHECK(!maps(size_t(kib_of("CommitLimit"))) && !maps(all * 2));
  CHECK(write_all(kMode, "0") == 0);
}

// 0, or errno.
int fork_fails() {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) _exit(0);
  CHECK(waitpid(child, nullptr, 0) == child);
  return 0;
}

// What fork copies is asked for again, mapping by mapping.
void overcommit_holds_for_fork() {
  CHECK(write_all(kMode, "0") == 0);
  const size_t part = size_t(kib_of("MemTotal") + kib_of("SwapTotal")) / 4 * 3 / 4 * 4096;
  auto* const at = static_cast<char*>(
      mmap(nullptr, 3 * part, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  CHECK(at != MAP_FAILED);
  const auto map = [&](size_t index, int more) {
    CHECK(mmap(at + index * part, part, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | more, -1, 0) == at + index * part);
  };
  map(0, 0);
  map(2, 0);
  CHECK(fork_fails() == 0);
  map(1, MAP_NORESERVE);
  CHECK(fork_fails() == 0);
  map(1, 0);
  CHECK(fork_fails() == ENOMEM);
  CHECK(write_all(kMode, "1") == 0 && fork_fails() == 0);
  CHECK(write_all(kMode, "2") == 0 && fork_fails() == ENOMEM);
  CHECK(write_all(kMode, "0") == 0 && munmap(at, 3 * part) == 0 && fork_fails() == 0);
}

void max_map_count_holds() {
  const std::string before = read_all(kMaps);
  CHECK(write_all(kMaps, "200") == 0);
  int made = 0;
  for (;; ++made) {
    void* at = mmap(nullptr, 4096, made % 2 == 0 ? PROT_READ : PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) break;
  }
  CHECK(errno == ENOMEM && write_all(kMaps, before.c_str()) == 0);
  const std::string text = read_all("/proc/self/maps");
  CHECK(made > 100 && made < 201);
}

void max_map_count_can_be_more() {
  const std::string before = read_all(kMaps);
  CHECK(write_all(kMaps, "65536") == 0);
  CHECK(status_of_child([] {
          for (int made = 0;; ++made) {
            if (mmap(nullptr, 4096, made % 2 == 0 ? PROT_READ : PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0) == MAP_FAILED) {
              break;
            }
          }
          CHECK(errno == ENOMEM);
          const int file = open("/proc/self/maps", O_RDONLY);
          static char text[1 << 16];
          size_t lines = 0;
          for (ssize_t bytes = 0; (bytes = read(file, text, sizeof text)) > 0;) {
            lines += size_t(std::count(text, text + bytes, '\n'));
          }
          CHECK(lines == 65537);
        }) == 0);
  CHECK(write_all(kMaps, before.c_str()) == 0);
}

}  // namespace

int main() {
  check("numbers are kept within bounds", numbers_are_kept_within_bounds);
  check("what is written is read", what_is_written_is_read_through_the_same_descriptor);
  check("real time has its bounds", real_time_has_its_bounds);
  check("directories list each name once", directories_list_each_name_once);
  check("sys has what allocators read", sys_has_what_allocators_read);
  check("sys has what says of equal pages", sys_has_ksm);
  check("overcommit has three modes", overcommit_has_three_modes);
  check("overcommit holds for fork", overcommit_holds_for_fork);
  check("max_map_count holds", max_map_count_holds);
  check("max_map_count can be more", max_map_count_can_be_more);
  return finish();
}
