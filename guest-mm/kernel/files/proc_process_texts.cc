// /proc/<pid> files.
#include <algorithm>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/proc_texts.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process_space.h"
#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kNsPerTick = 10'000'000;  // USER_HZ 100
constexpr u64 kNameColumn = 73;

char state_letter(const Thread& thread) {
  switch (thread.state) {
    case ThreadState::kRunnable:
      return 'R';
    case ThreadState::kSleeping:
      return 'S';
    case ThreadState::kStopped:
      return 'T';
    case ThreadState::kEnded:
      return 'Z';
  }
  return '?';
}

const char* state_name(const Thread& thread) {
  switch (thread.state) {
    case ThreadState::kRunnable:
      return "R (running)";
    case ThreadState::kSleeping:
      return "S (sleeping)";
    case ThreadState::kStopped:
      return "T (stopped)";
    case ThreadState::kEnded:
      return "Z (zombie)";
  }
  return "?";
}

std::string_view comm_of(const Thread& thread) {
  u64 bytes = 0;
  while (bytes < sizeof thread.comm && thread.comm[bytes] != 0) {
    ++bytes;
  }
  return {thread.comm, bytes};
}

i32 parent_pid(const Thread& thread) {
  const Process* const parent = thread.process->parent;
  return parent == nullptr ? 0 : parent->pid;
}

u64 promised_pages(const Thread& thread) { return thread.space == nullptr ? 0 : thread.space->pages(); }

u64 resident_of(const Thread& thread) {
  return thread.space == nullptr ? 0 : thread.space->installed(kUserRange).value_or(InstalledPages()).pages;
}

// The region that brk moves; a program's own break may end inside a page.
bool is_heap(const Thread& thread, const Vma& vma) {
  return vma.range.begin < thread.space->brk() && vma.range.end > thread.space->brk_start();
}

struct SignalSets {
  SignalSet ignored = 0;
  SignalSet caught = 0;
};
SignalSets signal_sets(const Thread& thread) {
  SignalSets sets;
  for (i32 signal = 1; signal <= kSignals; ++signal) {
    const u64 handler = thread.process->signals.actions[signal - 1].handler;
    sets.ignored |= handler == SignalAction::kIgnore ? signal_bit(signal) : 0;
    sets.caught |= handler > SignalAction::kIgnore ? signal_bit(signal) : 0;
  }
  return sets;
}

void add_map(TextBuilder& out, const Thread& thread, const Vma& vma) {
  const u64 line = out.size();
  out.add(TextBuilder::Hex{vma.range.begin.value(), 8}, '-', TextBuilder::Hex{vma.range.end.value(), 8}, ' ',
          vma.perm.read() ? 'r' : '-', vma.perm.write() ? 'w' : '-', vma.perm.exec() ? 'x' : '-',
          vma.sharing == Sharing::kShared ? 's' : 'p', ' ', TextBuilder::Hex{vma.offset_bytes, 8});
  if (vma.object != nullptr) {
    out.add(" 00:02 ", vma.object->inode(), ' ');
  } else {
    out.add(" 00:00 0 ");
  }
  const std::string_view name = vma.object != nullptr       ? vma.object->name()
                                : is_heap(thread, vma)      ? std::string_view("[heap]")
                                : vma.flags & kVmaGrowsDown ? std::string_view("[stack]")
                                                            : std::string_view();
  if (!name.empty()) {
    out.pad_to(line, kNameColumn);
    out.add(name);
  }
  out.add('\n');
}

// Two letters for each flag of a mapping, in the order of the bits in Linux (fs/proc/task_mmu.c).
void add_flags(TextBuilder& out, const Vma& vma) {
  const bool shared = vma.sharing == Sharing::kShared;
  const bool may_write = (vma.flags & kVmaNoWrite) == 0;
  const AccessPattern pattern = vma.usage.pattern();
  const LargeLeaves large = vma.usage.large_asked();
  const struct {
    bool set;
    const char* letters;
  } flags[] = {{vma.perm.read(), "rd "},
               {vma.perm.write(), "wr "},
               {vma.perm.exec(), "ex "},
               {shared && may_write, "sh "},
               {true, "mr "},
               {may_write, "mw "},
               {true, "me "},
               {shared, "ms "},
               {(vma.flags & kVmaGrowsDown) != 0, "gd "},
               {(vma.flags & kVmaLocked) != 0, "lo "},
               {pattern == AccessPattern::kSequential, "sr "},
               {pattern == AccessPattern::kRandom, "rr "},
               {(vma.flags & kVmaDontFork) != 0, "dc "},
               {(vma.flags & kVmaLockOnFault) != 0, "lf "},
               {(vma.flags & kVmaNoReserve) != 0, "nr "},
               {(vma.flags & kVmaWipeOnFork) != 0, "wf "},
               {(vma.flags & kVmaDontDump) != 0, "dd "},
               {(vma.flags & kVmaSealed) != 0, "sl "},
               {large == LargeLeaves::kWanted, "hg "},
               {large == LargeLeaves::kNever, "nh "}};
  out.add("VmFlags: ");
  for (const auto& flag : flags) {
    if (flag.set) {
      out.add(flag.letters);
    }
  }
  out.add('\n');
}

// A guard is part of what surrounds it (MADV_GUARD_INSTALL).
Vma without_guard(Vma vma) {
  if ((vma.flags & kVmaGuard) != 0) {
    vma.perm = guarded_perm(vma.flags);
    vma.flags &= ~kVmaGuardMask;
  }
  return vma;
}
bool continues(const Vma& vma, const Vma& next) {
  return vma.range.end == next.range.begin && vma.perm == next.perm && vma.sharing == next.sharing &&
         vma.usage == next.usage && vma.flags == next.flags && vma.object == next.object &&
         (vma.object == nullptr || vma.offset_bytes + vma.range.bytes() == next.offset_bytes);
}

