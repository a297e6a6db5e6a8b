// The file is an ELF64 one (fs/binfmt_elf.c of Linux has the layout): notes with the registers of each thread
// and what the process was, then a segment for each mapping. Of the mappings the private ones that are
// anonymous or may be written have their contents in the file, as far as pages are in memory; the rest are
// holes.
#include "guest-mm/kernel/program/core_dump.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/proc/text_builder.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/program/elf.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal.h"
#include "guest-mm/kernel/system/system_settings.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/time/wall_time.h"

namespace nopte::guest {

namespace {

constexpr SignalSet kLeaveCore = signal_bit(kSIGQUIT) | signal_bit(kSIGILL) | signal_bit(kSIGTRAP) |
                                 signal_bit(kSIGABRT) | signal_bit(kSIGFPE) | signal_bit(kSIGSEGV) |
                                 signal_bit(kSIGBUS) | signal_bit(kSIGSYS) | signal_bit(kSIGXCPU) |
                                 signal_bit(kSIGXFSZ);

// struct elf_prstatus.
struct ThreadNote {
  i32 signal = 0, code = 0, error = 0;
  i32 current_signal = 0;
  u64 pending = 0, blocked = 0;
  i32 tid = 0, parent = 0, group = 0, session = 0;
  Timeval user, system, children_user, children_system;
  UserRegisters registers{};
  u64 fs_base = 0, gs_base = 0, segments[4] = {};
  i32 has_fpu = 0, pad = 0;
};
static_assert(sizeof(ThreadNote) == 336);

// struct elf_prpsinfo.
struct ProcessNote {
  char state = 0, state_letter = 'R', zombie = 0, nice = 0;
  u32 hole = 0;
  u64 flags = 0;
  u32 user = 0, group = 0;
  i32 pid = 0, parent = 0, process_group = 0, session = 0;
  char name[16] = {}, arguments[80] = {};
};
static_assert(sizeof(ProcessNote) == 136 && std::has_unique_object_representations_v<ProcessNote> &&
              std::has_unique_object_representations_v<ThreadNote>);

constexpr u64 kFpuNoteBytes = 512;

struct NoteHeader {
  u32 name_bytes = 5, bytes, type;
  char name[8] = "CORE";
};
static_assert(sizeof(NoteHeader) == 20);
constexpr u32 kThreadNote = 1, kFpuNote = 2, kProcessNote = 3;

// What may have been written counts as anonymous, as on Linux what was.
constexpr bool has_contents(const Vma& vma, u32 filter) {
  const bool anonymous = vma.object == nullptr || vma.perm.write();
  return vma.sharing == Sharing::kPrivate && (vma.flags & kVmaDontDump) == 0 &&
         ((anonymous && (filter & kCoreAnonymous) != 0) ||
          (vma.object != nullptr && (filter & kCoreOfFiles) != 0));
}

template <class Visit>
void for_each_vma(const AddressSpace& space, Visit visit) {
  for (auto vma = space.at_or_after(kUserRange.begin); vma; vma = space.at_or_after(vma->range.end))
    visit(*vma);
}

// Writes one piece behind the other; no more than the limit allows, holes not counted.
class CoreFile {
 public:
  CoreFile(files::File& file, u64 limit) : file_(file), left_(limit) {}

  void put(const void* data, u64 bytes) {
    if (full_ || bytes > left_ ||
        file_.write(files::IoBuffer::kernel(data), bytes, at_, nullptr) != static_cast<i64>(bytes)) {
      full_ = true;
      return;
    }
    left_ -= bytes;
    at_ += bytes;
  }
  void skip(u64 bytes) {
    at_ += bytes;
    full_ = full_ || at_ >= files::TmpfsFile::kLimitBytes;
  }
  void skip_to(u64 offset) { at_ = offset; }
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] u64 at() const { return at_; }
  void end() {
    if (!full_) (void)file_.truncate(at_);
  }

