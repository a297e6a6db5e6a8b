// The contents of /proc files, in Linux's formats (Documentation/filesystems/proc.rst).
#pragma once

#include "guest-mm/kernel/files/text_builder.h"
#include "guest-mm/kernel/process.h"

namespace nopte::guest::files {

using ProcText = void (*)(TextBuilder& out);
using ProcProcessText = void (*)(TextBuilder& out, Process& process);

void proc_meminfo(TextBuilder& out);
void proc_uptime(TextBuilder& out);
void proc_loadavg(TextBuilder& out);
void proc_mounts(TextBuilder& out);
void proc_version(TextBuilder& out);
void proc_cpuinfo(TextBuilder& out);
void proc_stat(TextBuilder& out);
void proc_filesystems(TextBuilder& out);
void proc_nopte(TextBuilder& out);  // ours: how the kernel's calls are bound

void proc_process_maps(TextBuilder& out, Process& process);
void proc_process_smaps(TextBuilder& out, Process& process);
void proc_process_stat(TextBuilder& out, Process& process);
void proc_process_statm(TextBuilder& out, Process& process);
void proc_process_status(TextBuilder& out, Process& process);
void proc_process_comm(TextBuilder& out, Process& process);
void proc_process_cmdline(TextBuilder& out, Process& process);

}  // namespace nopte::guest::files
