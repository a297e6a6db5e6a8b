// /proc/sys: one row a file (Documentation/admin-guide/sysctl of Linux).
#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"
#include "guest-mm/kernel/files/events/aio.h"
#include "guest-mm/kernel/files/events/event_poll.h"
#include "guest-mm/kernel/files/events/inotify.h"
#include "guest-mm/kernel/files/file_table.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/pipes/pipe.h"
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/ipc/mq.h"
#include "guest-mm/kernel/ipc/msg.h"
#include "guest-mm/kernel/ipc/sem.h"
#include "guest-mm/kernel/ipc/shm.h"
#include "guest-mm/kernel/memory/memory_settings.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/program/randomize.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/system/name_of_system.h"
#include "guest-mm/kernel/system/random.h"
#include "guest-mm/kernel/system/system_settings.h"
#include "guest-mm/kernel/tty/pty.h"

namespace nopte::guest::files {

namespace {

using Vm = MemorySettings;
using System = SystemSettings;

static_assert(kLastCapability == 40 && GroupList::kMost == 65536 && FileTable::kMost == 1048576);

// A random identifier, version 4 of RFC 9562.
struct Uuid {
  Uuid() {
    fill_random(bytes, sizeof bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
  }
  void add_to(TextBuilder& out) const {
    for (u32 i = 0; i < sizeof bytes; ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) out.add('-');
      out.add(TextBuilder::Hex{bytes[i], 2});
    }
    out.add('\n');
  }
  u8 bytes[16];
};

i64 set_pipe_max_size(std::string_view text) {
  NumberReader reader{text};
  if (!reader.more()) return 0;
  const Result<u64> bytes = reader.next_unsigned();
  if (!bytes || *bytes > kMostPipeBytes) return -kEINVAL;
  g_pipe_limits.largest_bytes = pipe_capacity_for(*bytes);
  return 0;
}

// What is not above 0 is the default.
i64 set_round_robin_slice(std::string_view text) {
  using Row = NumberRow<System::sched_rr_timeslice_ms, std::numeric_limits<i32>::min()>;
  const i64 error = Row::write(text);
  if (System::sched_rr_timeslice_ms <= 0) System::sched_rr_timeslice_ms = System::kUsualRoundRobinMs;
  return error;
}

// Of each period at most all of it (kernel/sched/rt.c, sched_rt_global_validate).
using PeriodRow = NumberRow<System::sched_rt_period_us, 1>;
using RuntimeRow = NumberRow<System::sched_rt_runtime_us, -1>;
template <class Row>
i64 set_real_time(std::string_view text) {
  const i32 period = System::sched_rt_period_us, runtime = System::sched_rt_runtime_us;
  i64 error = Row::write(text);
  if (error == 0 && System::sched_rt_runtime_us > System::sched_rt_period_us) error = -kEINVAL;
  if (error != 0) {
    System::sched_rt_period_us = period;
    System::sched_rt_runtime_us = runtime;
  }
  return error;
}

constexpr Setting kRows[] = {
    // kernel
    NOPTE_FIXED("kernel/cap_last_cap", "40"),
    line<System::core_pattern>("kernel/core_pattern"),
    number<System::core_pipe_limit, 0>("kernel/core_pipe_limit"),
    number<System::core_uses_pid, 0>("kernel/core_uses_pid"),
    line<g_system_names.domain>("kernel/domainname"),
    line<g_system_names.node>("kernel/hostname"),
    number<ipc::g_msg_limits.message_bytes>("kernel/msgmax"),
    number<ipc::g_next_ids.messages>("kernel/msg_next_id"),
    number<ipc::g_msg_limits.queue_bytes>("kernel/msgmnb"),
    number<ipc::g_msg_limits.queues, 0, 32768>("kernel/msgmni"),
    NOPTE_FIXED("kernel/ngroups_max", "65536"),
    {"kernel/osrelease", [](TextBuilder& out) { out.add(g_system_names.release, '\n'); }},
    NOPTE_FIXED("kernel/ostype", "Linux"),
    NOPTE_FIXED("kernel/overflowgid", "65534"),
    NOPTE_FIXED("kernel/overflowuid", "65534"),
    number<System::panic, std::numeric_limits<i32>::min()>("kernel/panic"),
    number<g_pid_limit, 301, kMostPids>("kernel/pid_max"),
    number<System::printk, 0>("kernel/printk"),
    number<tty::g_ptys.most, 0>("kernel/pty/max"),
    {"kernel/pty/nr", [](TextBuilder& out) { out.add(tty::g_ptys.count, '\n'); }},
    number<tty::g_ptys.reserve, 0>("kernel/pty/reserve"),
    {"kernel/random/boot_id",
     [](TextBuilder& out) {
       static const Uuid kBoot;
       kBoot.add_to(out);
     }},
    NOPTE_FIXED("kernel/random/entropy_avail", "256"),
    NOPTE_FIXED("kernel/random/poolsize", "256"),
    NOPTE_FIXED("kernel/random/urandom_min_reseed_secs", "60"),
    {"kernel/random/uuid", [](TextBuilder& out) { Uuid().add_to(out); }},
    NOPTE_FIXED("kernel/random/write_wakeup_threshold", "256"),
    number<g_randomize_va_space, std::numeric_limits<i32>::min()>("kernel/randomize_va_space"),
    {"kernel/sched_rr_timeslice_ms", [](TextBuilder& out) { out.add(System::sched_rr_timeslice_ms, '\n'); },
     set_round_robin_slice},
    {"kernel/sched_rt_period_us", PeriodRow::read, set_real_time<PeriodRow>},
    {"kernel/sched_rt_runtime_us", RuntimeRow::read, set_real_time<RuntimeRow>},
    number<ipc::g_sem_limits>("kernel/sem"),
    number<ipc::g_next_ids.semaphores>("kernel/sem_next_id"),
    number<ipc::g_next_ids.segments>("kernel/shm_next_id"),
    number<ipc::g_shm_limits.pages, 0, ~u64{0}>("kernel/shmall"),
    number<ipc::g_shm_limits.bytes, 0, ~u64{0}>("kernel/shmmax"),
    number<ipc::g_shm_limits.segments, 0, 32768>("kernel/shmmni"),
    NOPTE_FIXED("kernel/tainted", "0"),
    number<g_most_threads, 20, 0x3fff'ffff>("kernel/threads-max"),
    {"kernel/version", [](TextBuilder& out) { out.add(g_system_names.version, '\n'); }},
    // fs
    number<g_aio.most>("fs/aio-max-nr"),
    {"fs/aio-nr", [](TextBuilder& out) { out.add(u64{g_aio.requests}, '\n'); }},
    number<System::dir_notify_enable, std::numeric_limits<i32>::min()>("fs/dir-notify-enable"),
    number<g_most_epoll_watches, 0, std::numeric_limits<i64>::max()>("fs/epoll/max_user_watches"),
    number<System::file_max, 0, std::numeric_limits<i64>::max()>("fs/file-max"),
    number<g_inotify_limits.queued_events>("fs/inotify/max_queued_events"),
    number<g_inotify_limits.instances>("fs/inotify/max_user_instances"),
    number<g_inotify_limits.watches>("fs/inotify/max_user_watches"),
    number<System::lease_break_time, 0>("fs/lease-break-time"),
    number<System::leases_enable, 0>("fs/leases-enable"),
    number<ipc::g_mq_limits.usual_messages, 1, ipc::kHardMessages>("fs/mqueue/msg_default"),
    number<ipc::g_mq_limits.most_messages, 1, ipc::kHardMessages>("fs/mqueue/msg_max"),
    number<ipc::g_mq_limits.usual_bytes, 128, ipc::kHardBytes>("fs/mqueue/msgsize_default"),
    number<ipc::g_mq_limits.most_bytes, 128, ipc::kHardBytes>("fs/mqueue/msgsize_max"),
    number<ipc::g_mq_limits.queues>("fs/mqueue/queues_max"),
    NOPTE_FIXED("fs/nr_open", "1048576"),
    NOPTE_FIXED("fs/overflowgid", "65534"),
    NOPTE_FIXED("fs/overflowuid", "65534"),
    number<g_protected_hardlinks, 0, 1>("fs/protected_hardlinks"),
    {"fs/pipe-max-size", [](TextBuilder& out) { out.add(g_pipe_limits.largest_bytes, '\n'); },
     set_pipe_max_size},
    number<g_pipe_limits.hard_user_pages>("fs/pipe-user-pages-hard"),
    number<g_pipe_limits.soft_user_pages>("fs/pipe-user-pages-soft"),
    // net
    NOPTE_FIXED("net/core/rmem_default", "212992"),
    NOPTE_FIXED("net/core/rmem_max", "212992"),
    NOPTE_FIXED("net/core/somaxconn", "4096"),
    NOPTE_FIXED("net/core/wmem_default", "212992"),
    NOPTE_FIXED("net/core/wmem_max", "212992"),
    NOPTE_FIXED("net/ipv4/ip_local_port_range", "32768\t60999"),
    NOPTE_FIXED("net/ipv4/ip_unprivileged_port_start", "1024"),
    NOPTE_FIXED("net/unix/max_dgram_qlen", "10"),
    // vm
    number<Vm::admin_reserve_kbytes>("vm/admin_reserve_kbytes"),
    number<Vm::compaction_proactiveness, 0, 100>("vm/compaction_proactiveness"),
    number<Vm::dirty_background_ratio, 0, 100>("vm/dirty_background_ratio"),
    number<Vm::dirty_expire_centisecs>("vm/dirty_expire_centisecs"),
    number<Vm::dirty_ratio, 0, 100>("vm/dirty_ratio"),
    number<Vm::dirty_writeback_centisecs>("vm/dirty_writeback_centisecs"),
    number<Vm::drop_caches, 1, 4>("vm/drop_caches"),
    number<Vm::extfrag_threshold, 0, 1000>("vm/extfrag_threshold"),
    number<Vm::laptop_mode>("vm/laptop_mode"),
    number<Vm::legacy_va_layout>("vm/legacy_va_layout"),
    number<Vm::lowmem_reserve_ratio>("vm/lowmem_reserve_ratio"),
    number<g_most_regions>("vm/max_map_count"),
    number<Vm::memory_failure_early_kill, 0, 1>("vm/memory_failure_early_kill"),
    number<Vm::memory_failure_recovery, 0, 1>("vm/memory_failure_recovery"),
    number<Vm::min_free_kbytes>("vm/min_free_kbytes"),
    number<Vm::mmap_min_addr, 65536, 65536>("vm/mmap_min_addr"),
    number<Vm::oom_dump_tasks>("vm/oom_dump_tasks"),
    number<Vm::oom_kill_allocating_task>("vm/oom_kill_allocating_task"),
    number<g_overcommit.kbytes>("vm/overcommit_kbytes"),
    number<g_overcommit.mode, 0, 2>("vm/overcommit_memory"),
    number<g_overcommit.ratio>("vm/overcommit_ratio"),
    number<Vm::page_cluster, 0, 31>("vm/page-cluster"),
    number<Vm::panic_on_oom, 0, 2>("vm/panic_on_oom"),
    number<Vm::swappiness, 0, 200>("vm/swappiness"),
    number<Vm::unprivileged_userfaultfd, 0, 1>("vm/unprivileged_userfaultfd"),
    number<Vm::user_reserve_kbytes>("vm/user_reserve_kbytes"),
    number<Vm::vfs_cache_pressure>("vm/vfs_cache_pressure"),
    number<Vm::watermark_boost_factor>("vm/watermark_boost_factor"),
    number<Vm::watermark_scale_factor, 1, 3000>("vm/watermark_scale_factor"),
};

}  // namespace

constexpr SettingTree kProcSys{
    .name = "sys", .rows = kRows, .first_number = kSysNumbers, .device = kProcDevice};

}  // namespace nopte::guest::files
