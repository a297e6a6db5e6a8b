// execve: find the program (through "#!" lines), check it, stage the arguments, build a new address space
// beside the old one, and only when nothing can fail any more leave the old one. Every error leaves the
// caller as it was.
#include "guest-mm/kernel/exec.h"

#include <cstring>
#include <new>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/elf.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/initial_stack.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/process_space.h"
#include "guest-mm/kernel/program_arguments.h"
#include "guest-mm/kernel/robust_list.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/wait.h"

namespace nopte::guest {

namespace {

constexpr u32 kMostScripts = 4;
constexpr u64 kScriptLineBytes = 256;  // Linux's BINPRM_BUF_SIZE

// The "#!" line of a script.
struct ScriptLine {
  char text[kScriptLineBytes];
  std::string_view interpreter;
  std::string_view argument;  // empty: none
};

// An ELF file that becomes part of the new space.
struct Image {
  Ref<files::File> file;  // null: there is none
  u64 file_bytes = 0;
  elf::FileHeader header;
  elf::ProgramHeader headers[elf::kMostProgramHeaders];
  elf::Layout layout;

  [[nodiscard]] std::span<const elf::ProgramHeader> segments() const {
    return {headers, header.program_header_count};
  }
  [[nodiscard]] u64 entry() const { return header.entry + layout.bias; }
};

// What exec found out; static, as it is too big for the stack and exec neither sleeps nor nests.
struct Program {
  Image main;
  Image interpreter;  // ld.so, of a dynamic program
  char interpreter_path[elf::kLongestInterpreter];
  std::string_view interpreter_name;  // empty: the program names none
  u32 scripts = 0;
  ScriptLine lines[kMostScripts];

