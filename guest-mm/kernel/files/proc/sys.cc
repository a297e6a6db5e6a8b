// /sys: the few files that C libraries, allocators and tests read. One processor, one node.
#include "guest-mm/kernel/files/proc/setting.h"

namespace nopte::guest::files {

namespace {

// What was asked for is kept and told; whoever owns paging decides on large leaves.
template <auto& choice, const auto& words>
constexpr Setting one_of(std::string_view path) {
  return {.path = path,
          .read =
              [](TextBuilder& out) {
                for (u32 i = 0; i < std::size(words); ++i) {
                  if (i != 0) out.add(' ');
                  if (i == choice) {
                    out.add('[', words[i], ']');
                  } else {
                    out.add(words[i]);
                  }
                }
                out.add('\n');
              },
          .write = [](std::string_view text) -> i64 {
            while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
            for (u32 i = 0; i < std::size(words); ++i) {
              if (text == words[i]) {
                choice = i;
                return 0;
              }
            }
            return -kEINVAL;
          }};
}

constexpr std::string_view kEnabled[] = {"always", "madvise", "never"};
constexpr std::string_view kDefrag[] = {"always", "defer", "defer+madvise", "madvise", "never"};
constexpr std::string_view kShmem[] = {"always", "within_size", "advise", "never", "deny", "force"};
constinit u32 g_enabled = 0, g_defrag = 3, g_shmem = 3;
// Nobody looks for equal pages; what would tune it is kept and told.
constinit u32 g_ksm_run = 0, g_ksm_pages = 100, g_ksm_sleep_ms = 20;

constexpr Setting kRows[] = {
    NOPTE_FIXED("devices/system/cpu/online", "0"),
    NOPTE_FIXED("devices/system/cpu/possible", "0"),
    NOPTE_FIXED("devices/system/cpu/present", "0"),
    NOPTE_FIXED("devices/system/cpu/offline", ""),
    NOPTE_FIXED("devices/system/cpu/kernel_max", "0"),
    NOPTE_FIXED("devices/system/cpu/cpu0/topology/core_id", "0"),
    NOPTE_FIXED("devices/system/cpu/cpu0/topology/physical_package_id", "0"),
    NOPTE_FIXED("devices/system/node/online", "0"),
    NOPTE_FIXED("devices/system/node/possible", "0"),
    NOPTE_FIXED("devices/system/node/has_memory", "0"),
    NOPTE_FIXED("devices/system/node/has_normal_memory", "0"),
    NOPTE_FIXED("devices/system/node/has_cpu", "0"),
    NOPTE_FIXED("devices/system/node/node0/cpulist", "0"),
    NOPTE_FIXED("devices/system/node/node0/cpumap", "1"),
    NOPTE_FIXED("devices/system/node/node0/distance", "10"),
    number<g_ksm_run, 0u, 2u>("kernel/mm/ksm/run"),
    number<g_ksm_pages, 0u>("kernel/mm/ksm/pages_to_scan"),
    number<g_ksm_sleep_ms, 0u>("kernel/mm/ksm/sleep_millisecs"),
    NOPTE_FIXED("kernel/mm/ksm/full_scans", "0"),
    NOPTE_FIXED("kernel/mm/ksm/pages_shared", "0"),
    NOPTE_FIXED("kernel/mm/ksm/pages_sharing", "0"),
    NOPTE_FIXED("kernel/mm/ksm/pages_unshared", "0"),
    NOPTE_FIXED("kernel/mm/ksm/pages_volatile", "0"),
    one_of<g_enabled, kEnabled>("kernel/mm/transparent_hugepage/enabled"),
    one_of<g_defrag, kDefrag>("kernel/mm/transparent_hugepage/defrag"),
    one_of<g_shmem, kShmem>("kernel/mm/transparent_hugepage/shmem_enabled"),
    NOPTE_FIXED("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152"),
    NOPTE_FIXED("kernel/mm/transparent_hugepage/use_zero_page", "1"),
};

}  // namespace

constexpr SettingTree kSys{.name = "sys", .rows = kRows, .first_number = 1, .device = kSysDevice};

}  // namespace nopte::guest::files
