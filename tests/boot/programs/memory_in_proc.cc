// /proc/PID/mem, pagemap, clear_refs, smaps_rollup and the sums in status and statm. The same on Linux.
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "tests/boot/programs/smaps_checks.h"

namespace {

uint64_t entry(int file, const char* at) {
  uint64_t value = 0;
  CHECK(pread(file, &value, sizeof value, off_t(uintptr_t(at) / kPage * sizeof value)) == sizeof value);
  return value;
}
bool present(uint64_t entry) { return (entry >> 63 & 1) != 0; }

void pagemap_says_what_is_there() {
  const int file = open("/proc/self/pagemap", O_RDONLY);
  CHECK(file >= 0);
  char* at = map(70);
  CHECK(madvise(at, 70 * kPage, MADV_NOHUGEPAGE) == 0);
  at[0] = 1;
  at[66 * kPage] = 1;
  CHECK(present(entry(file, at)) && !present(entry(file, at + kPage)) &&
        present(entry(file, at + 66 * kPage)));
  CHECK((entry(file, at) >> 61 & 1) == 0);
  uint64_t all[70];
  CHECK(pread(file, all, sizeof all, off_t(uintptr_t(at) / kPage * 8)) == ssize_t(sizeof all));
  for (size_t i = 0; i < 70; ++i) CHECK(present(all[i]) == (i == 0 || i == 66));
  CHECK(madvise(at, kPage, MADV_DONTNEED) == 0 && !present(entry(file, at)));
  unmap(at, 70);
  CHECK(entry(file, at) == 0);
  char byte[12];
  CHECK_ERRNO(pread(file, byte, 8, 4), EINVAL);
  CHECK_ERRNO(pread(file, byte, 12, 0), EINVAL);
  CHECK(pread(file, byte, 8, off_t(1) << 60) == 0);
  char* shared = map(2, PROT_READ | PROT_WRITE, MAP_SHARED);
  shared[0] = 1;
  CHECK(present(entry(file, shared)) && (entry(file, shared) >> 61 & 1) == 1 &&
        !present(entry(file, shared + kPage)));
  char* populated = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
  CHECK(present(entry(file, populated)) && present(entry(file, populated + 2 * kPage)));
  CHECK(close(file) == 0);
}

void mem_reads_and_writes() {
  const int file = open("/proc/self/mem", O_RDWR);
  CHECK(file >= 0);
  char* at = map(4);
  memset(at, 'm', 4 * kPage);
  char text[8] = {};
  CHECK(pread(file, text, 3, off_t(at) + 5) == 3 && strcmp(text, "mmm") == 0);
  CHECK(lseek(file, off_t(at) + 7, SEEK_SET) == off_t(at) + 7 && write(file, "abc", 3) == 3);
  CHECK(lseek(file, 0, SEEK_CUR) == off_t(at) + 10 && memcmp(at + 7, "abc", 3) == 0);
  // Whatever the rights are.
  CHECK(mprotect(at, kPage, PROT_READ) == 0 && pwrite(file, "forced", 6, off_t(at)) == 6);
  CHECK(memcmp(at, "forced", 6) == 0 && fault_of_write(at).signal == SIGSEGV);
  CHECK(mprotect(at + kPage, kPage, PROT_NONE) == 0 && pread(file, text, 1, off_t(at + kPage)) == 1);
  CHECK(text[0] == 'm' && !readable(at + kPage));
  unmap(at + 2 * kPage, 1);
  CHECK_ERRNO(pread(file, text, 1, off_t(at + 2 * kPage)), EIO);
  CHECK_ERRNO(pwrite(file, text, 1, off_t(at + 2 * kPage)), EIO);
  static char two[2 * kPage];
  CHECK(pread(file, two, 2 * kPage, off_t(at + kPage)) == ssize_t(kPage));
  CHECK_ERRNO(pread(file, text, 1, 0), EIO);
  CHECK(close(file) == 0);
  // Private pages of a file, not the file.
  const int behind = new_file(1);
  char* shown = map_file(behind, 1, PROT_READ, MAP_PRIVATE);
  const int again = open("/proc/self/mem", O_RDWR);
  CHECK(pwrite(again, "X", 1, off_t(shown)) == 1 && shown[0] == 'X');
  CHECK(pread(behind, text, 1, 0) == 1 && text[0] == 'a');
  unmap(shown, 1);
  end_file(behind);
  CHECK(close(again) == 0);
}

void mem_of_a_child() {
  char* at = map(1);
  strcpy(at, "parent");
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    strcpy(at, "child");
    pause();
  }
  await_state(child, 'S');
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/mem", int(child));
  const int file = open(path, O_RDONLY);
  char text[8] = {};
  CHECK(file >= 0 && pread(file, text, 6, off_t(at)) == 6 && strcmp(text, "child") == 0);
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  CHECK(pread(file, text, 6, off_t(at)) == 0);
  CHECK(close(file) == 0);
}

