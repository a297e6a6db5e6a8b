// ptrace(2): registers, FPU state, signals that are pending, masks and single steps of a tracee. Prints the
// same on Linux.
#include <elf.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

using Registers = struct user_regs_struct;

void user_area() {
  const pid_t child = traced([] {});
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  bool same = true;
  for (size_t at = 0; at < sizeof(registers); at += sizeof(long)) {
    unsigned long word = 0;
    unsigned long of_all = 0;
    CHECK(trace(PTRACE_PEEKUSER, child, at, &word) == 0);
    memcpy(&of_all, reinterpret_cast<const char*>(&registers) + at, sizeof(of_all));
    same = same && word == of_all;
  }
  printf("PEEKUSER is as GETREGS: %d\n", same);
  printf("cs is a program's: %d, ds %llx es %llx\n", (registers.cs & 3) == 3, registers.ds, registers.es);
  unsigned long word = 1;
  for (const unsigned long offset : {1ul, 7ul, sizeof(struct user), sizeof(struct user) + 8, ~0ul, ~7ul}) {
    print_errno("PEEKUSER", trace(PTRACE_PEEKUSER, child, offset, &word));
    print_errno("POKEUSER", trace(PTRACE_POKEUSER, child, offset, 0ul));
  }
  print_errno("between", trace(PTRACE_PEEKUSER, child, offsetof(struct user, u_tsize), &word));
  printf("it is %lu\n", word);
  print_errno("written", trace(PTRACE_POKEUSER, child, offsetof(struct user, u_tsize), 1ul));
  auto set = [&](const char* what, size_t offset, unsigned long value) {
    print_errno(what, trace(PTRACE_POKEUSER, child, offset, value));
    CHECK(trace(PTRACE_PEEKUSER, child, offset, &word) == 0);
  };
  set("cs 0", offsetof(struct user, regs.cs), 0);
  set("a kernel's cs", offsetof(struct user, regs.cs), 0x10);
  set("a base that is none", offsetof(struct user, regs.fs_base), 0x8000'0000'0000);
  set("all flags", offsetof(struct user, regs.eflags), ~0ul);
  printf("become %lx\n", word & ~0x202ul);
  set("no flags", offsetof(struct user, regs.eflags), 0);
  printf("become %lx\n", word);
  set("rbx", offsetof(struct user, regs.rbx), 0x77);
  printf("becomes %lx\n", word);
  for (int number = 0; number < 8; ++number) {
    const size_t offset = offsetof(struct user, u_debugreg) + static_cast<size_t>(number) * 8;
    CHECK(trace(PTRACE_PEEKUSER, child, offset, &word) == 0);
    printf("debug register %d: %lx\n", number, word);
  }
  const size_t first = offsetof(struct user, u_debugreg);
  set("a breakpoint's address", first, 1);
  set("another", first, 2);
  printf("becomes %lx\n", word);
  set("in the kernel", first, 0xffff'8000'0000'0000);
  set("in the kernel", first, ~0ul);
  set("the fourth", first + 4 * 8, 1);
  for (const long request : {PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_GETFPREGS, PTRACE_SETFPREGS}) {
    print_errno("registers at a bad address", trace(request, child, 0, 1ul));
  }
  for (const long request : {PTRACE_GETSIGINFO, PTRACE_SETSIGINFO}) {
    print_errno("information at a bad address", trace(request, child, 0, 1ul));
  }
  print_errno("an unknown request", trace(0x5555, child));
  print_errno("unknown options", trace(PTRACE_SETOPTIONS, child, 0, 1ul << 30));
  print_errno("interrupted without being seized", trace(PTRACE_INTERRUPT, child));
  print_errno("made to listen", trace(PTRACE_LISTEN, child));
  end_of(child);
}

void register_sets() {
  const pid_t child = traced([] {});
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  unsigned char bytes[4096];
  iovec vector = {bytes, sizeof(bytes)};
  CHECK(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector) == 0);
  printf("NT_PRSTATUS: %zu bytes, as GETREGS: %d\n", vector.iov_len,
         memcmp(bytes, &registers, sizeof(registers)) == 0);
  vector.iov_len = 16;
  CHECK(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector) == 0);
  printf("cut: %zu bytes\n", vector.iov_len);
  vector.iov_len = 9;
  print_errno("no whole registers", trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector));
  vector = {bytes, sizeof(bytes)};
  print_errno("an unknown set", trace(PTRACE_GETREGSET, child, 0x7777, &vector));
  vector.iov_base = reinterpret_cast<void*>(1);
  print_errno("to a bad address", trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector));
  print_errno("from a bad vector", trace(PTRACE_GETREGSET, child, NT_PRSTATUS, 1ul));
  struct user_fpregs_struct fpu;
  CHECK(trace(PTRACE_GETFPREGS, child, 0, &fpu) == 0);
  vector = {bytes, sizeof(bytes)};
  CHECK(trace(PTRACE_GETREGSET, child, NT_FPREGSET, &vector) == 0);
  printf("NT_FPREGSET: %zu bytes, as GETFPREGS: %d, control %x, %x\n", vector.iov_len,
         memcmp(bytes, &fpu, sizeof(fpu)) == 0, fpu.cwd, fpu.mxcsr);
  for (const size_t bytes_of_it : {size_t{0}, size_t{8}, sizeof fpu - 8}) {
    vector.iov_len = bytes_of_it;
    print_errno("set a part of the old form", trace(PTRACE_SETREGSET, child, NT_FPREGSET, &vector));
  }
  vector = {bytes, sizeof(bytes)};
  CHECK(trace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &vector) == 0);
  printf("NT_X86_XSTATE: begins as it: %d\n", memcmp(bytes, &fpu, 464) == 0);
  const size_t whole = vector.iov_len;
  CHECK(whole >= 576);
  print_errno("set as it is", trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
  vector.iov_len = 64;
  print_errno("set a part", trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
  vector.iov_len = whole;
  memset(bytes + 520, 0xff, 8);
  print_errno("set with reserved bits", trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
  memset(bytes + 520, 0, 8);
  memset(bytes + 512, 0xff, 8);
  print_errno("set with unknown state", trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vector));
  fpu.mxcsr = 0xffff0000;
  print_errno("set with a bad mxcsr", trace(PTRACE_SETFPREGS, child, 0, &fpu));
  end_of(child);
}

// What the tracer writes into registers is what the tracee goes on with.
void changed_registers() {
  const pid_t child = traced([] {
    unsigned long rbx = 0, r15 = 0, rcx = 0;
    double xmm[2] = {};
    asm volatile(
        "xor %%ebx, %%ebx\n xor %%r15d, %%r15d\n xor %%ecx, %%ecx\n xorps %%xmm7, %%xmm7\n int3\n"
        "mov %%rbx, %0\n mov %%r15, %1\n mov %%rcx, %2\n movups %%xmm7, %3\n"
        : "=m"(rbx), "=m"(r15), "=m"(rcx), "=m"(xmm)
        :
        : "rbx", "r15", "rcx", "xmm7");
    printf("rbx %lx r15 %lx rcx %lx xmm7 %g %g\n", rbx, r15, rcx, xmm[0], xmm[1]);
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the breakpoint");
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  printf("no call: %lld\n", static_cast<long long>(registers.orig_rax));
  registers.rbx = 0xb;
  registers.r15 = 0xf;
  registers.rcx = 0xc;
  CHECK(trace(PTRACE_SETREGS, child, 0, &registers) == 0);
  struct user_fpregs_struct fpu;
  CHECK(trace(PTRACE_GETFPREGS, child, 0, &fpu) == 0);
  const double values[2] = {1.5, -2.25};
  memcpy(&fpu.xmm_space[7 * 4], values, sizeof(values));
  CHECK(trace(PTRACE_SETFPREGS, child, 0, &fpu) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");
}

void signals_of_it() {
  const pid_t child = traced([] {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    raise(SIGSTOP);
    for (int i = 0; i < 3; ++i) sigqueue(getpid(), SIGRTMIN + 1, sigval{.sival_int = i});
    for (int i = 0; i < 2; ++i) {
      siginfo_t info;
      memset(&info, 0, sizeof(info));
      info.si_code = SI_QUEUE;
      info.si_value.sival_int = 10 + i;
      syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 2, &info);
    }
    kill(getpid(), SIGUSR1);
    raise(SIGSTOP);
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "blocked");
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "pending");
  struct {
    uint64_t offset;
    uint32_t flags;
    int32_t count;
  } asked = {0, 0, 8};
  siginfo_t infos[8];
  auto look = [&](const char* what, uint64_t offset, uint32_t flags, int32_t count) {
    asked = {offset, flags, count};
    memset(infos, 0, sizeof(infos));
    const long told = trace(PTRACE_PEEKSIGINFO, child, reinterpret_cast<uintptr_t>(&asked), infos);
    print_errno(what, told);
    for (long i = 0; i < told; ++i) {
      printf("  %s %d\n", infos[i].si_signo == SIGUSR1 ? "SIGUSR1" : "queued",
             infos[i].si_value.sival_int * (infos[i].si_signo != SIGUSR1));
    }
  };
  look("its own", 0, 0, 8);
  look("the second", 1, 0, 1);
  look("behind all", 9, 0, 8);
  look("none", 0, 0, 0);
  look("fewer than none", 0, 0, -1);
  look("with unknown flags", 0, 2, 1);
  asked = {0, 1, 8};
  const long shared = trace(PTRACE_PEEKSIGINFO, child, reinterpret_cast<uintptr_t>(&asked), infos);
  printf("of all threads: %ld\n", shared);
  print_errno("at a bad address", trace(PTRACE_PEEKSIGINFO, child, 1, infos));
  print_errno("to a bad address", trace(PTRACE_PEEKSIGINFO, child, reinterpret_cast<uintptr_t>(&asked), 1ul));

  uint64_t mask = 0;
  print_errno("the mask", trace(PTRACE_GETSIGMASK, child, 8, &mask));
  printf("it is %lx\n", mask);
  print_errno("of another size", trace(PTRACE_GETSIGMASK, child, 4, &mask));
  print_errno("to a bad address", trace(PTRACE_GETSIGMASK, child, 8, 1ul));
  mask = ~uint64_t{0};
  print_errno("set", trace(PTRACE_SETSIGMASK, child, 8, &mask));
  CHECK(trace(PTRACE_GETSIGMASK, child, 8, &mask) == 0);
  printf("it is %lx\n", mask);
  siginfo_t info;
  CHECK(trace(PTRACE_GETSIGINFO, child, 0, &info) == 0);
  info.si_code = 77;
  print_errno("its information, set", trace(PTRACE_SETSIGINFO, child, 0, &info));
  print_info("it is", child);
  mask = ~(uint64_t{1} << (SIGUSR1 - 1));
  CHECK(trace(PTRACE_SETSIGMASK, child, 8, &mask) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "unblocked by the tracer");
  end_of(child);
}

// The information that a handler gets is the tracer's.
void changed_information() {
  const pid_t child = traced([] {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int signal, siginfo_t* info, void*) {
      printf("the handler: %d code %d value %d\n", signal, info->si_code, info->si_value.sival_int);
    };
    sigaction(SIGRTMIN + 3, &action, nullptr);
    sigaction(SIGRTMIN + 4, &action, nullptr);
    sigqueue(getpid(), SIGRTMIN + 3, sigval{.sival_int = 5});
    sigqueue(getpid(), SIGRTMIN + 3, sigval{.sival_int = 6});
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "queued");
  siginfo_t info;
  CHECK(trace(PTRACE_GETSIGINFO, child, 0, &info) == 0);
  printf("its value: %d\n", info.si_value.sival_int);
  info.si_value.sival_int = 50;
  CHECK(trace(PTRACE_SETSIGINFO, child, 0, &info) == 0);
  CHECK(trace(PTRACE_CONT, child, 0, static_cast<uintptr_t>(SIGRTMIN + 3)) == 0);
  next_of(child, "the second");
  CHECK(trace(PTRACE_CONT, child, 0, static_cast<uintptr_t>(SIGRTMIN + 4)) == 0);
  next_of(child, "the end");
}

extern "C" {
void stepped_code();
extern const char stepped_code_end[];
}
asm(R"(
    .globl stepped_code
    .globl stepped_code_end
stepped_code:
    nop
    mov $39, %eax
    syscall
    nop
    xor %eax, %eax
    ret
stepped_code_end:
)");

void steps() {
  const pid_t child = traced([] {
    asm volatile("int3");
    stepped_code();
    signal(SIGUSR1, [](int) {});
    asm volatile("int3");
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the breakpoint");
  const auto begin = reinterpret_cast<unsigned long>(&stepped_code);
  const auto end = reinterpret_cast<unsigned long>(stepped_code_end);
  bool was_inside = false;
  for (int i = 0; i < 1000; ++i) {
    CHECK(trace(PTRACE_SINGLESTEP, child) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    Registers registers;
    siginfo_t info;
    CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0 && trace(PTRACE_GETSIGINFO, child, 0, &info) == 0);
    const bool inside = begin <= registers.rip && registers.rip < end;
    if (inside) {
      printf("step: at %llu code %d flags %llx\n", registers.rip - begin, info.si_code,
             registers.eflags & 0x100);
    } else if (was_inside) {
      break;
    }
    was_inside = inside;
  }
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the second breakpoint");
  CHECK(trace(PTRACE_SINGLESTEP, child, 0, SIGUSR1) == 0);
  next_of(child, "a step into a handler");
  print_info("its information", child);
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  printf("its argument: %llu\n", registers.rdi);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");
}

}  // namespace

int main() {
  show_lines();
  user_area();
  register_sets();
  changed_registers();
  signals_of_it();
  changed_information();
  steps();
  return finish();
}
