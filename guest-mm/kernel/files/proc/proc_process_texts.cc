// /proc/<pid> files, but for its mappings.
#include <algorithm>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/memory/space_memory.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/rights/user_share.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kNsPerTick = 10'000'000;  // USER_HZ 100

char state_letter(const Thread& thread) {
  switch (thread.state) {
    case ThreadState::kRunnable:
      return 'R';
    case ThreadState::kSleeping:
      return 'S';
    case ThreadState::kStopped:
      return 'T';
    case ThreadState::kTraced:
      return 't';
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
    case ThreadState::kTraced:
      return "t (tracing stop)";
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

i32 tracer_pid(const Thread& thread) {
  const Process* const tracer = tracer_of(thread);
  return tracer == nullptr ? 0 : tracer->pid;
}

i32 parent_pid(const Thread& thread) {
  const Process* const parent = thread.process->parent;
  return parent == nullptr ? 0 : parent->pid;
}

u64 promised_pages(const Thread& thread) { return thread.space == nullptr ? 0 : thread.space->pages(); }

u64 resident_of(const Thread& thread) {
  return thread.space == nullptr ? 0 : thread.space->installed_pages();
}

struct SignalSets {
  SignalSet ignored = 0;
  SignalSet caught = 0;
};
SignalSets signal_sets(const Thread& thread) {
  SignalSets sets;
  for (i32 signal = 1; signal <= kSignals; ++signal) {
    const u64 handler = (*thread.process->signals.actions)[signal].handler;
    sets.ignored |= handler == SignalAction::kIgnore ? signal_bit(signal) : 0;
    sets.caught |= handler > SignalAction::kIgnore ? signal_bit(signal) : 0;
  }
  return sets;
}

enum class StackStrings : u8 { kArguments, kEnvironment };

// The strings that the initial stack tells of: argc, pointers to the arguments, null, pointers to the
// environment, null. They lie one behind the other. Of nonsense that the program put there: something.
void add_strings(TextBuilder& out, const Thread& thread, StackStrings which) {
  constexpr u64 kMostBytes = 128 << 10, kPiece = 256, kWord = sizeof(u64);
  Gva at = thread.process->initial_stack;
  if (thread.space == nullptr || at == Gva()) return;
  const auto word = [&] {
    u64 value = 0;
    const bool there = read_space(*thread.space, &value, at, sizeof value).has_value();
    at = at + kWord;
    return there ? value : 0;
  };
  u64 count = word();
  if (count > kMostBytes) return;
  if (which == StackStrings::kEnvironment) {
    at = at + kWord * (count + 1);
    const Gva first = at;
    for (count = 0; count < kMostBytes && word() != 0;) ++count;
    at = first;
  }
  Gva from{word()};
  u64 added = 0;
  while (count != 0 && added < kMostBytes && !out.failed()) {
    char piece[kPiece];
    const u64 bytes = kPiece - (from.value() & (kPiece - 1));  // within a page
    if (!read_space(*thread.space, piece, from, bytes)) return;
    u64 taken = 0;
    while (taken < bytes && count != 0) count -= piece[taken++] == 0 ? 1 : 0;
    out.add(std::string_view(piece, taken));
    added += taken;
    from = from + taken;
  }
}

}  // namespace

void proc_process_stat(TextBuilder& out, Thread& thread, ProcScope scope) {
  const Process& process = *thread.process;
  const bool whole = scope == ProcScope::kProcess;
  const SignalSets sets = signal_sets(thread);
  const auto set = [](SignalSet value) { return value & 0x7fff'ffff; };
  const Thread::Scheduling& scheduling = thread.scheduling;
  const i32 priority = scheduling.priority != 0 ? -1 - scheduling.priority : 20 + scheduling.nice;
  split_processor_time();
  const Spent spent = whole ? spent_by(process) : spent_by(thread);
  const Spent& children = process.of_children;
  out.add(thread.tid, " (", comm_of(thread), ") ", state_letter(thread), ' ', parent_pid(thread), ' ',
          process.pgid, ' ', process.sid, ' ', process.terminal != nullptr ? process.terminal->device : 0,
          ' ', process.terminal != nullptr ? process.terminal->foreground : -1, " 0 ", faults_known(process),
          ' ', process.children_faults, " 0 0 ");
  out.add(spent.user_ns() / kNsPerTick, ' ', spent.system_ns / kNsPerTick, ' ',
          children.user_ns() / kNsPerTick, ' ', children.system_ns / kNsPerTick, ' ', priority, ' ',
          i32{scheduling.nice}, ' ', process.live_threads, " 0 ", process.started_ns / kNsPerTick, ' ',
          pages_to_bytes(promised_pages(thread)), ' ', resident_of(thread), ' ',
          process.limits->of(Resource::kResidentBytes).now, " 0 0 ", process.initial_stack.value(), " 0 0 ");
  out.add(set(thread.signals.pending.set), ' ', set(thread.signals.blocked), ' ', set(sets.ignored), ' ',
          set(sets.caught), " 0 0 0 ", process.exit_signal, " 0 ", u32{scheduling.priority}, ' ',
          u32{scheduling.policy}, " 0 0 0 0 0 ");
  out.add(thread.space == nullptr ? 0 : thread.space->brk_start().value(), " 0 0 0 0 ", process.exit_status,
          '\n');
}

// As fs/proc/array.c has the lines; those about what is not there say what a Linux without it says.
void proc_process_status(TextBuilder& out, Thread& thread, ProcScope) {
  const Process& process = *thread.process;
  const Identity& identity = identity_of(thread);
  const SignalSets sets = signal_sets(thread);
  const auto ids = [&](const char* name, const Ids& of) {
    out.add(name, of.real, '\t', of.effective, '\t', of.saved, '\t', of.file);
  };
  const auto mask = [&](const char* name, u64 value) { out.add(name, TextBuilder::Hex{value, 16}); };
  out.add("Name:\t", comm_of(thread));
  if (thread.directories != nullptr) out.add("\nUmask:\t", TextBuilder::Octal{thread.directories->umask, 4});
  out.add("\nState:\t", state_name(thread), "\nTgid:\t", process.pid, "\nNgid:\t0\nPid:\t", thread.tid,
          "\nPPid:\t", parent_pid(thread), "\nTracerPid:\t", tracer_pid(thread));
  ids("\nUid:\t", identity.user);
  ids("\nGid:\t", identity.group);
  // As many as there is room for, which Linux has in words of 64.
  const u64 descriptors = thread.files == nullptr ? 0 : thread.files->table.bound();
  out.add("\nFDSize:\t", thread.files == nullptr ? 0 : std::max<u64>((descriptors + 63) / 64 * 64, 64),
          "\nGroups:\t");
  if (identity.groups) {
    for (const u32 group : std::as_const(*identity.groups)) out.add(group, ' ');
  }
  out.add("\nNStgid:\t", process.pid, "\nNSpid:\t", thread.tid, "\nNSpgid:\t", process.pgid, "\nNSsid:\t",
          process.sid, "\nKthread:\t0\n");
  add_memory_lines(out, thread);
  out.add("Threads:\t", process.live_threads, "\nSigQ:\t", queued_signals_of(identity.user.real), '/',
          process.limits->of(Resource::kPendingSignals).now);
  mask("\nSigPnd:\t", thread.signals.pending.set);
  mask("\nShdPnd:\t", process.signals.pending.set);
  mask("\nSigBlk:\t", thread.signals.blocked);
  mask("\nSigIgn:\t", sets.ignored);
  mask("\nSigCgt:\t", sets.caught);
  mask("\nCapInh:\t", identity.inheritable);
  mask("\nCapPrm:\t", identity.permitted);
  mask("\nCapEff:\t", identity.effective);
  mask("\nCapBnd:\t", identity.bounding);
  mask("\nCapAmb:\t", identity.ambient);
  out.add("\nNoNewPrivs:\t", identity.no_new_privileges ? 1 : 0, "\nSeccomp:\t",
          static_cast<u32>(identity.seccomp), "\nSeccomp_filters:\t",
          identity.filter ? identity.filter->depth() : 0,
          "\nCpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
  const Spent spent = spent_by(thread);
  out.add("voluntary_ctxt_switches:\t", spent.voluntary(), "\nnonvoluntary_ctxt_switches:\t", spent.preempted,
          '\n');
}

void proc_process_comm(TextBuilder& out, Thread& thread, ProcScope) { out.add(comm_of(thread), '\n'); }

i64 set_proc_comm(Thread& thread, std::string_view text) {
  if (thread.process != &current_process()) return -kEINVAL;
  std::ranges::fill(thread.comm, 0);
  text.substr(0, text.find('\0')).copy(thread.comm, sizeof thread.comm - 1);
  return 0;
}

// As they are now in the process's own memory.
void proc_process_cmdline(TextBuilder& out, Thread& thread, ProcScope) {
  add_strings(out, thread, StackStrings::kArguments);
}
void proc_process_environ(TextBuilder& out, Thread& thread, ProcScope) {
  add_strings(out, thread, StackStrings::kEnvironment);
}

// The pairs that lie behind the environment, as the program has them; the last one has type 0.
void proc_process_auxv(TextBuilder& out, Thread& thread, ProcScope) {
  constexpr u64 kMostWords = 16 << 10, kMostPairs = 64;
  Gva at = thread.process->initial_stack;
  if (thread.space == nullptr || at == Gva()) return;
  const auto word = [&] {
    u64 value = 0;
    const bool there = read_space(*thread.space, &value, at, sizeof value).has_value();
    at = at + sizeof value;
    return there ? value : 0;
  };
  at = at + (word() + 1) * sizeof(u64);
  for (u64 words = 0; words < kMostWords && word() != 0; ++words) {
  }
  for (u64 pairs = 0; pairs < kMostPairs; ++pairs) {
    const u64 pair[] = {word(), word()};
    out.add(std::string_view(reinterpret_cast<const char*>(pair), sizeof pair));
    if (pair[0] == 0) return;
  }
}

// The call that it waits in, with its arguments, or -1; then its stack pointer and where it goes on.
void proc_process_syscall(TextBuilder& out, Thread& thread, ProcScope) {
  if (thread.state == ThreadState::kRunnable || thread.space == nullptr) {
    out.add(thread.space != nullptr ? "running\n" : "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n");
    return;
  }
  const UserRegisters& r = *thread.registers;
  const auto number = static_cast<i32>(r.orig_rax);
  out.add(number);
  if (number != -1) {
    for (const u64 argument : {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}) {
      out.add(" 0x", TextBuilder::Hex{argument, 1});
    }
  }
  out.add(" 0x", TextBuilder::Hex{r.rsp, 1}, " 0x", TextBuilder::Hex{r.rip, 1}, '\n');
}

// Nobody counts: reads and writes pay nothing for it.
void proc_process_io(TextBuilder& out, Thread&, ProcScope) {
  for (const char* name :
       {"rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"}) {
    out.add(name, ": 0\n");
  }
}

void proc_process_oom_score_adj(TextBuilder& out, Thread& thread, ProcScope) {
  out.add(i32{thread.process->oom_score_adj}, '\n');
}

i64 set_proc_oom_score_adj(Thread& thread, std::string_view text) {
  constexpr i64 kMost = 1000;
  NumberReader reader{text};
  if (!reader.more()) return -kEINVAL;
  const Result<i64> value = reader.next_signed();
  if (!value || *value < -kMost || kMost < *value || reader.more()) return -kEINVAL;
  if (*value < thread.process->oom_score_adj && !capable(Capability::kSysResource)) return -kEACCES;
  thread.process->oom_score_adj = static_cast<short>(*value);
  return 0;
}

}  // namespace nopte::guest::files