 private:
  files::File& file_;
  u64 left_;
  u64 at_ = 0;
  bool full_ = false;
};

template <class Note>
void put_note(CoreFile& core, u32 type, const Note& note, u64 bytes = sizeof(Note)) {
  const NoteHeader header{.bytes = static_cast<u32>(bytes), .type = type};
  core.put(&header, sizeof(header));
  core.put(&note, bytes);
}

ThreadNote note_of(const Thread& thread, i32 signal, const UserRegisters& registers) {
  const Process& process = *thread.process;
  const Spent spent = spent_by(thread);
  return {.signal = signal,
          .current_signal = signal,
          .pending = thread.signals.pending.set,
          .blocked = thread.signals.blocked,
          .tid = thread.tid,
          .parent = process.parent != nullptr ? process.parent->pid : 0,
          .group = process.pgid,
          .session = process.sid,
          .user = to_timeval(spent.user_ns()),
          .system = to_timeval(spent.system_ns),
          .children_user = to_timeval(process.of_children.user_ns()),
          .children_system = to_timeval(process.of_children.system_ns),
          .registers = registers,
          .fs_base = &thread == &current() ? arch::fs_base() : thread.fs_base,
          .gs_base = &thread == &current() ? arch::gs_base() : thread.context.gs_base,
          .has_fpu = &thread == &current() ? 1 : 0};
}

ProcessNote note_of(const Process& process) {
  const Identity& own = identity();
  ProcessNote note{.nice = static_cast<char>(current().scheduling.nice),
                   .user = own.user.real,
                   .group = own.group.real,
                   .pid = process.pid,
                   .parent = process.parent != nullptr ? process.parent->pid : 0,
                   .process_group = process.pgid,
                   .session = process.sid};
  std::copy_n(current().comm, sizeof(note.name), note.name);
  std::copy_n(current().comm, sizeof(note.name), note.arguments);
  return note;
}

bool lives(const Thread& thread) { return thread.state != ThreadState::kEnded && &thread != &current(); }

void put_contents(CoreFile& core, const AddressSpace& space, const Vma& vma, HeapBuffer& page) {
  constexpr u64 kStretch = u64{1} << 18;  // pages: holes are most of a large one
  for (Gva at = vma.range.begin; at < vma.range.end && !core.full();) {
    const u64 ahead = std::min(kStretch, (vma.range.end - at) >> kPageShift);
    if ((at - vma.range.begin) % pages_to_bytes(kStretch) == 0) {
      const Result<InstalledPages> there = space.installed(VaRange::of_pages(at, ahead));
      if (there && there->pages == 0) {
        core.skip(pages_to_bytes(ahead));
        at = at + pages_to_bytes(ahead);
        continue;
      }
    }
    const u64 pages = std::min(kMostResident, (vma.range.end - at) >> kPageShift);
    const Result<u64> resident = space.resident(VaRange::of_pages(at, pages));
    for (u64 i = 0; i < pages; ++i, at = at + kPageBytes) {
      if (resident && (*resident >> i & 1) != 0 && arch::copy_from_user(page.data(), at, kPageBytes)) {
        core.put(page.data(), kPageBytes);
      } else {
        core.skip(kPageBytes);
      }
    }
  }
}

void put_all(CoreFile& core, i32 signal, const UserRegisters& registers, HeapBuffer& page) {
  constexpr u16 kCore = 4, kX86 = 62;
  constexpr u32 kTypeNote = 4;
  Thread& self = current();
  const AddressSpace& space = *self.space;
  u64 segments = 0, others = 0;
  for_each_vma(space, [&](const Vma&) { ++segments; });
  self.process->for_each_thread([&](const Thread& thread) { others += lives(thread) ? 1 : 0; });
  const elf::FileHeader header{.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                               .type = kCore,
                               .machine = kX86,
                               .version = 1,
                               .entry = 0,
                               .program_headers = sizeof(elf::FileHeader),
                               .section_headers = 0,
                               .flags = 0,
                               .header_bytes = sizeof(elf::FileHeader),
                               .program_header_bytes = sizeof(elf::ProgramHeader),
                               .program_header_count = static_cast<u16>(segments + 1),
                               .section_header_bytes = 0,
                               .section_header_count = 0,
                               .section_names = 0};
  core.put(&header, sizeof(header));
  const u64 notes_at = sizeof(elf::FileHeader) + (segments + 1) * sizeof(elf::ProgramHeader);
  const u64 notes_bytes = (1 + others) * (sizeof(NoteHeader) + sizeof(ThreadNote)) + sizeof(NoteHeader) +
                          sizeof(ProcessNote) + sizeof(NoteHeader) + kFpuNoteBytes;
  const elf::ProgramHeader notes{.type = kTypeNote,
                                 .flags = 0,
                                 .offset = notes_at,
                                 .address = 0,
                                 .physical = 0,
                                 .file_bytes = notes_bytes,
                                 .memory_bytes = 0,
                                 .align = 4};
  core.put(&notes, sizeof(notes));
  const u32 filter = self.process->core_filter;
  const u64 contents_at = pages_to_bytes(bytes_to_pages(notes_at + notes_bytes));
  u64 offset = contents_at;
  for_each_vma(space, [&](const Vma& vma) {
    const u32 rights = (vma.perm.read() ? 4 : 0) | (vma.perm.write() ? 2 : 0) | (vma.perm.exec() ? 1 : 0);
    const u64 bytes = vma.range.bytes();
    const elf::ProgramHeader segment{.type = elf::kTypeLoad,
                                     .flags = rights,
                                     .offset = offset,
                                     .address = vma.range.begin.value(),
                                     .physical = 0,
                                     .file_bytes = has_contents(vma, filter) ? bytes : 0,
                                     .memory_bytes = bytes,
                                     .align = kPageBytes};
    core.put(&segment, sizeof(segment));
    offset += segment.file_bytes;
  });
  arch::save_fpu(self.fpu);
  put_note(core, kThreadNote, note_of(self, signal, registers));
  put_note(core, kProcessNote, note_of(*self.process));
  put_note(core, kFpuNote, self.fpu.bytes, kFpuNoteBytes);
  self.process->for_each_thread([&](const Thread& thread) {
    if (lives(thread)) put_note(core, kThreadNote, note_of(thread, signal, *thread.registers));
  });
  core.skip_to(contents_at);
  for_each_vma(space, [&](const Vma& vma) {
    if (has_contents(vma, filter)) put_contents(core, space, vma, page);
  });
  core.end();
}

// core_pattern with its % replaced (core(5)); what it does not know is left out.
void add_name(files::TextBuilder& name, i32 signal) {
  const std::string_view pattern = SystemSettings::core_pattern;
  const i32 pid = current_process().pid;
  const Identity& own = identity();
  bool named = false;
  for (u64 i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      name.add(pattern[i]);
      continue;
    }
    if (++i == pattern.size()) break;
    switch (pattern[i]) {
      case '%':
        name.add('%');
        break;
      case 'p':
      case 'P':
        name.add(pid);
        named = true;
        break;
      case 'i':
      case 'I':
        name.add(current().tid);
        break;
      case 'u':
        name.add(own.user.real);
        break;
      case 'g':
        name.add(own.group.real);
        break;
      case 's':
        name.add(signal);
        break;
      case 't':
        name.add(wall_ns() / 1'000'000'000);
        break;
      case 'e':
        for (const char c :
             std::string_view(current().comm,
                              static_cast<u64>(std::find(current().comm, std::end(current().comm), char{0}) -
                                               current().comm))) {
          name.add(c == '/' ? '!' : c);  // a name in the folder, whatever the program calls itself
        }
        break;
      default:
        break;
    }
  }
  if (!named && SystemSettings::core_uses_pid != 0) name.add('.', pid);
}

}  // namespace

i32 leave_core(i32 signal, const UserRegisters& registers) {
  Thread& self = current();
  const u64 limit = self.process->limits->of(Resource::kCoreBytes).now;
  if (limit < kPageBytes || (signal_bit(signal) & kLeaveCore) == 0 || !self.process->dumpable) return 0;
  // A program that takes it from a pipe is not started; what has more mappings than 16 bits count is not
  // told.
  constexpr u64 kMostMappings = 0xfff0;
  if (SystemSettings::core_pattern[0] == '|' || self.space->regions() > kMostMappings) return 0;
  files::TextBuilder name;
  add_name(name, signal);
  HeapBuffer page(kPageBytes);
  if (name.failed() || !page) return 0;
  files::ProcessFiles& view = *self.directories;
  (void)files::remove(view, name.text());
  files::ErrnoOr<Ref<files::File>> file = files::open(
      view, name.text(), files::kOpenWriteOnly | files::kOpenCreate | files::kOpenExclusive, 0600);
  if (!file) return 0;
  CoreFile core(**file, limit);
  put_all(core, signal, registers, page);
  return kCoreDumped;
}

}  // namespace nopte::guest
