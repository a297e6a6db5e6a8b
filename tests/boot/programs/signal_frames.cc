// Signals of faults: what a handler sees, on which stack it runs, and what comes back from it.
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/boot/programs/signal_checks.h"

namespace {

sigjmp_buf g_escape;
void* volatile g_address;

void escape(int signal, siginfo_t* info, void*) {
  g_signal = signal;
  g_code = info->si_code;
  g_address = info->si_addr;
  siglongjmp(g_escape, 1);
}

template <class Body>
void expect_fault(int signal, int code, void* address, Body body) {
  install(signal, escape, 0);
  g_signal = 0;
  if (sigsetjmp(g_escape, 1) == 0) body();
  CHECK(g_signal == signal);
  CHECK(g_code == code);
  CHECK(g_address == address);
  reset(signal);
}

void faults() {
  check("segv_maperr", [] {
    auto* address = reinterpret_cast<volatile char*>(0x1234'5000);
    expect_fault(SIGSEGV, SEGV_MAPERR, (void*)address, [&] { *address = 1; });
  });
  check("segv_accerr", [] {
    auto* page =
        static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    expect_fault(SIGSEGV, SEGV_ACCERR, (void*)(page + 17), [&] { page[17] = 1; });
    munmap((void*)page, 4096);
  });
  check("segv_exec_data", [] {
    auto* page =
        static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    page[0] = static_cast<char>(0xc3);
    expect_fault(SIGSEGV, SEGV_ACCERR, page, [&] { reinterpret_cast<void (*)()>(page)(); });
    munmap(page, 4096);
  });
  check("segv_noncanonical", [] {
    auto* address = reinterpret_cast<volatile char*>(0x8000'0000'0000'0000);
    expect_fault(SIGSEGV, SI_KERNEL, nullptr, [&] { *address = 1; });
  });
  check("bus_past_end", [] {
    char name[] = "/tmp/signals-XXXXXX";
    const int file = mkstemp(name);
    CHECK(file >= 0);
    unlink(name);
    CHECK(ftruncate(file, 4096) == 0);
    auto* pages =
        static_cast<volatile char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    CHECK(pages != MAP_FAILED);
    pages[0] = 1;
    expect_fault(SIGBUS, BUS_ADRERR, (void*)(pages + 4096), [&] { pages[4096] = 1; });
    munmap((void*)pages, 8192);
    close(file);
  });
  check("fpe_divide", [] {
    install(SIGFPE, escape, 0);
    g_signal = 0;
    if (sigsetjmp(g_escape, 1) == 0) {
      asm volatile("xor %%edx, %%edx; mov $7, %%eax; xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx");
    }
    CHECK(g_signal == SIGFPE && g_code == FPE_INTDIV && g_address != nullptr);
    reset(SIGFPE);
  });
  check("ill_opcode", [] {
    install(SIGILL, escape, 0);
    g_signal = 0;
    if (sigsetjmp(g_escape, 1) == 0) asm volatile("ud2");
    CHECK(g_signal == SIGILL && g_code == ILL_ILLOPN && g_address != nullptr);
    reset(SIGILL);
  });
  check("trap_breakpoint", [] {
    install(SIGTRAP, count, 0);
    g_count = 0;
    asm volatile("int3");
    CHECK(g_count == 1 && g_signal == SIGTRAP && g_code == SI_KERNEL);
    reset(SIGTRAP);
  });
}

// The handler repairs the cause and returns: the instruction runs again.
char* g_barrier_page;
void open_page(int, siginfo_t* info, void* context) {
  CHECK(info->si_addr == g_barrier_page + 100);
  const auto* machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
  CHECK(machine->gregs[REG_TRAPNO] == 14);
  CHECK((machine->gregs[REG_ERR] & 2) != 0);
  CHECK(machine->gregs[REG_CR2] == reinterpret_cast<greg_t>(g_barrier_page + 100));
  CHECK(mprotect(g_barrier_page, 4096, PROT_READ | PROT_WRITE) == 0);
  g_count = g_count + 1;
}

// Changes registers through the context.
void skip_ud2(int, siginfo_t*, void* context) {
  auto* machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
  machine->gregs[REG_RIP] += 2;
  machine->gregs[REG_RBX] = 0x1122334455667788;
}

// Handlers that return to an address which nobody can have, and from there.
greg_t g_nowhere, g_somewhere;
bool g_blocks;
void go_nowhere(int, siginfo_t*, void* context) {
  auto* const user = static_cast<ucontext_t*>(context);
  g_somewhere = user->uc_mcontext.gregs[REG_RIP];
  user->uc_mcontext.gregs[REG_RIP] = g_nowhere;
  if (g_blocks) sigaddset(&user->uc_sigmask, SIGSEGV);
}
void come_back(int, siginfo_t* info, void* context) {
  auto* const machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
  CHECK(machine->gregs[REG_RIP] == g_nowhere && info->si_code == SI_KERNEL && info->si_addr == nullptr);
  machine->gregs[REG_RIP] = g_somewhere;
  g_count = g_count + 1;
}

void returning() {
  check("to_nowhere", [] {
    install(SIGUSR1, go_nowhere, 0);
    install(SIGSEGV, come_back, 0);
    g_count = 0;
    for (int bit = 47; bit < 64; ++bit) {
      const uint64_t address = uint64_t{1} << bit;
      g_nowhere = static_cast<greg_t>(address);
      CHECK(raise(SIGUSR1) == 0);
    }
    CHECK(g_count == 64 - 47);
    CHECK(WTERMSIG(status_of_child([] {
            g_blocks = true;
            raise(SIGUSR1);
          })) == SIGSEGV);
    reset(SIGSEGV);
    CHECK(WTERMSIG(status_of_child([] { raise(SIGUSR1); })) == SIGSEGV);
    reset(SIGUSR1);
  });
  check("write_barrier", [] {
    g_barrier_page = static_cast<char*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    install(SIGSEGV, open_page, 0);
    g_count = 0;
    static_cast<volatile char*>(g_barrier_page)[100] = 7;
    CHECK(g_count == 1 && g_barrier_page[100] == 7);
    munmap(g_barrier_page, 4096);
    reset(SIGSEGV);
  });
  check("context_changes", [] {
    install(SIGILL, skip_ud2, 0);
    uint64_t rbx = 0;
    asm volatile("ud2; mov %%rbx, %0" : "=r"(rbx)::"rbx");
    CHECK(rbx == 0x1122334455667788);
    reset(SIGILL);
  });
  check("registers_preserved", [] {
    install(SIGTRAP, count, 0);
    uint64_t a = 1, b = 2, c = 3, d = 4;
    uint64_t flags_before, flags_after;
    asm volatile(
        "mov $11, %%r8; mov $12, %%r9; mov $13, %%r10; mov $14, %%r11; stc; pushf; pop %4; int3; pushf; pop "
        "%5;"
        "mov %%r8, %0; mov %%r9, %1; mov %%r10, %2; mov %%r11, %3"
        : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(flags_before), "=&r"(flags_after)::"r8", "r9", "r10",
          "r11", "cc", "memory");
    CHECK(a == 11 && b == 12 && c == 13 && d == 14);
    CHECK((flags_before & 0xcd5) == (flags_after & 0xcd5));
    reset(SIGTRAP);
  });
}

char g_alternate[64 << 10];
volatile bool g_on_alternate;
void note_stack(int, siginfo_t*, void*) {
  char here;
  stack_t now;
  CHECK(sigaltstack(nullptr, &now) == 0);
  CHECK((now.ss_flags & SS_ONSTACK) != 0);
  g_on_alternate = &here >= g_alternate && &here < g_alternate + sizeof(g_alternate);
  siglongjmp(g_escape, 1);
}

int recurse(int depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return depth == 0 ? room[0] : recurse(depth + 1) + room[0];
}

void stacks() {
  check("stack_overflow_on_alternate_stack", [] {
    stack_t stack = {};
    stack.ss_sp = g_alternate;
    stack.ss_size = sizeof(g_alternate);
    CHECK(sigaltstack(&stack, nullptr) == 0);
    install(SIGSEGV, note_stack, SA_ONSTACK);
    g_on_alternate = false;
    if (sigsetjmp(g_escape, 1) == 0) CHECK(recurse(1) != 12345);
    CHECK(g_on_alternate);
    reset(SIGSEGV);
    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, nullptr) == 0);
  });
  check("small_alternate_stack_refused", [] {
    stack_t stack = {};
    stack.ss_sp = g_alternate;
    stack.ss_size = 1024;
    CHECK(sigaltstack(&stack, nullptr) == -1 && errno == ENOMEM);
  });
  check("frame_cannot_be_written", [] {
    const int status = status_of_child([] {
      install(SIGUSR1, count, 0);
      asm volatile(
          "mov %0, %%rsp; mov %1, %%edi; mov $10, %%esi; mov $62, %%eax; syscall; ud2" ::"r"(0x10'0000ul),
          "r"(getpid())
          : "memory");
    });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  });
}

}  // namespace

int main() {
  faults();
  returning();
  stacks();
  return finish();
}
