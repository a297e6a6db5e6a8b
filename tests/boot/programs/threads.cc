// Threads as a C library makes them: memory, descriptors and numbers in common, thread-local storage, and
// what /proc says of them.
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr int kFew = 8, kMany = 200;

void one_process() {
  static pid_t pid, other, parent;
  auto body = [] {
    pid = getpid();
    other = tid();
    parent = getppid();
  };
  join(start(body));
  CHECK(pid == getpid() && other != pid && tid() == pid && parent == getppid());
}

void results() {
  pthread_t threads[kFew];
  for (intptr_t i = 0; i < kFew; ++i) {
    CHECK(pthread_create(
              &threads[i], nullptr,
              [](void* argument) -> void* {
                return reinterpret_cast<void*>(reinterpret_cast<intptr_t>(argument) * 7);
              },
              reinterpret_cast<void*>(i)) == 0);
  }
  for (intptr_t i = 0; i < kFew; ++i) {
    void* result = nullptr;
    CHECK(pthread_join(threads[i], &result) == 0);
    CHECK(reinterpret_cast<intptr_t>(result) == i * 7);
  }
}

thread_local int t_value = 5;
pthread_key_t g_key;
volatile int g_destroyed;

void local_storage() {
  static uintptr_t address;
  CHECK(pthread_key_create(&g_key,
                           [](void* value) { g_destroyed = g_destroyed + *static_cast<int*>(value); }) == 0);
  auto body = [] {
    CHECK(t_value == 5);
    t_value = 9;
    address = reinterpret_cast<uintptr_t>(&t_value);
    static int value = 3;
    CHECK(pthread_getspecific(g_key) == nullptr);
    CHECK(pthread_setspecific(g_key, &value) == 0);
  };
  join(start(body));
  join(start(body));
  CHECK(t_value == 5 && address != reinterpret_cast<uintptr_t>(&t_value) && g_destroyed == 6);
  // errno is one's own.
  errno = 77;
  auto fails = [] { CHECK(close(-1) == -1 && errno == EBADF); };
  join(start(fails));
  CHECK(errno == 77);
}

void preemption() {
  static volatile bool go = false, saw = false;
  auto body = [] {
    while (!go) {
    }
    saw = true;
  };
  const pthread_t thread = start(body);
  sched_yield();
  go = true;
  while (!saw) {
  }
  join(thread);
}

void descriptors_in_common() {
  static int file;
  auto opens = [] { file = open("/dev/null", O_RDWR); };
  join(start(opens));
  CHECK(file >= 0 && write(file, "x", 1) == 1);
  auto closes = [] { CHECK(close(file) == 0); };
  join(start(closes));
  CHECK_ERRNO(write(file, "x", 1), EBADF);
  auto moves = [] { CHECK(chdir("/tmp") == 0 && umask(027) == 022); };
  CHECK(chdir("/") == 0);
  umask(022);
  join(start(moves));
  char here[64];
  CHECK(getcwd(here, sizeof(here)) != nullptr && strcmp(here, "/tmp") == 0 && umask(022) == 027);
}

// What a thread maps the others see, and what it unmaps is gone for all.
void memory_in_common() {
  static volatile char* page;
  auto maps = [] {
    page =
        static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    page[5] = 55;
  };
  join(start(maps));
  CHECK(page[5] == 55);
  auto unmaps = [] { CHECK(munmap(const_cast<char*>(page), 4096) == 0); };
  join(start(unmaps));
  unsigned char resident;
  CHECK_ERRNO(mincore(const_cast<char*>(page), 4096, &resident), ENOMEM);
}

int tasks_of(const char* path) {
  DIR* const folder = opendir(path);
  CHECK(folder != nullptr);
  int count = 0;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count;
}
int threads_in_status() {
  FILE* const file = fopen("/proc/self/status", "r");
  CHECK(file != nullptr);
  char line[256];
  int threads = -1;
  while (fgets(line, sizeof(line), file) != nullptr) sscanf(line, "Threads: %d", &threads);
  fclose(file);
  return threads;
}