void clear_refs_takes_five_words() {
  const int file = open("/proc/self/clear_refs", O_WRONLY);
  CHECK(file >= 0);
  for (const char* good : {"1", "2\n", "3", "4", "5"})
    CHECK(write(file, good, strlen(good)) == ssize_t(strlen(good)));
  for (const char* bad : {"0", "6", "x", "-1"}) CHECK_ERRNO(write(file, bad, strlen(bad)), EINVAL);
  CHECK(close(file) == 0);
}

long line_of(const char* path, const char* name) {
  FILE* file = fopen(path, "r");
  CHECK(file != nullptr);
  char line[512];
  long value = -1;
  const size_t bytes = strlen(name);
  while (fgets(line, sizeof line, file) != nullptr) {
    if (strncmp(line, name, bytes) == 0 && line[bytes] == ':') value = atol(line + bytes + 1);
  }
  CHECK(fclose(file) == 0);
  return value;
}
long status(const char* name) { return line_of("/proc/self/status", name); }

void sums_follow_what_is_touched() {
  for (const char* name : {"VmPeak", "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "RssAnon", "RssFile",
                           "RssShmem", "VmData", "VmStk", "VmExe", "VmLib", "VmPTE", "VmSwap"}) {
    CHECK(status(name) >= 0);
  }
  const long size = status("VmSize");
  const long resident = status("VmRSS");
  const long data = status("VmData");
  constexpr size_t kMany = 1024;
  char* at = map(kMany);
  CHECK(status("VmSize") - size == 4096 && status("VmData") - data == 4096);
  CHECK(status("VmRSS") - resident < 1024);
  memset(at, 1, kMany * kPage);
  const long grown = status("VmRSS") - resident;
  CHECK(grown >= 4096 && grown < 5000 && status("VmHWM") >= status("VmRSS") - 512);
  CHECK(line_of("/proc/self/smaps_rollup", "Rss") >= 4096 &&
        line_of("/proc/self/smaps_rollup", "Locked") == 0);
  CHECK(line_of("/proc/self/smaps_rollup", "Swap") == 0);
  unsigned long pages = 0;
  unsigned long there = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file != nullptr && fscanf(file, "%lu %lu", &pages, &there) == 2 && fclose(file) == 0);
  CHECK(long(pages) * 4 >= size + 4096 && there >= kMany && there <= pages);
  unmap(at, kMany);
  CHECK(status("VmSize") == size && status("VmRSS") - resident < 1024);
}

void smaps_has_its_lines() {
  char* at = apart(4);
  memset(at, 1, 2 * kPage);
  CHECK(mlock(at + kPage, kPage) == 0);
  CHECK(mapping_of(at).rss_kib == 4 && mapping_of(at + kPage).rss_kib == 4);
  for (const char* name : {"Size", "KernelPageSize", "MMUPageSize", "Rss", "Pss", "Shared_Clean",
                           "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced", "Anonymous",
                           "LazyFree", "AnonHugePages", "Swap", "SwapPss", "Locked"}) {
    CHECK(line_of("/proc/self/smaps", name) >= 0);
  }
  unmap_apart(at, 4);
}

