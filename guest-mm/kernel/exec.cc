// execve: find the program (program.h), stage the arguments, build a new address space
// beside the old one, and only when nothing can fail any more leave the old one. Every error leaves the
// caller as it was.
#include "guest-mm/kernel/exec.h"

#include <cstring>
#include <new>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/initial_stack.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/posix_timers.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/process_space.h"
#include "guest-mm/kernel/program.h"
#include "guest-mm/kernel/randomize.h"
#include "guest-mm/kernel/robust_list.h"
#include "guest-mm/kernel/rusage.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/thread_group.h"
#include "guest-mm/kernel/user_share.h"
#include "guest-mm/kernel/wait.h"

namespace nopte::guest {

namespace {

struct ExecScratch {
  Program program;
  char path[files::kPathBytes];
};
alignas(ExecScratch) constinit u8 g_scratch_bytes[sizeof(ExecScratch)] = {};

Result<void> map_segment(AddressSpace& space, const Image& image, const Ref<MemoryObject>& object,
                         const elf::ProgramHeader& segment) {
  const elf::SegmentMemory memory = elf::memory_of(segment);
  const u64 bias = image.layout.bias;
  if (!memory.file.empty()) {
    NOPTE_TRY(space.map({.hint = memory.file.begin + bias,
                         .bytes = memory.file.bytes(),
                         .perm = elf::segment_perm(segment),
                         .placement = Placement::kFixed,
                         .object = object,
                         .offset_bytes = segment.offset & ~kPageMask}));
  }
  if (!memory.zeros.empty()) {
    NOPTE_TRY(space.map({.hint = memory.zeros.begin + bias,
                         .bytes = memory.zeros.bytes(),
                         .perm = elf::segment_perm(segment).exec() ? kPermRWX : kPermRW,
                         .placement = Placement::kFixed}));
  }
  return {};
}

Result<void> map_image(AddressSpace& space, const Image& image) {
  auto mapped = image.file->mmap_object(kPermRX, Sharing::kPrivate);
  if (!mapped) {
    return Fail(mapped.error() == kENOMEM ? Status::kNoMemory : Status::kPermission);
  }
  const Ref<MemoryObject> object = Ref<MemoryObject>::adopt(*mapped);
  for (const elf::ProgramHeader& segment : image.segments()) {
    if (segment.type == elf::kTypeLoad) {
      NOPTE_TRY(map_segment(space, image, object, segment));
    }
  }
  return {};
}

Result<Ref<AddressSpace>> build_space(const Program& program) {
  Result<Ref<AddressSpace>> space = AddressSpace::create();
  if (!space) {
    return space;
  }
  if (const AddressSpace* const before = current().space;
      before != nullptr && before->large_leaves_barred()) {
    (*space)->bar_large_leaves(true);
  }
  (*space)->set_mmap_top(program.places.mmap_top);
  NOPTE_TRY(map_image(**space, program.main));
  if (program.interpreter.file) {
    NOPTE_TRY(map_image(**space, program.interpreter));
  }
  NOPTE_TRY(
      (*space)->map_stack(program.places.stack_top, program.main.layout.exec_stack ? kPermRWX : kPermRW));
  (*space)->set_limits(current_process().limits->of_space());
  const elf::Layout& layout = program.main.layout;
  (*space)->set_brk_start(layout.span.end + layout.bias + program.places.heap_gap_bytes);
  return space;
}

// Where a segment is longer in memory than in the file, all that follows the file's bytes in their last page
// reads as zero, as on Linux: ld.so takes what lies behind its bss for zero pages.
Result<void> zero_tails(const Image& image) {
  const std::span<const elf::ProgramHeader> segments = image.segments();
  for (u64 index = 0; index < segments.size(); ++index) {
    if (!elf::has_zeros_behind_file(segments[index])) {
      continue;
    }
    if (const VaRange tail = elf::tail_of(segments, index); !tail.empty()) {
      NOPTE_TRY(arch::zero_user(tail.begin + image.layout.bias, tail.bytes()));
    }
  }
  return {};
}

// A program that is ready to run: what remains of exec once nothing of it can fail any more.
struct NewImage {
  Ref<AddressSpace> space;
  Ref<files::Inode> executable;
  char comm[sizeof(Thread::comm)] = {};
  Gva entry;
  Gva stack;
  ExecIdentity identity;
  bool owes = false;      // settle_words() has something to do
  bool too_late = false;  // it cannot run, and by Linux's order of things the old program is gone
};

void set_comm(NewImage& image, std::string_view path) {
  if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos) {
    path.remove_prefix(slash + 1);
  }
  path = path.substr(0, sizeof(image.comm) - 1);
  std::memcpy(image.comm, path.data(), path.size());
}

void reset_signals(Thread& self) {
  unshare_signal_actions(*self.process);
  clear_signal_handlers(*self.process);
  self.signals.alternate = {};
}

// The thread has descriptors of its own; as on Linux the process ends where there is no memory for them.
void unshare_table(Thread& self) {
  if (!self.files->table_shared()) {
    return;
  }
  Ref<files::ProcessFiles> table = self.files->clone(*self.directories);
  if (!table) {
    exit_process(kSIGKILL);
  }
  std::exchange(self.files, table.detach())->release_table();
}

// As Linux, what is readable to its own user alone cannot be looked into.
void take_identity(Thread& self, ExecIdentity& now) {
  const Identity& before = identity_of(self);
  self.process->dumpable = !now.secure;
  if (now.sets_identity) {
    self.personality &= ~kPersonalityLostBySetId;
  }
  if (now.identity == before) {
    return;
  }
  if (now.secure) {
    self.process->parent_death_signal = 0;
  }
  if (commit_identity(self, std::move(now.identity)) != 0) {
    exit_process(kSIGKILL);
  }
}

// The running thread, alone in its process, becomes the new program.
void become(Thread& self, NewImage& image) {
  unshare_table(self);
  if (image.owes) {
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
  take_identity(self, image.identity);
  reset_signals(self);
  self.process->exit_signal = kSIGCHLD;
  self.process->executed = true;
  drop_numbered_timers(*self.process);
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
  leave_kernel(registers);
  arch::return_to_user(registers);
}

i64 errno_of_arguments(Status status) { return status == Status::kLimit ? -kE2BIG : to_errno(status); }

i64 make_image(Program& program, std::string_view path, ProgramArguments& arguments, NewImage& image) {
  Thread& self = current();
  const auto fails_late = [&image](Status status) {
    image.too_late = status != Status::kNoMemory && status != Status::kLimit;
    return image.too_late ? -kENOEXEC : to_errno(status);
  };
  if (program.fatal()) {
    return fails_late(Status::kInvalid);
  }
  Result<Ref<AddressSpace>> space = build_space(program);
  if (!space) {
    return fails_late(space.error());
  }
  const Image& interpreter = program.interpreter;
  const files::Inode& owner = *program.main.file->inode();
  image.identity = identity_after_exec(identity(), {owner.mode, owner.uid, owner.gid});
  const Identity& next = image.identity.identity;
  const ImageFacts facts{.program_headers = program.main.layout.headers_at,
                         .program_header_count = program.main.header.program_header_count,
                         .entry = program.main.entry(),
                         .interpreter_base = interpreter.file ? interpreter.layout.bias : 0,
                         .user = next.user.real,
                         .effective_user = next.user.effective,
                         .group = next.group.real,
                         .effective_group = next.group.effective,
                         .secure = image.identity.secure};
  const Places& places = program.places;
  const Result<InitialStack> stack =
      stage_initial_stack(arguments, facts, path, places.stack_top - places.stack_gap_bytes);
  if (!stack) {
    return errno_of_arguments(stack.error());
  }
  image.owes = self.space != nullptr && owes_words(self);
  activate_space(space->get());
  const Result<void> written = arch::copy_to_user(stack->begin, stack->image, stack->bytes);
  Result<void> zeroed = written;
  if (zeroed) {
    zeroed = zero_tails(program.main);
  }
  if (zeroed && interpreter.file) {
    zeroed = zero_tails(interpreter);
  }
  if (!zeroed) {
    activate_space(self.space);
    return !written && written.error() == Status::kBadAddress ? -kE2BIG : fails_late(zeroed.error());
  }
  image.space = std::move(*space);
  image.executable = Ref<files::Inode>(program.main.file->inode());
  image.entry = Gva{program.entry()};
  image.stack = stack->begin;
  set_comm(image, path);
  return 0;
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

i64 load_program(const ExecRequest& request, NewImage& image) {
  Scratch scratch;
  std::string_view path;
  std::string_view within;
  ProgramPlace place;
  if (const i64 error = load_path(request, *scratch.operator->(), path, within, place); error != 0) {
    return error;
  }
  if (const i64 error = find_program(scratch->program, within, place); error != 0) {
    return error;
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
  if ((args.a4 & ~u64{files::kAtSymlinkNoFollow | files::kAtEmptyPath}) != 0) {
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