void what_proc_says() {
  static sem_t go, there;
  static pid_t numbers[3];
  static int next = 0;
  CHECK(sem_init(&go, 0, 0) == 0 && sem_init(&there, 0, 0) == 0);
  auto body = [] {
    CHECK(prctl(PR_SET_NAME, "worker") == 0);
    numbers[__atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST)] = tid();
    sem_post(&there);
    while (sem_wait(&go) != 0) {
    }
  };
  CHECK(tasks_of("/proc/self/task") == 1 && threads_in_status() == 1);
  pthread_t threads[3];
  for (pthread_t& thread : threads) thread = start(body);
  for (int i = 0; i < 3; ++i) sem_wait(&there);
  CHECK(tasks_of("/proc/self/task") == 4 && threads_in_status() == 4);
  for (const pid_t number : numbers) {
    char path[64], name[32] = {};
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", number);
    FILE* file = fopen(path, "r");
    CHECK(file != nullptr && fgets(name, sizeof(name), file) != nullptr && strcmp(name, "worker\n") == 0);
    fclose(file);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), number);
    int told = 0, count = 0;
    file = fopen(path, "r");
    CHECK(file != nullptr &&
          fscanf(file, "%d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &told,
                 &count) == 2);
    fclose(file);
    CHECK(told == number && count == 4);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", getpid(), number);
    int group = 0, own = 0;
    char line[128];
    file = fopen(path, "r");
    CHECK(file != nullptr);
    while (fgets(line, sizeof(line), file) != nullptr) {
      sscanf(line, "Tgid: %d", &group);
      sscanf(line, "Pid: %d", &own);
    }
    fclose(file);
    CHECK(group == getpid() && own == number);
  }
  for (int i = 0; i < 3; ++i) sem_post(&go);
  for (pthread_t thread : threads) join(thread);
  CHECK(access("/proc/self/task/4194303", F_OK) == -1 && errno == ENOENT);
}

void processor_time() {
  static timespec own;
  auto body = [] {
    do {
      CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own) == 0);
    } while (own.tv_nsec < 5'000'000 && own.tv_sec == 0);
    rusage usage;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
  };
  join(start(body));
  timespec all;
  CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all) == 0);
  CHECK(all.tv_sec > own.tv_sec || (all.tv_sec == own.tv_sec && all.tv_nsec >= own.tv_nsec));
  clockid_t clock;
  CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0 && clock_gettime(clock, &all) == 0);
}

void scheduling_is_told() {
  sched_param param = {};
  int policy = -1;
  CHECK(pthread_getschedparam(pthread_self(), &policy, &param) == 0 && policy == SCHED_OTHER &&
        param.sched_priority == 0);
  CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
  CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
  param.sched_priority = 1;
  CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
  CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, nullptr), EINVAL);
  CHECK_ERRNO(sched_getparam(0, nullptr), EINVAL);
  CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
  CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
  CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
  unsigned cpu = 99, node = 99;
  CHECK(syscall(SYS_getcpu, &cpu, &node, nullptr) == 0 && CPU_ISSET(cpu, &set));
  CHECK_ERRNO(syscall(SYS_getcpu, 8, nullptr, nullptr), EFAULT);
}

void many_at_once() {
  static pthread_barrier_t barrier;
  static int count;
  CHECK(pthread_barrier_init(&barrier, nullptr, kMany + 1) == 0);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
  static pthread_t threads[kMany];
  for (pthread_t& thread : threads) {
    CHECK(pthread_create(
              &thread, &attributes,
              [](void*) -> void* {
                __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
                pthread_barrier_wait(&barrier);
                return nullptr;
              },
              nullptr) == 0);
  }
  pthread_barrier_wait(&barrier);
  for (pthread_t thread : threads) join(thread);
  CHECK(count == kMany);
}

}  // namespace

int main() {
  check("threads are one process", one_process);
  check("results come back", results);
  check("each has storage of its own", local_storage);
  check("nobody keeps the processor", preemption);
  check("descriptors and directories in common", descriptors_in_common);
  check("memory in common", memory_in_common);
  check("/proc/self/task", what_proc_says);
  check("processor time", processor_time);
  check("scheduling", scheduling_is_told);
  check("200 at once", many_at_once);
  return finish();
}