template <class Add>
void for_each_vma(const Thread& thread, Add add) {
  if (thread.space == nullptr) {
    return;
  }
  const AddressSpace& space = *thread.space;
  const bool guards = space.may_have(kVmaGuard);
  for (auto vma = space.at_or_after(kUserRange.begin); vma;) {
    Vma whole = without_guard(*vma);
    for (vma = space.at_or_after(whole.range.end); guards && vma && continues(whole, without_guard(*vma));
         vma = space.at_or_after(whole.range.end)) {
      whole.range.end = vma->range.end;
    }
    add(whole);
  }
}

}  // namespace

void proc_process_maps(TextBuilder& out, Thread& thread, ProcScope) {
  for_each_vma(thread, [&](const Vma& vma) { add_map(out, thread, vma); });
}

// What is known of it: whose pages are whose, and which were written, is the business of whoever owns paging.
void proc_process_smaps(TextBuilder& out, Thread& thread, ProcScope) {
  for_each_vma(thread, [&](const Vma& vma) {
    const auto kib = [](u64 pages) { return TextBuilder::Padded{pages_to_bytes(pages) >> 10, 8}; };
    add_map(out, thread, vma);
    out.add("Size:           ", kib(vma.range.pages()), " kB\nKernelPageSize: ", kib(1),
            " kB\nMMUPageSize:    ", kib(1), " kB\n");
    add_resident_lines(out, resident_pages(*thread.space, vma));
    add_flags(out, vma);
  });
}

void proc_process_stat(TextBuilder& out, Thread& thread, ProcScope scope) {
  const Process& process = *thread.process;
  const bool whole = scope == ProcScope::kProcess;
  const SignalSets sets = signal_sets(thread);
  const auto set = [](SignalSet value) { return value & 0x7fff'ffff; };
  out.add(thread.tid, " (", comm_of(thread), ") ", state_letter(thread), ' ', parent_pid(thread), ' ',
          process.pgid, ' ', process.sid, ' ', process.terminal != nullptr ? process.terminal->device : 0,
          ' ', process.terminal != nullptr ? process.terminal->foreground : -1, " 0 0 0 0 0 ");
  out.add((whole ? cpu_time_ns(process) : cpu_time_ns(thread)) / kNsPerTick, " 0 ",
          process.children_cpu_ns / kNsPerTick, " 0 20 0 ", process.live_threads, " 0 ",
          process.started_ns / kNsPerTick, ' ', pages_to_bytes(promised_pages(thread)), ' ',
          resident_of(thread), " 18446744073709551615 0 0 0 0 0 ");
  out.add(set(thread.signals.pending.set), ' ', set(thread.signals.blocked), ' ', set(sets.ignored), ' ',
          set(sets.caught), " 0 0 0 ", process.exit_signal, " 0 0 0 0 0 0 0 0 0 0 0 0 0 ",
          process.exit_status, '\n');
}

void proc_process_status(TextBuilder& out, Thread& thread, ProcScope) {
  const Process& process = *thread.process;
  const SignalSets sets = signal_sets(thread);
  out.add("Name:\t", comm_of(thread), "\nState:\t", state_name(thread), "\nTgid:\t", process.pid, "\nPid:\t",
          thread.tid, "\nPPid:\t", parent_pid(thread));
  out.add("\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n");
  add_memory_lines(out, thread);
  out.add("Threads:\t", process.live_threads, '\n');
  out.add("SigPnd:\t", TextBuilder::Hex{thread.signals.pending.set, 16}, "\nShdPnd:\t",
          TextBuilder::Hex{process.signals.pending.set, 16}, "\nSigBlk:\t",
          TextBuilder::Hex{thread.signals.blocked, 16}, "\nSigIgn:\t", TextBuilder::Hex{sets.ignored, 16},
          "\nSigCgt:\t", TextBuilder::Hex{sets.caught, 16}, '\n');
}

void proc_process_comm(TextBuilder& out, Thread& thread, ProcScope) { out.add(comm_of(thread), '\n'); }

// Read from the process's own stack, as it is now: argc, pointers to the arguments, null, pointers to the
// environment.
void proc_process_cmdline(TextBuilder& out, Thread& thread, ProcScope) {
  if (thread.space == nullptr || thread.process->initial_stack == Gva()) {
    return;
  }
  constexpr u64 kMostBytes = 4096;
  AddressSpace* const before = active_space();
  activate_space(thread.space);
  u64 count = 0;
  u64 first = 0;
  u64 end = 0;
  const Gva stack = thread.process->initial_stack;
  if (get_user(count, stack.value()) == 0 && count != 0 && count < kMostBytes &&
      get_user(first, (stack + 8).value()) == 0 && get_user(end, (stack + 8 * (count + 2)).value()) == 0) {
    end = end == 0 ? kStackTop.value() : end;
    const HeapBuffer text(end > first ? std::min(end - first, kMostBytes) : 0);
    if (text && arch::copy_from_user(text.data(), Gva(first), text.bytes())) {
      u64 bytes = 0;
      for (u64 left = count; bytes < text.bytes() && left > 0; ++bytes) {
        left -= text.data()[bytes] == 0 ? 1 : 0;
      }
      out.add(std::string_view(text.data(), bytes));
    }
  }
  activate_space(before);
}

}  // namespace nopte::guest::files
