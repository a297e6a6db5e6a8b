// The contents of /proc files, in Linux's formats (Documentation/filesystems/proc.rst).
#pragma once

#include "guest-mm/core/vma.h"
#include "guest-mm/kernel/files/proc/text_builder.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest::files {

using ProcText = void (*)(TextBuilder& out);
// Of a file in /proc/<pid> or in /proc/<pid>/task/<tid>: what is said of times and signals.
enum class ProcScope : bool { kProcess, kThread };
using ProcThreadText = void (*)(TextBuilder& out, Thread& thread, ProcScope scope);

void proc_meminfo(TextBuilder& out);
void proc_uptime(TextBuilder& out);
void proc_loadavg(TextBuilder& out);
void proc_mounts(TextBuilder& out);
void proc_version(TextBuilder& out);
void proc_cpuinfo(TextBuilder& out);
void proc_stat(TextBuilder& out);
void proc_filesystems(TextBuilder& out);
void proc_locks(TextBuilder& out);
void proc_command_line(TextBuilder& out);
void proc_mountinfo(TextBuilder& out);
void proc_nopte(TextBuilder& out);  // ours: how the kernel's calls are bound

void proc_process_maps(TextBuilder& out, Thread& thread, ProcScope scope);
// Files of all mappings are told to be of one device.
inline constexpr u32 kMapsDeviceMinor = 2;
// The mappings as maps tells them: what guards divide is one.
void for_each_mapping(const Thread& thread, FunctionRef<void(const Vma&)> visit);
// Empty: it has none.
std::string_view mapping_name(const Thread& thread, const Vma& vma);
// ioctl(PROCMAP_QUERY) of an open maps: proc_map_query.cc.
i64 query_mapping(const Thread& thread, u32 request, u64 argument);
void proc_process_smaps(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_stat(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_statm(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_status(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_limits(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_smaps_rollup(TextBuilder& out, Thread& thread, ProcScope scope);
// The lines of status about memory: none of a thread that ended.
void add_memory_lines(TextBuilder& out, const Thread& thread);
// What smaps tells of a mapping, in pages, and how.
struct ResidentPages {
  u64 all = 0;
  u64 anonymous = 0;
  u64 large = 0;
  u64 locked = 0;
};
ResidentPages resident_pages(const AddressSpace& space, const Vma& vma);
void add_resident_lines(TextBuilder& out, const ResidentPages& pages);
void proc_process_comm(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_cmdline(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_auxv(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_syscall(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_environ(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_io(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_timer_slack(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_core_filter(TextBuilder& out, Thread& thread, ProcScope scope);
void proc_process_oom_score_adj(TextBuilder& out, Thread& thread, ProcScope scope);
// What becomes of what is written to such a file: 0 or a negative errno.
i64 set_proc_comm(Thread& thread, std::string_view text);
i64 set_proc_oom_score_adj(Thread& thread, std::string_view text);
i64 set_proc_timer_slack(Thread& thread, std::string_view text);
i64 set_proc_core_filter(Thread& thread, std::string_view text);
// The command line that /proc/cmdline tells; it stays where it is.
void set_command_line(std::string_view line);

}  // namespace nopte::guest::files