// uapi/linux/fs.h of 6.11.
struct MapQuery {
  uint64_t bytes, flags, address, start, end, rights, page_bytes, offset, inode;
  uint32_t major, minor, name_bytes, build_id_bytes;
  uint64_t name, build_id;
};
constexpr unsigned long kMapQuery = _IOWR('f', 17, MapQuery);
constexpr uint64_t kR = 1, kW = 2, kX = 4, kS = 8, kOrNext = 16, kOfFile = 32;

MapQuery query(const void* at, uint64_t flags = 0) {
  MapQuery asked{};
  asked.bytes = sizeof asked;
  asked.flags = flags;
  asked.address = uintptr_t(at);
  return asked;
}

void maps_is_asked_for_one() {
  const int maps = open("/proc/self/maps", O_RDONLY);
  char* at = apart(3);
  CHECK(maps >= 0 && mprotect(at + kPage, kPage, PROT_READ) == 0 && munmap(at - kPage, kPage) == 0);
  MapQuery q = query(at + 100);
  CHECK(ioctl(maps, kMapQuery, &q) == 0);
  CHECK(q.start == uintptr_t(at) && q.end == q.start + kPage && q.rights == (kR | kW));
  CHECK(q.page_bytes == kPage && q.offset == 0 && q.inode == 0 && q.major == 0 && q.minor == 0);
  q = query(at, kR);
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.start == uintptr_t(at));
  q = query(at + kPage, kW);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), ENOENT);
  q = query(at + kPage, kW | kOrNext);
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.start == uintptr_t(at + 2 * kPage));
  q = query(at - 1);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), ENOENT);
  q = query(at - 1, kOrNext);
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.start == uintptr_t(at));
  q = query(at, kOfFile);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), ENOENT);
  q = query(reinterpret_cast<void*>(~uint64_t{0} - kPage), kOrNext | kW);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), ENOENT);
  char name[256], own[256] = {};
  CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
  q = query(reinterpret_cast<const void*>(maps_is_asked_for_one));
  q.name = uintptr_t(name);
  q.name_bytes = sizeof name;
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.rights == (kR | kX) && q.inode != 0);
  CHECK(q.name_bytes == strlen(own) + 1 && strcmp(name, own) == 0);
  struct stat its;
  CHECK(stat(own, &its) == 0 && its.st_ino == q.inode);
  q = query(reinterpret_cast<const void*>(maps_is_asked_for_one));
  q.name = uintptr_t(name);
  q.name_bytes = uint32_t(strlen(own));
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), ENAMETOOLONG);
  char* shared = map(1, PROT_READ, MAP_SHARED);
  q = query(shared);
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.rights == (kR | kS));
  q = query(at);
  q.name = uintptr_t(name);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), EINVAL);
  q = query(at, 64);
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), EINVAL);
  q = query(at);
  q.bytes = 23;
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), EINVAL);
  q.bytes = 4097;
  CHECK_ERRNO(ioctl(maps, kMapQuery, &q), E2BIG);
  q.bytes = 40;
  CHECK(ioctl(maps, kMapQuery, &q) == 0 && q.end == uintptr_t(at + kPage) && q.rights == 0);
  CHECK_ERRNO(ioctl(maps, kMapQuery, uintptr_t{8}), EFAULT);
  CHECK_ERRNO(ioctl(maps, 0x5401, &q), ENOTTY);
  close(maps);
  unmap(shared, 1);
  unmap_apart(at, 3);
}

}  // namespace

int main() {
  start();
  check("pagemap says what is there", pagemap_says_what_is_there);
  check("mem reads and writes", mem_reads_and_writes);
  check("mem of a child", mem_of_a_child);
  check("clear_refs takes five words", clear_refs_takes_five_words);
  check("sums follow what is touched", sums_follow_what_is_touched);
  check("smaps has its lines", smaps_has_its_lines);
  check("maps is asked for one", maps_is_asked_for_one);
  return finish();
}
