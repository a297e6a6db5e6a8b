#include "guest-mm/kernel/core_dump.h"

#include <algorithm>
#include <cstring>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/elf.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/text_builder.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/system_settings.h"

namespace nopte::guest {

namespace {

constexpr SignalSet kWithCore = signal_bit(kSIGQUIT) | signal_bit(kSIGILL) | signal_bit(kSIGTRAP) |
                                signal_bit(kSIGABRT) | signal_bit(kSIGBUS) | signal_bit(kSIGFPE) |
                                signal_bit(kSIGSEGV) | signal_bit(kSIGXCPU) | signal_bit(kSIGXFSZ) |
                                signal_bit(kSIGSYS);
constexpr i32 kDumped = 0x80;

// struct elf_prstatus (include/linux/elfcore.h).
struct ThreadStatus {
  i32 signal = 0, code = 0, error = 0;
  i16 current_signal = 0;
  i16 pad = 0;
  u64 pending = 0, blocked = 0;
  i32 pid = 0, parent = 0, group = 0, session = 0;
  i64 times[8] = {};
  u64 registers[27] = {};  // struct user_regs_struct
  i32 has_fpu = 0;
  i32 end = 0;
};
static_assert(sizeof(ThreadStatus) == 336);

// Before it: struct elf64_note and its name.
struct NoteHeader {
  u32 name_bytes = 5, bytes = sizeof(ThreadStatus), type = 1;  // NT_PRSTATUS
  char name[8] = "CORE";
};
static_assert(sizeof(NoteHeader) == 20);
constexpr u64 kNoteBytes = sizeof(NoteHeader) + sizeof(ThreadStatus);

ThreadStatus status_of(i32 signal, const UserRegisters& r) {
  const Thread& self = current();
  const Process& process = *self.process;
  ThreadStatus status;
  status.signal = signal;
  status.current_signal = static_cast<i16>(signal);
  status.pending = self.signals.pending.set;
  status.blocked = self.signals.blocked;
  status.pid = self.tid;
  status.parent = process.parent != nullptr ? process.parent->pid : 0;
  status.group = process.pgid;
  status.session = process.sid;
  const u64 values[] = {r.r15, r.r14, r.r13, r.r12, r.rbp,      r.rbx, r.r11, r.r10,    r.r9,  r.r8, r.rax,
                        r.rcx, r.rdx, r.rsi, r.rdi, r.orig_rax, r.rip, r.cs,  r.rflags, r.rsp, r.ss};
  std::ranges::copy(values, status.registers);
  status.registers[std::size(values)] = arch::fs_base();
  return status;
}

// What of a region goes to the file: memory that no file holds.
u64 bytes_in_file(const Vma& vma) {
  const bool of_file = vma.object != nullptr && vma.object->inode() != 0;
  return of_file || vma.perm.none() || (vma.flags & kVmaDontDump) != 0 ? 0 : vma.range.bytes();
}

class Dump {
 public:
  Dump(files::File& file, u64 most) : file_(file), most_(most) {}

  // Whatever fits; what is not written reads zero.
  void write(const files::IoBuffer& from, u64 bytes, u64 offset) {
    if (offset < most_) (void)file_.write(from, std::min(bytes, most_ - offset), offset, nullptr);
  }
  void write(const void* from, u64 bytes, u64 offset) { write(files::IoBuffer::kernel(from), bytes, offset); }
  void write_region(const AddressSpace& space, VaRange range, u64 offset) {
    for (Gva at = range.begin; at < range.end && offset + (at - range.begin) < most_;) {
      const VaRange some =
          VaRange::of_pages(at, std::min<u64>(kMostResident, (range.end - at) >> kPageShift));
      const u64 resident = space.resident(some).value_or(0);
      for (u64 page = 0; page < some.pages(); ++page, at += kPageBytes) {
        if ((resident >> page & 1) != 0) {
          write(files::IoBuffer::user(at.value()), kPageBytes, offset + (at - range.begin));
        }
      }
    }
  }

