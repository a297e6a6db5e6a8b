// x87, SSE and AVX state: what a handler starts with, and what comes back from it; what preemption, fork and
// exec leave of it.
#include <setjmp.h>
#include <stdint.h>
#include <ucontext.h>

#include <initializer_list>

#include "tests/boot/programs/signal_checks.h"

// What a handler finds at its first instruction, before a compiler's code can have changed it.
extern "C" {
uint16_t g_control_word, g_environment[14];
uint32_t g_mxcsr;
uint64_t g_flags;
char g_vectors[16][32];
char g_has_avx;
void look_at_state(int, siginfo_t*, void*);
}
asm(R"(
    .text
look_at_state:
    pushf
    pop g_flags(%rip)
    fnstcw g_control_word(%rip)
    stmxcsr g_mxcsr(%rip)
    cmpb $0, g_has_avx(%rip)
    jne 1f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movups %xmm\n, g_vectors+32*\n(%rip)
    .endr
    jmp 2f
1:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups %ymm\n, g_vectors+32*\n(%rip)
    .endr
2:  fnstenv g_environment(%rip)
    ret
)");

namespace {

constexpr uint16_t kInitialControl = 0x37f, kOddControl = 0xc7f;  // rounds to zero
constexpr uint32_t kInitialMxcsr = 0x1f80, kOddMxcsr = 0xff80;    // the same, and flushes to zero
constexpr uint16_t kNoRegisterUsed = 0xffff;

const char* g_self;
sigjmp_buf g_escape;

uint16_t control_word() {
  uint16_t control;
  asm volatile("fnstcw %0" : "=m"(control));
  return control;
}
uint32_t mxcsr() {
  uint32_t value;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}
void set_control(uint16_t control, uint32_t sse) {
  asm volatile("fldcw %0; ldmxcsr %1" ::"m"(control), "m"(sse));
}

// Runs `instruction` with state of its own in every register; what it finds afterwards is what it left.
#define WITH_ODD_STATE(instruction)                                                           \
  do {                                                                                        \
    char before[32], low[16], high[32];                                                       \
    memset(before, 0x5a, sizeof(before));                                                     \
    double top = 0;                                                                           \
    set_control(kOddControl, kOddMxcsr);                                                      \
    if (g_has_avx) {                                                                          \
      asm volatile("vmovups %3, %%ymm0; vmovups %3, %%ymm15; fldpi; fldl2e; " instruction     \
                   "; fstpl %2; fstpl %2; vmovups %%ymm0, %1; movups %%xmm15, %0; vzeroupper" \
                   : "=m"(low), "=m"(high), "=m"(top)                                         \
                   : "m"(before)                                                              \
                   : "xmm0", "xmm15", "rax", "rcx", "r11", "rdi", "rsi", "memory");           \
    } else {                                                                                  \
      asm volatile("movups %2, %%xmm0; movups %2, %%xmm15; fldpi; fldl2e; " instruction       \
                   "; fstpl %1; fstpl %1; movups %%xmm15, %0"                                 \
                   : "=m"(low), "=m"(top)                                                     \
                   : "m"(before)                                                              \
                   : "xmm0", "xmm15", "rax", "rcx", "r11", "rdi", "rsi", "memory");           \
      memcpy(high, before, sizeof(high));                                                     \
    }                                                                                         \
    const uint16_t control = control_word();                                                  \
    const uint32_t sse = mxcsr();                                                             \
    set_control(kInitialControl, kInitialMxcsr);                                              \
    CHECK(memcmp(low, before, sizeof(low)) == 0 && memcmp(high, before, sizeof(high)) == 0);  \
    CHECK(top > 3.14 && top < 3.15);                                                          \
    CHECK(control == kOddControl && sse == kOddMxcsr);                                        \
  } while (false)

void forget_what_was_seen() {
  g_control_word = 0;
  g_mxcsr = 0;
  memset(g_environment, 0, sizeof(g_environment));
  memset(g_vectors, 0xff, sizeof(g_vectors));
}

void check_initial_state() {
  CHECK(g_control_word == kInitialControl && g_mxcsr == kInitialMxcsr);
  CHECK(g_environment[2] == 0 && g_environment[4] == kNoRegisterUsed);
  for (const auto& vector : g_vectors) {
    for (int byte = 0; byte < (g_has_avx ? 32 : 16); ++byte) CHECK(vector[byte] == 0);
  }
}

void handlers() {
  check("handler_of_a_fault_starts_clean", [] {
    install(SIGTRAP, look_at_state, 0);
    forget_what_was_seen();
    WITH_ODD_STATE("int3");
    check_initial_state();
    reset(SIGTRAP);
  });
  check("handler_of_a_sent_signal_starts_clean", [] {
    install(SIGUSR1, look_at_state, 0);
    forget_what_was_seen();
    WITH_ODD_STATE("mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, %%esi; mov $62, %%eax; syscall");
    check_initial_state();
    reset(SIGUSR1);
  });
  // The handler's flags: no stepping, no direction; alignment checks stay. All are back afterwards.
  check("handler_flags", [] {
    constexpr uint64_t kTrap = 0x100, kDirection = 0x400, kAlignment = 0x40000;
    install(SIGTRAP, look_at_state, 0);
    uint64_t after = 0;
    asm volatile(
        "pushf; orl $0x40400, (%%rsp); popf; int3; pushf; pop %0; pushf; andl $~0x40400, (%%rsp); popf"
        : "=r"(after)::"cc", "memory");
    CHECK((g_flags & kDirection) == 0 && (g_flags & kAlignment) != 0);
    CHECK((after & kDirection) != 0 && (after & kAlignment) != 0);
    asm volatile("pushf; orl $0x100, (%%rsp); popf; nop; pushf; pop %0; pushf; andl $~0x100, (%%rsp); popf"
                 : "=r"(after)::"cc", "memory");
    CHECK((g_flags & kTrap) == 0 && (after & kTrap) != 0);
    reset(SIGTRAP);
  });
}

// Which exception it was; SSE's own are not raised by every emulated processor.
void note_and_escape(int signal, siginfo_t* info, void*) {
  g_signal = signal;
  g_code = info->si_code;
  siglongjmp(g_escape, 1);
}

int code_of(uint16_t unmasked, double left, double right, bool divides) {
  const auto control = static_cast<uint16_t>(kInitialControl & ~unmasked);
  g_signal = 0;
  if (sigsetjmp(g_escape, 1) == 0) {
    if (divides) {
      asm volatile("fldcw %0; fldl %1; fldl %2; fdivrp; fwait" ::"m"(control), "m"(left), "m"(right));
    } else {
      asm volatile("fldcw %0; fldl %1; fldl %2; fmulp; fstps -64(%%rsp); fwait" ::"m"(control), "m"(left),
                   "m"(right)
                   : "memory");
    }
  }
  asm volatile("fninit");
  CHECK(g_signal == SIGFPE);
  return g_code;
}

void exceptions() {
  check("x87_exceptions", [] {
    constexpr uint16_t kInvalid = 1, kZeroDivide = 4, kOverflow = 8, kUnderflow = 16, kPrecision = 32;
    install(SIGFPE, note_and_escape, 0);
    CHECK(code_of(kInvalid, 0, 0, true) == FPE_FLTINV);
    CHECK(code_of(kZeroDivide, 1, 0, true) == FPE_FLTDIV);
    CHECK(code_of(kOverflow, 1e300, 1e300, false) == FPE_FLTOVF);
    CHECK(code_of(kUnderflow, 1e-300, 1e-300, false) == FPE_FLTUND);
    CHECK(code_of(kPrecision, 1, 3, true) == FPE_FLTRES);
    reset(SIGFPE);
  });
}

void inheritance() {
  check("fork_inherits", [] {
    fflush(stdout);
    int status = -1;
    WITH_ODD_STATE("mov $57, %%eax; syscall; mov %%eax, %%edi");
    // Both come here: the child is the one without a child of its own.
    if (wait(&status) < 0 && errno == ECHILD) _exit(0);
    CHECK(status == 0);
  });
  check("exec_resets", [] {
    const int status = status_of_child([] {
      set_control(kOddControl, kOddMxcsr);
      execl(g_self, g_self, "child", nullptr);
      _exit(99);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  });
}

double g_handler_sum;
void clobber_fpu(int, siginfo_t*, void*) {
  double sum = 0;
  for (int i = 1; i < 50; ++i) sum += 1.0 / i;
  g_handler_sum = sum;
  g_count = g_count + 1;
}

// Reserved bytes of the XSAVE header: what the handler returns to is an image that no processor loads.
void spoil_fpu_image(int, siginfo_t*, void* context) {
  auto* const image = reinterpret_cast<char*>(static_cast<ucontext_t*>(context)->uc_mcontext.fpregs);
  memset(image + 512 + 16, 0xff, 48);
}

void count_only(int, siginfo_t*, void*) { g_count = g_count + 1; }

// Where the image would lie there is nothing.
void lose_fpu_image(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(8);
}

// Computes while another process does; 1 when a switch lost its register.
void compute_beside_another(int, siginfo_t*, void*) {
  const bool other = fork() == 0;
  const double mine = other ? 3.25 : 4.25;
  double out = mine;
  for (long round = 0; round < 300 && out == mine; ++round) {
    long turns = 20000;
    asm volatile("movsd %2, %%xmm15; 1: dec %1; jnz 1b; movsd %%xmm15, %0"
                 : "=m"(out), "+r"(turns)
                 : "m"(mine)
                 : "xmm15");
  }
  if (other) _exit(out != mine);
  int status = -1;
  _exit(wait(&status) > 0 && status == 0 && out == mine ? 0 : 1);
}

void returning() {
  check("fpu_across_handler", [] {
    install(SIGTRAP, clobber_fpu, 0);
    double out = 0;
    const double in = 1234.5678;
    asm volatile("movsd %1, %%xmm9; int3; movsd %%xmm9, %0" : "=m"(out) : "m"(in) : "xmm9", "memory");
    CHECK(out == in);
    uint32_t control = 0x1f80 | 0x2000, after = 0, usual = 0x1f80;
    asm volatile("ldmxcsr %1; int3; stmxcsr %0; ldmxcsr %2"
                 : "=m"(after)
                 : "m"(control), "m"(usual)
                 : "memory");
    CHECK((after & 0x6000) == 0x2000);
    reset(SIGTRAP);
  });
  check("x87_across_handler", [] {
    install(SIGTRAP, clobber_fpu, 0);
    double out = 0;
    const double in = 0.1;
    asm volatile("fldl %1; int3; fstpl %0" : "=m"(out) : "m"(in) : "memory");
    CHECK(out == in);
    reset(SIGTRAP);
  });
  check("refused_fpu_image", [] {
    const int status = status_of_child([] {
      install(SIGTRAP, spoil_fpu_image, 0);
      install(SIGSEGV, compute_beside_another, 0);
      asm volatile("int3");
      _exit(2);  // not reached: the return is refused
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  });

  // The registers were restored: who returns from SIGSEGV goes on behind the signal, its FPU as new.
  for (const bool there : {true, false}) {
    const auto spoiler = there ? spoil_fpu_image : lose_fpu_image;
    check(there ? "refused_fpu_image_returns" : "missing_fpu_image_returns", [spoiler] {
      const int status = status_of_child([spoiler] {
        install(SIGTRAP, spoiler, 0);
        install(SIGSEGV, count_only, 0);
        g_count = 0;
        long kept = 0;
        uint32_t control = 0x1f80 | 0x2000, after = 0;
        asm volatile("ldmxcsr %2; mov $77, %%rbx; xor %%eax, %%eax; int3; mov %%rbx, %0; stmxcsr %1"
                     : "=m"(kept), "=m"(after)
                     : "m"(control)
                     : "rbx", "rax", "memory");
        _exit(g_count == 1 && kept == 77 && (after & 0x6000) == 0 ? 0 : 1);
      });
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    });
  }
}

void preemption() {
  // A machine without AVX has nothing to lose.
  check("avx_across_preemption", [] {
    if (!__builtin_cpu_supports("avx")) return;
    for (int child = 0; child < 2; ++child) {
      if (fork() == 0) {
        uint64_t mine[4], out[4];
        for (int i = 0; i < 4; ++i)
          mine[i] = static_cast<uint64_t>(child + 1) << 40 | static_cast<uint64_t>(i + 1);
        for (long round = 0; round < 300; ++round) {
          long turns = 20000;
          asm volatile("vmovups %2, %%ymm13; 1: dec %1; jnz 1b; vmovups %%ymm13, %0; vzeroupper"
                       : "=m"(out), "+r"(turns)
                       : "m"(mine)
                       : "xmm13");
          if (memcmp(out, mine, sizeof(out)) != 0) _exit(1);
        }
        _exit(0);
      }
    }
    for (int child = 0; child < 2; ++child) {
      int status = -1;
      CHECK(wait(&status) > 0);
      CHECK(status == 0);
    }
  });
  check("fpu_across_preemption", [] {
    // Two processes compute with values of their own in vector registers and are preempted meanwhile.
    for (int child = 0; child < 2; ++child) {
      if (fork() == 0) {
        const double mine = 3.25 + child;
        double out = 0;
        for (long round = 0; round < 300; ++round) {
          long turns = 20000;
          asm volatile("movsd %2, %%xmm15; 1: dec %1; jnz 1b; movsd %%xmm15, %0"
                       : "=m"(out), "+r"(turns)
                       : "m"(mine)
                       : "xmm15");
          if (out != mine) _exit(1);
        }
        _exit(0);
      }
    }
    for (int child = 0; child < 2; ++child) {
      int status = -1;
      CHECK(wait(&status) > 0);
      CHECK(status == 0);
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return control_word() == kInitialControl && mxcsr() == kInitialMxcsr ? 7 : 8;
  g_self = argv[0];
  g_has_avx = __builtin_cpu_supports("avx") != 0;
  handlers();
  returning();
  exceptions();
  preemption();
  inheritance();
  return finish();
}
