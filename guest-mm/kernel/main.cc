// From the architecture's hand-over to the first program.
#include <array>
#include <cstring>
#include <string_view>

#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/events/event_poll.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/locks/file_locks.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/program/exec.h"
#include "guest-mm/kernel/program/randomize.h"
#include "pvops/base/command_words.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

namespace {

constexpr u8 kNoProgramStatus = 127;
constexpr u64 kMostArguments = 64;
constexpr std::string_view kSeparator = " -- ";
constexpr char kUnitSeparator = '\x1f';

constexpr std::string_view kEnvironment[] = {
    "PATH=/bin:/sbin:/usr/bin:/usr/sbin",
    "HOME=/",
    "TERM=vt100",
};

// "verbose" and "aslr=SEED" may stand among the first words. The program and its arguments: what follows " --
// ", separated by 0x1f bytes so that arguments may hold blanks; a shell on the console without it.
struct InitProgram {
  std::array<std::string_view, kMostArguments> arguments;
  u64 count = 0;
  bool too_many = false;
  bool verbose = false;
  std::string_view seed;  // of address space randomisation; empty: none
};

InitProgram parse_command_line(std::string_view line) {
  InitProgram program;
  program.verbose = has_word(line, "verbose");
  program.seed = word_value(line, "aslr=").value_or("");
  const std::size_t at = line.starts_with(kSeparator.substr(1)) ? 0 : line.find(kSeparator);
  if (at == std::string_view::npos) {
    program.arguments[0] = "/bin/busybox";
    program.arguments[1] = "sh";
    program.count = 2;
    return program;
  }
  std::string_view rest = line.substr(at + kSeparator.size() - (at == 0 && line[0] == '-' ? 1 : 0));
  for (;;) {
    if (program.count == kMostArguments) {
      program.too_many = true;
      return program;
    }
    const std::size_t end = rest.find(kUnitSeparator);
    program.arguments[program.count++] = rest.substr(0, end);
    if (end == std::string_view::npos) {
      return program;
    }
    rest.remove_prefix(end + 1);
  }
}

// Nothing is randomised without a seed. False: it is no decimal number of 64 bits.
bool randomize_if_asked(std::string_view seed) {
  u64 value = 0;
  for (const char c : seed) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(value, u64{10}, &value) ||
        __builtin_add_overflow(value, static_cast<u64>(c - '0'), &value)) {
      return false;
    }
  }
  if (!seed.empty()) {
    randomize_from(value);
  }
  return true;
}

// Why the first program could not be started, in words.
std::string_view reason_of(i64 error) {
  switch (error) {
    case kENOENT:
      return "no such file, or no interpreter for it";
    case kEACCES:
      return "not an executable file";
    case kENOEXEC:
      return "not an x86-64 ELF program or a script with #!";
    case kELIBBAD:
    case kEIO:
      return "its interpreter is no ELF file that can be run";
    case kENOMEM:
      return "not enough memory";
    default:
      return "exec failed";
  }
}

// One line says which mode it is. A hypervisor has said so already: the guest's own comes when asked for.
void say_mode(const BootInfo& boot, const MemoryInfo& memory, bool verbose) {
  if (!verbose && boot.under_hypervisor) {
    return;
  }
  if (*boot.remark != '\0') {
    log_line(boot.remark);
  }
  log_line("mode ", boot.mode, ", ", pages_to_bytes(memory.total_pages) >> 20, " MiB");
}

InitProgram g_init_program;

// The first process, on its own kernel stack.
void run_init(void*) {
  Thread& self = current();
  self.files = files::ProcessFiles::make_initial().detach();
  if (self.files != nullptr) {
    self.files->retain();
    self.directories = self.files;
  }
  const std::span<const std::string_view> arguments(g_init_program.arguments.data(), g_init_program.count);
  const i64 error =
      self.files == nullptr ? -kENOMEM : exec_first_program(arguments[0], arguments, kEnvironment);
  if (error != 0) {
    log_line("cannot run ", arguments[0], ": ", reason_of(-error));
    end_machine(kNoProgramStatus);
  }
  leave_kernel(*self.registers);
  arch::return_to_user(*self.registers);
}

}  // namespace

void kernel_main(const BootInfo& boot) {
  const MemoryInfo memory = mm_ops().memory_info();
  set_commit_limit(memory.total_pages, committed_pages);
  set_thread_limit(pages_to_bytes(memory.total_pages));
  g_init_program = parse_command_line(boot.command_line);
  files::set_command_line(boot.command_line);
  say_mode(boot, memory, g_init_program.verbose);
  if (g_init_program.too_many) {
    log_line("more than ", kMostArguments, " arguments on the command line");
    end_machine(kNoProgramStatus);
  }
  if (!randomize_if_asked(g_init_program.seed)) {
    log_line("aslr= takes a decimal number below 2^64");
    end_machine(kNoProgramStatus);
  }
  files::set_epoll_limit(pages_to_bytes(memory.total_pages));
  files::set_lock_limit(pages_to_bytes(memory.total_pages));
  files::set_tmpfs_limit(pages_to_bytes(memory.total_pages / 2));
  files::init();
  files::mount_initramfs(boot.initramfs, boot.initramfs_bytes);
  const Result<Process*> init = create_process();
  if (!init) {
    log_line("no memory for the first process");
    end_machine(kNoProgramStatus);
  }
  Process& process = **init;
  join_group(process, process.pid);
  process.sid = process.pid;
  Thread& thread = process.leader();
  std::memcpy(thread.comm, "init", 5);
  process.signals.own = {};
  arch::init_fpu(thread.fpu);
  arch::prepare_context(thread.context, thread.stack_top, run_init, nullptr);
  start_first(thread);
}

}  // namespace nopte::guest