 private:
  files::File& file_;
  u64 most_;
};

void write_core(files::File& file, u64 most, i32 signal, const UserRegisters& registers) {
  const AddressSpace& space = *current().space;
  Dump dump(file, most);
  const u64 count = space.regions() + 1;
  elf::FileHeader header{};
  std::memcpy(header.ident, "\177ELF\2\1\1", 7);
  header.type = 4;  // ET_CORE
  header.machine = 62;
  header.version = 1;
  header.header_bytes = sizeof(header);
  header.program_headers = sizeof(header);
  header.program_header_bytes = sizeof(elf::ProgramHeader);
  header.program_header_count = static_cast<u16>(std::min<u64>(count, 0xfffe));
  dump.write(&header, sizeof(header), 0);
  u64 place = sizeof(header);
  u64 data = place + count * sizeof(elf::ProgramHeader);
  const NoteHeader note;
  const ThreadStatus status = status_of(signal, registers);
  elf::ProgramHeader segment{};
  segment.type = 4;  // PT_NOTE
  segment.offset = data;
  segment.file_bytes = kNoteBytes;
  dump.write(&segment, sizeof(segment), place);
  dump.write(&note, sizeof(note), data);
  dump.write(&status, sizeof(status), data + sizeof(note));
  data = (data + kNoteBytes + kPageMask) & ~kPageMask;
  for (auto vma = space.at_or_after(Gva{}); vma; vma = space.at_or_after(vma->range.end)) {
    segment = {};
    segment.type = elf::kTypeLoad;
    segment.flags = (vma->perm.read() ? 4 : 0) | (vma->perm.write() ? 2 : 0) | (vma->perm.exec() ? 1 : 0);
    segment.offset = data;
    segment.address = vma->range.begin.value();
    segment.file_bytes = bytes_in_file(*vma);
    segment.memory_bytes = vma->range.bytes();
    segment.align = kPageBytes;
    place += sizeof(segment);
    dump.write(&segment, sizeof(segment), place);
    if (segment.file_bytes != 0) dump.write_region(space, vma->range, data);
    data += segment.file_bytes;
  }
  if (file.end_bytes() < std::min(data, most)) (void)file.truncate(std::min(data, most));
}

// core(5): of what a pattern may ask for, the number of the process, its name, its users and the signal.
void add_name(files::TextBuilder& out, i32 signal) {
  const std::string_view pattern = SystemSettings::core_pattern;
  const Process& process = current_process();
  bool with_pid = SystemSettings::core_uses_pid == 0;
  for (u64 at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '%' || at + 1 == pattern.size()) {
      out.add(pattern.substr(at, 1));
      continue;
    }
    switch (pattern[++at]) {
      case 'p':
        out.add(process.pid);
        with_pid = true;
        break;
      case 's':
        out.add(signal);
        break;
      case 'u':
        out.add(identity().user.real);
        break;
      case 'e':
        out.add(std::string_view(current().comm));
        break;
      case '%':
        out.add("%");
        break;
      default:
        break;
    }
  }
  if (!with_pid) out.add(".", process.pid);
}

}  // namespace

i32 end_by_signal(i32 signal, const UserRegisters& registers) {
  const Process& process = current_process();
  const u64 most = process.limits->of(Resource::kCoreBytes).now;
  if (most < kPageBytes) [[likely]] {
    return signal;
  }
  if ((kWithCore & signal_bit(signal)) == 0 || !process.dumpable || SystemSettings::core_pattern[0] == '|') {
    return signal;
  }
  files::TextBuilder name;
  add_name(name, signal);
  const auto file = files::open(files::current_directories(), name.text(),
                                files::kOpenWriteOnly | files::kOpenCreate | files::kOpenTruncate |
                                    files::kOpenNoFollow | files::kOpenNonBlock,
                                0600);
  if (name.failed() || !file || !(*file)->inode()->is_regular()) {
    return signal;
  }
  write_core(**file, most, signal, registers);
  return signal | kDumped;
}

}  // namespace nopte::guest
