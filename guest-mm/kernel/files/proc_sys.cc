// /proc/sys: one row a file (Documentation/admin-guide/sysctl of Linux).
#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"
#include "guest-mm/kernel/files/proc_inodes.h"
#include "guest-mm/kernel/files/setting.h"
#include "guest-mm/kernel/ipc/msg.h"
#include "guest-mm/kernel/ipc/sem.h"
#include "guest-mm/kernel/ipc/shm.h"
#include "guest-mm/kernel/memory_settings.h"
#include "guest-mm/kernel/random.h"
#include "guest-mm/kernel/tty/pty.h"

namespace nopte::guest::files {

namespace {

using Vm = MemorySettings;

// A random identifier, version 4 of RFC 9562.
void put_identifier(TextBuilder& out, const u8 (&bytes)[16]) {
  for (u64 i = 0; i < sizeof bytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.add('-');
    const u8 byte = i == 6 ? (bytes[i] & 0x0f) | 0x40 : i == 8 ? (bytes[i] & 0x3f) | 0x80 : bytes[i];
    out.add(TextBuilder::Hex{byte, 2});
  }
  out.add('\n');
}
void new_identifier(TextBuilder& out) {
  u8 bytes[16];
  fill_random(bytes, sizeof bytes);
  put_identifier(out, bytes);
}
void identifier_of_boot(TextBuilder& out) {
  static constinit u8 bytes[16] = {};
  static constinit bool made = false;
  if (!made) fill_random(bytes, sizeof bytes);
  made = true;
  put_identifier(out, bytes);
}

constexpr Setting kRows[] = {
    // kernel
    NOPTE_FIXED("kernel/ostype", "Linux"),
    number<ipc::g_msg_limits.message_bytes>("kernel/msgmax"),
    number<ipc::g_msg_limits.queue_bytes>("kernel/msgmnb"),
    number<ipc::g_msg_limits.queues, 0, 32768>("kernel/msgmni"),
    number<ipc::g_sem_limits>("kernel/sem"),
    number<ipc::g_shm_limits.pages, 0, ~u64{0}>("kernel/shmall"),
    number<ipc::g_shm_limits.bytes, 0, ~u64{0}>("kernel/shmmax"),
    number<ipc::g_shm_limits.segments, 0, 32768>("kernel/shmmni"),
    number<tty::g_ptys.most, 0>("kernel/pty/max"),
    {.path = "kernel/pty/nr", .read = [](TextBuilder& out) { out.add(tty::g_ptys.count, '\n'); }},
    number<tty::g_ptys.reserve, 0>("kernel/pty/reserve"),
    {.path = "kernel/random/boot_id", .read = identifier_of_boot},
    NOPTE_FIXED("kernel/random/entropy_avail", "256"),
    NOPTE_FIXED("kernel/random/poolsize", "256"),
    {.path = "kernel/random/uuid", .read = new_identifier},
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

constexpr SettingTree kProcSys{.name = "sys", .rows = kRows, .first_number = 1 << 12, .device = kProcDevice};

}  // namespace nopte::guest::files
