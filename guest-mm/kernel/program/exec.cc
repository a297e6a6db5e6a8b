// execve: find the program (program.h), stage the arguments, build a new address space
// beside the old one (new_image.h), and only when nothing can fail any more leave the old one. Every error
// leaves the caller as it was.
#include "guest-mm/kernel/program/exec.h"

#include <cstring>
#include <new>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/events/aio.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/robust_list.h"
#include "guest-mm/kernel/process/thread_group.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/program/new_image.h"
#include "guest-mm/kernel/program/program.h"
#include "guest-mm/kernel/program/randomize.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/rights/user_share.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/posix_timers.h"
#include "guest-mm/kernel/time/rusage.h"

namespace nopte::guest {

namespace {

struct ExecScratch {
  Program program;
  char path[files::kPathBytes];
};
alignas(ExecScratch) constinit u8 g_scratch_bytes[sizeof(ExecScratch)] = {};

void reset_signals(Thread& self) {
  unshare_signal_actions(*self.process);
  clear_signal_handlers(*self.process);
  self.signals.alternate = {};
}

// Too late for an error: as on Linux the process ends.
[[noreturn]] void end_for_want_of_memory(Thread& self, NewImage& image) {
  activate_space(self.space);
  image.space = nullptr;
  image.executable = nullptr;
  exit_process(kSIGKILL);
}

// As Linux, what runs with others' rights, or may be run but not read, cannot be looked into.
void take_identity(Thread& self, ExecIdentity& now, bool readable) {
  const Identity& before = identity_of(self);
  self.process->dumpable = readable && !now.secure;
  if (now.sets_identity) {
    self.personality &= ~kPersonalityLostBySetId;
  }
  if (now.identity == before) {
    return;
  }
  limit_gain(before, now.identity);
  if (now.secure) {
    self.process->parent_death_signal = 0;
  }
  if (commit_identity(self, std::move(now.identity)) != 0) {
    exit_process(kSIGKILL);
  }
}

// The running thread, alone in its process, becomes the new program.
void become(Thread& self, NewImage& image) {
  if (!files::unshare_current_table()) {
    end_for_want_of_memory(self, image);
  }
  if (image.owes || self.owns_futex_locks) {  // a lock may have been waited for since
    activate_space(self.space);
    settle_words(self);
    activate_space(image.space.get());
  }
  AddressSpace* old = std::exchange(self.space, image.space.detach());
  if (old != nullptr) {
    note_left(*self.process, *old);
    self.process->inherited_pages = 0;
    old->release();
  }
  finish_vfork(self);
  self.files->table.close_on_exec();
  files::Inode* const executable = image.executable.detach();
  ++executable->running;
  if (files::Inode* before = std::exchange(self.process->executable, executable); before != nullptr) {
    --before->running;
    before->release();
  }
  std::memcpy(self.comm, image.comm, sizeof(self.comm));
  take_identity(self, image.identity, image.readable);
  reset_signals(self);
  self.process->exit_signal = kSIGCHLD;
  self.process->executed = true;
  drop_numbered_timers(*self.process);
  if (self.process->aio_contexts != nullptr) [[unlikely]] {
    files::drop_aio_contexts(*self.process);
  }
  self.process->initial_stack = image.stack;
  self.process->barriers = 0;
  self.clear_child_tid = 0;
  self.robust_list = 0;
  self.rseq = {};
  self.fs_base = 0;
  arch::set_fs_base(0);
  arch::load_initial_fpu();
  arch::init_user_registers(*self.registers, image.entry, image.stack);
}

void leader_goes_on(void* argument) {
  finish_switch();
  UserRegisters& registers = *static_cast<Thread*>(argument)->registers;
  trace_exec_of_leader(registers);
  leave_kernel(registers);
  arch::return_to_user(registers);
}

// The scratch data of one exec.
class Scratch {
 public:
  Scratch() : data_(new(g_scratch_bytes) ExecScratch) {}
  ~Scratch() { data_->~ExecScratch(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ExecScratch* operator->() { return data_; }

 private:
  ExecScratch* data_;
};

// What execve and execveat ask for: user addresses.
struct ExecRequest {
  u64 directory = static_cast<u64>(files::kAtCwd);
  u64 path = 0;
  u64 arguments = 0;
  u64 environment = 0;
  u32 flags = 0;
};

// What a path that begins at a descriptor is called: /dev/fd/N, and the path behind it.
u64 write_descriptor_name(char* out, u32 descriptor) {
  constexpr std::string_view kFolder = "/dev/fd/";
  char digits[10];
  u64 count = 0;
  do {
    digits[count++] = static_cast<char>('0' + descriptor % 10);
    descriptor /= 10;
  } while (descriptor != 0);
  std::memcpy(out, kFolder.data(), kFolder.size());
  for (u64 i = 0; i < count; ++i) {
    out[kFolder.size() + i] = digits[count - 1 - i];
  }
  out[kFolder.size() + count] = '/';
  return kFolder.size() + count + 1;
}

// Reads the path; what the program is called, and where it is.
i64 load_path(const ExecRequest& request, ExecScratch& scratch, std::string_view& name,
              std::string_view& path, ProgramPlace& place) {
  const bool at_descriptor = static_cast<i32>(request.directory) != files::kAtCwd;
  const u64 before =
      at_descriptor ? write_descriptor_name(scratch.path, static_cast<u32>(request.directory)) : 0;
  const Result<u64> length =
      arch::copy_string_from_user(scratch.path + before, Gva{request.path}, sizeof(scratch.path) - before);
  if (!length) {
    return length.error() == Status::kLimit ? -kENAMETOOLONG : -kEFAULT;
  }
  name = path = {scratch.path + before, *length};
  if ((request.flags & files::kAtSymlinkNoFollow) != 0) {
    place.final = files::FinalLink::kStay;
  }
  const bool itself = path.empty() && (request.flags & files::kAtEmptyPath) != 0;
  if (!at_descriptor || path.starts_with('/')) {
    return itself ? -kEACCES : 0;  // a directory
  }
  if (path.empty() && !itself) {
    return -kENOENT;
  }
  const files::FileTable& table = files::current_files().table;
  const u64 descriptor = static_cast<u32>(request.directory);
  files::File* const file = table.get(descriptor);
  if (file == nullptr) {
    return -kEBADF;
  }
  place.start = file->inode();
  place.itself = itself;
  place.unnamed = table.close_on_exec(descriptor);
  name = {scratch.path, itself ? before - 1 : before + *length};
  return 0;
}

// As Linux reads the arguments before it looks at what it opened: what is wrong with these comes before what
// is wrong with that.
i64 error_of_program(const ExecRequest& request, const Program& program, i64 error) {
  if (!program.opened) {
    return error;
  }
  ProgramArguments arguments;
  for (const u64 array : {request.arguments, request.environment}) {
    if (const Result<u64> given = arguments.add_user_array(Gva{array}); !given) {
      return errno_of_arguments(given.error());
    }
  }
  return error;
}

i64 load_program(const ExecRequest& request, NewImage& image) {
  Scratch scratch;
  std::string_view path;
  std::string_view within;
  ProgramPlace place;
  if (const i64 error = load_path(request, *scratch.operator->(), path, within, place); error != 0) {
    return error;
  }
  if (const i64 error = find_program(scratch->program, within, place); error != 0) {
    return error_of_program(request, scratch->program, error);
  }
  ProgramArguments arguments;
  const bool script = scratch->program.scripts != 0;
  const Result<u64> before = add_script_arguments(arguments, scratch->program, path);
  if (!before) {
    return errno_of_arguments(before.error());
  }
  const Result<u64> given = arguments.add_user_array(Gva{request.arguments}, script ? 1 : 0);
  if (!given) {
    return errno_of_arguments(given.error());
  }
  arguments.arguments = *before + *given;
  if (arguments.arguments == 0) {
    // As Linux: a program always has a name.
    if (const Result<void> added = arguments.add(""); !added) {
      return errno_of_arguments(added.error());
    }
    arguments.arguments = 1;
  }
  const Result<u64> environment = arguments.add_user_array(Gva{request.environment});
  if (!environment) {
    return errno_of_arguments(environment.error());
  }
  arguments.environment = *environment;
  return make_image(scratch->program, path, arguments, image);
}

i64 execute(const ExecRequest& request) {
  if (current().too_many_processes) [[unlikely]] {
    if (exceeds_processes(current_process(), identity().user.real)) {
      return -kEAGAIN;
    }
    current().too_many_processes = false;
  }
  NewImage image;
  if (const i64 error = load_program(request, image); error != 0) {
    if (image.too_late) {
      exit_process(kSIGSEGV);
    }
    return error;
  }
  // The wait for the other threads comes last: another process may exec meanwhile, and uses the scratch data.
  if (current_process().live_threads > 1) {
    const bool alone = end_other_threads();
    activate_space(alone ? image.space.get() : current().space);
    if (!alone) {
      return -kEAGAIN;
    }
    // Somebody may trace it by now, who takes rights away. None are added.
    if (!tracer_allows_identity()) {
      image.identity = identity_after_exec(identity(), image.owner);
      if (!retell_identity(image.identity_at, told_of(image.identity))) {
        end_for_want_of_memory(current(), image);
      }
    }
  }
  become(current(), image);
  return 0;
}

i64 execute_and_lead(const ExecRequest& request) {
  const i64 error = execute(request);
  if (error == 0 && &current() != &current_process().leader()) {
    go_on_as_leader(leader_goes_on);
  }
  return error;
}

}  // namespace

i64 sys_execve(const SyscallArgs& args) {
  return execute_and_lead({.path = args.a0, .arguments = args.a1, .environment = args.a2});
}

i64 sys_execveat(const SyscallArgs& args) {
  if ((static_cast<u32>(args.a4) & ~(files::kAtSymlinkNoFollow | files::kAtEmptyPath)) != 0) {
    return -kEINVAL;
  }
  return execute_and_lead({.directory = args.a0,
                           .path = args.a1,
                           .arguments = args.a2,
                           .environment = args.a3,
                           .flags = static_cast<u32>(args.a4)});
}

i64 exec_first_program(std::string_view path, std::span<const std::string_view> arguments,
                       std::span<const std::string_view> environment) {
  NewImage image;
  Scratch scratch;
  if (const i64 error = find_program(scratch->program, path); error != 0) {
    if (!scratch->program.interpreter_name.empty()) {
      log_line(path, " is dynamic: its interpreter is ", scratch->program.interpreter_name);
    }
    return error;
  }
  ProgramArguments staged;
  const Result<u64> before = add_script_arguments(staged, scratch->program, path);
  if (!before) {
    return errno_of_arguments(before.error());
  }
  staged.arguments = *before;
  for (const std::string_view text : scratch->program.scripts != 0 ? arguments.subspan(1) : arguments) {
    if (const Result<void> added = staged.add(text); !added) {
      return errno_of_arguments(added.error());
    }
    ++staged.arguments;
  }
  for (const std::string_view text : environment) {
    if (const Result<void> added = staged.add(text); !added) {
      return errno_of_arguments(added.error());
    }
    ++staged.environment;
  }
  const i64 error = make_image(scratch->program, path, staged, image);
  if (error == 0) {
    become(current(), image);
  }
  return error;
}

}  // namespace nopte::guest
