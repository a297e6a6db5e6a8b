// /proc files about the whole system.
#include "guest-mm/core/commit_limit.h"
#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/system/name_of_system.h"
#include "guest-mm/kernel/time/wall_time.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kLargeLeafPages = 512;
constexpr u64 kNsPerTick = 10'000'000;  // USER_HZ 100

void add_kib(TextBuilder& out, std::string_view name, u64 pages) {
  const u64 begin = out.size();
  out.add(name, ':');
  out.pad_to(begin, 16);
  out.add(TextBuilder::Padded{pages_to_bytes(pages) >> 10, 8}, " kB\n");
}

void add_seconds(TextBuilder& out, u64 ns) {
  out.add(ns / 1'000'000'000, '.', TextBuilder::Zeroed{ns / kNsPerTick % 100, 2});
}

constinit std::string_view g_command_line;

u64 all_cpu_ns() {
  u64 ns = 0;
  for_each_thread([&](Thread& thread) { ns += thread.cpu_ns; });
  return ns;
}

// The first one first; those that are not seen from "/" are left out.
void for_each_later_mount(FunctionRef<void(const Mount&, std::string_view path)> visit) {
  const HeapBuffer path(kPathBytes);
  if (!path) {
    return;
  }
  u64 count = 0;
  for (const Mount* mount = g_mounts; mount != nullptr; mount = mount->next) {
    ++count;
  }
  for (; count != 0; --count) {
    const Mount* mount = g_mounts;
    for (u64 skipped = 1; skipped < count; ++skipped) {
      mount = mount->next;
    }
    const i64 bytes = path_of(*mount->point, path.data(), kPathBytes);
    if (bytes > 0) {
      visit(*mount, {path.data(), static_cast<u64>(bytes)});
    }
  }
}

void add_mount_flags(TextBuilder& out, const Mount& mount) {
  const u32 flags = mount.instance->flags;
  out.add((flags & kMountReadOnly) != 0 ? "ro" : "rw", (flags & kMountNoSetuid) != 0 ? ",nosuid" : "",
          (flags & kMountNoDevices) != 0 ? ",nodev" : "", (flags & kMountNoExec) != 0 ? ",noexec" : "",
          ",relatime");
}

}  // namespace

void proc_meminfo(TextBuilder& out) {
  const MemoryInfo memory = mm_ops().memory_info();
  add_kib(out, "MemTotal", memory.total_pages);
  add_kib(out, "MemFree", memory.free_pages);
  add_kib(out, "MemAvailable", memory.free_pages);
  for (const char* name : {"Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree",
                           "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem"}) {
    add_kib(out, name, 0);
  }
  add_kib(out, "Slab", heap_info().granted_pages);
  add_kib(out, "SReclaimable", 0);
  add_kib(out, "SUnreclaim", heap_info().granted_pages);
  add_kib(out, "CommitLimit", commit_limit_pages());
  add_kib(out, "Committed_AS", committed_pages());
  out.add(
      "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        "
      "0\n");
  add_kib(out, "Hugepagesize", kLargeLeafPages);
  add_kib(out, "Hugetlb", 0);
}

void proc_uptime(TextBuilder& out) {
  const u64 now = platform_ops().now_ns();
  add_seconds(out, now);
  out.add(' ');
  const u64 busy = all_cpu_ns();
  add_seconds(out, busy < now ? now - busy : 0);
  out.add('\n');
}

void proc_loadavg(TextBuilder& out) {
  i32 last = 0;
  for_each_thread([&](Thread& thread) { last = thread.tid > last ? thread.tid : last; });
  out.add("0.00 0.00 0.00 ", runnable_threads(), '/', thread_count(), ' ', last, '\n');
}

void proc_mounts(TextBuilder& out) {
  out.add(
      "rootfs / tmpfs rw 0 0\ndevtmpfs /dev devtmpfs rw 0 0\ndevpts /dev/pts devpts "
      "rw,gid=5,mode=620,ptmxmode=000 0 "
      "0\nproc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n");
  for_each_later_mount([&](const Mount& mount, std::string_view path) {
    out.add(static_cast<const char*>(mount.source), ' ', path, " tmpfs ");
    add_mount_flags(out, mount);
    out.add(" 0 0\n");
  });
}

// The same, with numbers of mounts and devices (proc_pid_mountinfo(5)).
void proc_mountinfo(TextBuilder& out) {
  out.add(
      "1 1 0:2 / / rw - tmpfs rootfs rw\n2 1 0:2 /dev /dev rw - devtmpfs devtmpfs rw\n3 1 0:3 / /proc rw - "
      "proc proc rw\n4 1 0:4 / /sys rw - sysfs sysfs rw\n");
  u32 number = 5;
  for_each_later_mount([&](const Mount& mount, std::string_view path) {
    out.add(number++, " 1 0:", device_minor(mount.instance->device), " / ", path, ' ');
    add_mount_flags(out, mount);
    out.add(" - tmpfs ", static_cast<const char*>(mount.source), " rw\n");
  });
}

void proc_version(TextBuilder& out) {
  out.add("Linux version ", g_system_names.release, " (nopte) ", g_system_names.version, '\n');
}

void set_command_line(std::string_view line) { g_command_line = line; }
void proc_command_line(TextBuilder& out) { out.add(g_command_line, '\n'); }

void proc_cpuinfo(TextBuilder& out) {
  out.add("processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: x86-64\ncpu MHz\t\t: 1000.000\n\n");
}

void proc_stat(TextBuilder& out) {
  const u64 now = platform_ops().now_ns();
  split_processor_time();
  Spent busy;
  for_each_thread([&](Thread& thread) { busy += spent_by(thread); });
  const u64 idle = busy.cpu_ns < now ? now - busy.cpu_ns : 0;
  for (const char* name : {"cpu  ", "cpu0 "}) {
    out.add(name, busy.user_ns() / kNsPerTick, " 0 ", busy.system_ns / kNsPerTick, ' ', idle / kNsPerTick,
            " 0 0 0 0 0 0\n");
  }
  out.add("intr ", interrupts_taken(), "\n");
  out.add("btime ", wall_at_boot_ns() / 1'000'000'000, "\nprocesses ", thread_count(), "\nprocs_running ",
          runnable_threads(), "\nprocs_blocked 0\n");
}

void proc_filesystems(TextBuilder& out) {
  out.add("nodev\tsysfs\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\tproc\n");
}

void proc_nopte(TextBuilder& out) {
  const arch::CallSites sites = arch::call_sites();
  out.add("memory call sites ", sites.memory.recorded, ", redirected ", sites.memory.redirected, '\n');
  out.add("platform call sites ", sites.platform.recorded, ", redirected ", sites.platform.redirected, '\n');
}

}  // namespace nopte::guest::files
