// ptrace(2), /proc/PID/mem: a tracee's memory, whatever its rights, and breakpoints there. Prints the same on
// Linux.
#include <fcntl.h>
#include <sys/mman.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

using Registers = struct user_regs_struct;

// On a page of its own of the program's text.
[[gnu::noinline, gnu::aligned(4096)]] int answer() {
  int value = 41;
  asm volatile("" : "+r"(value));
  return value + 1;
}

alignas(8) long g_word = 0x1122334455667788;

long peek(pid_t pid, const void* address) {
  long word = 0;
  CHECK(trace(PTRACE_PEEKDATA, pid, reinterpret_cast<uintptr_t>(address), &word) == 0);
  return word;
}
long poke(pid_t pid, const void* address, long word) {
  return trace(PTRACE_POKEDATA, pid, reinterpret_cast<uintptr_t>(address), static_cast<uintptr_t>(word));
}

void memory() {
  const int file = memfd_create("pages", 0);
  CHECK(file >= 0 && ftruncate(file, 3 * 4096) == 0 && pwrite(file, "file", 4, 0) == 4);
  auto* const at = static_cast<char*>(mmap(nullptr, 8 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto map = [&](int page, int rights, int flags, int descriptor) {
    CHECK(mmap(at + page * 4096, 4096, rights, flags | MAP_FIXED, descriptor, 0) == at + page * 4096);
  };
  map(1, PROT_READ, MAP_PRIVATE, file);
  map(2, PROT_READ, MAP_SHARED, file);
  map(3, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  CHECK(munmap(at + 5 * 4096, 4096) == 0);
  const pid_t child = traced([&] {
    raise(SIGUSR1);
    printf("the child sees %lx, %.4s, %.4s, answer %d\n", g_word, at + 4096, at + 2 * 4096, answer());
  });
  printf("a word: %lx\n", peek(child, &g_word));
  printf("unaligned: %lx\n", peek(child, reinterpret_cast<char*>(&g_word) + 3) & 0xffffffffff);
  CHECK(poke(child, &g_word, 0x99) == 0);
  printf("the parent's: %lx\n", g_word);
  print_errno("without rights", poke(child, at, 0x1234));
  printf("then: %lx\n", peek(child, at));
  print_errno("a file's private page", poke(child, at + 4096, 0x64636261));
  print_errno("its shared page without the right", poke(child, at + 2 * 4096, 0x64636261));
  printf("reads: %lx\n", peek(child, at + 2 * 4096) & 0xffffffff);
  print_errno("where nothing is", poke(child, at + 5 * 4096, 1));
  long word = 0;
  print_errno("read there", trace(PTRACE_PEEKTEXT, child, reinterpret_cast<uintptr_t>(at + 5 * 4096), &word));
  print_errno("across its begin",
              trace(PTRACE_PEEKTEXT, child, reinterpret_cast<uintptr_t>(at + 5 * 4096 - 4), &word));
  print_errno("at 0", trace(PTRACE_PEEKTEXT, child, 0, &word));
  print_errno("at the end", trace(PTRACE_PEEKTEXT, child, ~0ul, &word));
  print_errno("written at the end", trace(PTRACE_POKETEXT, child, ~2ul, 5ul));
  print_errno("to a bad address", trace(PTRACE_PEEKTEXT, child, reinterpret_cast<uintptr_t>(&g_word), 1ul));
  // A breakpoint in the text, and the rights that the maps tell.
  const auto* const code = reinterpret_cast<const void*>(&answer);
  const long before = peek(child, code);
  CHECK(poke(child, code, (before & ~0xffl) | 0xcc) == 0);
  printf("the parent's own answer is %d\n", answer());
  char path[64];
  char line[256];
  snprintf(path, sizeof(path), "/proc/%d/maps", child);
  FILE* const maps = fopen(path, "r");
  CHECK(maps != nullptr);
  int written = 0;
  while (fgets(line, sizeof(line), maps) != nullptr) {
    unsigned long begin = 0, end = 0;
    char rights[8];
    CHECK(sscanf(line, "%lx-%lx %7s", &begin, &end, rights) == 3);
    written += strcmp(rights, "rwxp") == 0;
    const auto address = reinterpret_cast<unsigned long>(code);
    if (begin <= address && address < end) printf("the text: %s\n", rights);
  }
  fclose(maps);
  printf("written and executed: %d\n", written);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "its signal");
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the breakpoint");
  print_info("its information", child);
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  printf("behind it: %d\n", registers.rip == reinterpret_cast<unsigned long>(code) + 1);
  CHECK(poke(child, code, before) == 0);
  registers.rip -= 1;
  CHECK(trace(PTRACE_SETREGS, child, 0, &registers) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");
  char shown[5] = {};
  CHECK(pread(file, shown, 4, 0) == 4);
  printf("the file: %s\n", shown);
}

void through_proc() {
  const pid_t child = traced([] { printf("the child sees %lx\n", g_word); });
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/mem", child);
  const int file = open(path, O_RDWR);
  CHECK(file >= 0);
  long word = 0;
  CHECK(pread(file, &word, sizeof(word), reinterpret_cast<off_t>(&g_word)) == sizeof(word));
  printf("/proc/PID/mem: %lx\n", word);
  word = 0x55;
  CHECK(pwrite(file, &word, sizeof(word), reinterpret_cast<off_t>(&g_word)) == sizeof(word));
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");

  const pid_t waits = untraced([] { syscall(SYS_pause, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66); });
  auto print_call_of = [waits](const char* what) {
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/syscall", waits);
    FILE* const call = fopen(name, "r");
    CHECK(call != nullptr);
    char line[256] = {};
    int end = 0;
    unsigned long stack = 0, code = 0;
    CHECK(fgets(line, sizeof(line), call) != nullptr);
    fclose(call);
    CHECK(sscanf(line, "34 0x11 0x22 0x33 0x44 0x55 0x66%n 0x%lx 0x%lx", &end, &stack, &code) == 2);
    printf("/proc/PID/syscall, %s: %.*s\n", what, end, line);
  };
  await_state(waits, 'S');
  print_call_of("asleep");
  CHECK(trace(PTRACE_SEIZE, waits) == 0 && trace(PTRACE_INTERRUPT, waits) == 0);
  next_of(waits, "interrupted");
  print_call_of("stopped");
  end_of(waits);
}

}  // namespace

int main() {
  show_lines();
  memory();
  through_proc();
  return finish();
}