  // Where it starts.
  [[nodiscard]] u64 entry() const { return interpreter.file ? interpreter.entry() : main.entry(); }
};

struct ExecScratch {
  Program program;
  char path[files::kPathBytes];
};
alignas(ExecScratch) constinit u8 g_scratch_bytes[sizeof(ExecScratch)] = {};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// line.text holds `bytes` bytes of a file that begins with "#!".
bool parse_script(ScriptLine& line, u64 bytes) {
  std::string_view text(line.text + 2, bytes - 2);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos && bytes == kScriptLineBytes) {
    return false;  // cut off
  }
  text = trim(text.substr(0, end));
  const std::size_t blank = text.find_first_of(" \t");
  line.interpreter = text.substr(0, blank);
  line.argument = blank == std::string_view::npos ? std::string_view{} : trim(text.substr(blank));
  return !line.interpreter.empty();
}

// Reads `bytes` bytes, all of them: -EIO where the file ends before, as on Linux.
i64 read_whole(files::File& file, u64 offset, void* to, u64 bytes) {
  const i64 read = files::read_at(file, offset, to, bytes);
  return read < 0 ? read : read == static_cast<i64>(bytes) ? 0 : -kEIO;
}

// The first bytes of the image's file, into its header; how many there are.
i64 read_file_header(Image& image) {
  image.file_bytes = image.file->end_bytes();
  return files::read_at(*image.file, 0, &image.header, sizeof(image.header));
}

// Whether the header, of which `bytes` were read, and the program headers are good.
bool read_headers(Image& image, i64 bytes, elf::Role role) {
  if (bytes != static_cast<i64>(sizeof(image.header)) ||
      elf::check_header(image.header, image.file_bytes) != elf::Check::kGood ||
      read_whole(*image.file, image.header.program_headers, image.headers, image.segments().size_bytes()) !=
          0) {
    return false;
  }
  image.layout = elf::check_program_headers(image.header, image.segments(), image.file_bytes, role);
  return image.layout.check == elf::Check::kGood;
}

// Linux's answers: the path's own errors; EIO for a file too short to have a header, ELIBBAD for what is no
// ELF file that can be run.
i64 find_interpreter(Program& program) {
  const std::optional<elf::PathInFile> where = elf::interpreter_of(program.main.segments());
  if (!where) {
    return 0;
  }
  if (where->bytes < 2 || where->bytes > elf::kLongestInterpreter) {
    return -kENOEXEC;
  }
  char* const path = program.interpreter_path;
  if (const i64 error = read_whole(*program.main.file, where->offset, path, where->bytes); error != 0) {
    return error;
  }
  if (path[where->bytes - 1] != '\0') {
    return -kENOEXEC;
  }
  program.interpreter_name = path;
  auto opened = files::open_executable(*current().files, path);
  if (!opened) {
    return -static_cast<i64>(opened.error());
  }
  program.interpreter.file = std::move(*opened);
  const i64 bytes = read_file_header(program.interpreter);
  if (bytes < static_cast<i64>(sizeof(elf::FileHeader))) {
    return bytes < 0 ? bytes : -kEIO;
  }
  return read_headers(program.interpreter, bytes, elf::Role::kInterpreter) ? 0 : -kELIBBAD;
}

// Follows "#!" lines to the program that will run.
i64 find_program(Program& program, std::string_view path) {
  for (;;) {
    auto opened = files::open_executable(*current().files, path);
    if (!opened) {
      return -static_cast<i64>(opened.error());
    }
    files::File& file = *(program.main.file = std::move(*opened));
    const i64 header_bytes = read_file_header(program.main);
    const u8* const mark = program.main.header.ident;
    if (header_bytes < 2 || mark[0] != '#' || mark[1] != '!') {
      return read_headers(program.main, header_bytes, elf::Role::kProgram) ? find_interpreter(program)
                                                                           : -kENOEXEC;
    }
    if (program.scripts == kMostScripts) {
      return -kELOOP;
    }
    ScriptLine& line = program.lines[program.scripts];
    const i64 bytes = files::read_at(file, 0, line.text, kScriptLineBytes);
    if (bytes < 2 || !parse_script(line, static_cast<u64>(bytes))) {
      return -kENOEXEC;
    }
    ++program.scripts;
    path = line.interpreter;
  }
}

// What stands before the program's own arguments: the interpreters with their arguments, and the script.
Result<u64> add_script_arguments(ProgramArguments& out, const Program& program, std::string_view path) {
  u64 count = 0;
  for (u32 index = program.scripts; index-- > 0;) {
    const ScriptLine& line = program.lines[index];
    NOPTE_TRY(out.add(line.interpreter));
    ++count;
    if (!line.argument.empty()) {
      NOPTE_TRY(out.add(line.argument));
      ++count;
    }
  }
  if (program.scripts != 0) {
    NOPTE_TRY(out.add(path));
    ++count;
  }
  return count;
}

Result<void> map_segment(AddressSpace& space, const Image& image, const Ref<MemoryObject>& object,
                         const elf::ProgramHeader& segment) {
  const Gva begin{segment.address + image.layout.bias};
  const Gva base = begin.page_base();
  const u64 file_pages =
      segment.file_bytes == 0 ? 0 : bytes_to_pages(begin.page_offset() + segment.file_bytes);
  const u64 pages = bytes_to_pages(begin.page_offset() + segment.memory_bytes);
  const Perm perm = elf::segment_perm(segment);
  if (file_pages != 0) {
    NOPTE_TRY(space.map({.hint = base,
                         .bytes = pages_to_bytes(file_pages),
                         .perm = perm,
                         .placement = Placement::kFixedNoReplace,
                         .object = object,
                         .offset_bytes = segment.offset - begin.page_offset()}));
  }
  if (pages > file_pages) {
    NOPTE_TRY(space.map({.hint = base + pages_to_bytes(file_pages),
                         .bytes = pages_to_bytes(pages - file_pages),
                         .perm = perm,
                         .placement = Placement::kFixedNoReplace}));
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
  NOPTE_TRY(map_image(**space, program.main));
  if (program.interpreter.file) {
    NOPTE_TRY(map_image(**space, program.interpreter));
  }
  NOPTE_TRY((*space)->map_stack());
  const elf::Layout& layout = program.main.layout;
  (*space)->set_brk_start(layout.span.end + layout.bias);
  return space;
}

// Where a segment is longer in memory than in the file, all that follows the file's bytes in their last page
// reads as zero, as on Linux: ld.so takes what lies behind its bss for zero pages.
Result<void> zero_tails(const Image& image) {
  for (const elf::ProgramHeader& segment : image.segments()) {
    const Gva file_end{segment.address + image.layout.bias + segment.file_bytes};
    if (segment.type == elf::kTypeLoad && segment.file_bytes != 0 &&
        segment.memory_bytes > segment.file_bytes && !file_end.page_aligned() &&
        elf::segment_perm(segment).write()) {
      NOPTE_TRY(arch::zero_user(file_end, kPageBytes - file_end.page_offset()));
    }
  }
  return {};
}

void set_comm(Process& process, std::string_view path) {
  if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos) {
    path.remove_prefix(slash + 1);
  }
  path = path.substr(0, sizeof(process.comm) - 1);
  std::memset(process.comm, 0, sizeof(process.comm));
  std::memcpy(process.comm, path.data(), path.size());
}

void reset_signals(SignalState& signals) {
  for (SignalAction& action : signals.actions) {
    const u64 handler =
        action.handler == SignalAction::kIgnore ? SignalAction::kIgnore : SignalAction::kDefault;
    action = {.handler = handler, .flags = 0, .restorer = 0, .mask = 0};
  }
  signals.alternate = {};
}

// From here on nothing fails: the process becomes the new program.
void become(Process& self, Program& program, Ref<AddressSpace> space, std::string_view path, u64 stack,
            bool owes) {
  if (owes) {
    activate_space(self.space);
    settle_words(self);
    activate_space(space.get());
  }
  AddressSpace* old = std::exchange(self.space, space.detach());
  if (old != nullptr) {
    old->release();
  }
  finish_vfork(self);
  self.files->table.close_on_exec();
  files::Inode* executable = program.main.file->inode();
  if (executable != nullptr) {
    executable->retain();
  }
  if (files::Inode* before = std::exchange(self.executable, executable); before != nullptr) {
    before->release();
  }
  set_comm(self, path);
  reset_signals(self.signals);
  self.exit_signal = kSIGCHLD;
  self.initial_stack = Gva{stack};
  self.clear_child_tid = 0;
  self.robust_list = 0;
  self.fs_base = 0;
  arch::set_fs_base(0);
  arch::load_initial_fpu();
  arch::init_user_registers(*self.registers, Gva{program.entry()}, Gva{stack});
}

i64 errno_of_arguments(Status status) { return status == Status::kLimit ? -kE2BIG : to_errno(status); }

i64 start_program(Program& program, std::string_view path, ProgramArguments& arguments) {
  Process& self = current();
  Result<Ref<AddressSpace>> space = build_space(program);
  if (!space) {
    return space.error() == Status::kInvalid || space.error() == Status::kOverlap ? -kENOEXEC
                                                                                  : to_errno(space.error());
  }
  const Image& interpreter = program.interpreter;
  const ImageFacts facts{.program_headers = program.main.layout.headers_at,
                         .program_header_count = program.main.header.program_header_count,
                         .entry = program.main.entry(),
                         .interpreter_base = interpreter.file ? interpreter.layout.bias : 0};
  const Result<InitialStack> stack = stage_initial_stack(arguments, facts, path, kStackTop);
  if (!stack) {
    return errno_of_arguments(stack.error());
  }
  const bool owes = self.space != nullptr && owes_words(self);
  activate_space(space->get());
  Result<void> written = arch::copy_to_user(stack->begin, stack->image, stack->bytes);
  if (written) {
    written = zero_tails(program.main);
  }
  if (written && interpreter.file) {
    written = zero_tails(interpreter);
  }
  if (!written) {
    activate_space(self.space);
    return written.error() == Status::kBadAddress ? -kE2BIG : to_errno(written.error());
  }
  become(self, program, std::move(*space), path, stack->begin.value(), owes);
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

}  // namespace

i64 sys_execve(const SyscallArgs& args) {
  Scratch scratch;
  const Result<u64> length = arch::copy_string_from_user(scratch->path, Gva{args.a0}, sizeof(scratch->path));
  if (!length) {
    return length.error() == Status::kLimit ? -kENAMETOOLONG : -kEFAULT;
  }
  const std::string_view path(scratch->path, *length);
  if (const i64 error = find_program(scratch->program, path); error != 0) {
    return error;
  }
  ProgramArguments arguments;
  const bool script = scratch->program.scripts != 0;
  const Result<u64> before = add_script_arguments(arguments, scratch->program, path);
  if (!before) {
    return errno_of_arguments(before.error());
  }
  const Result<u64> given = arguments.add_user_array(Gva{args.a1}, script ? 1 : 0);
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
  const Result<u64> environment = arguments.add_user_array(Gva{args.a2});
  if (!environment) {
    return errno_of_arguments(environment.error());
  }
  arguments.environment = *environment;
  return start_program(scratch->program, path, arguments);
}

i64 exec_first_program(std::string_view path, std::span<const std::string_view> arguments,
                       std::span<const std::string_view> environment) {
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
  return start_program(scratch->program, path, staged);
}

}  // namespace nopte::guest
