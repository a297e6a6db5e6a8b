// The guest's main at its native entry: makes the boot block that a hypervisor would have made, from what PVH
// handed over, and goes on as under a hypervisor.
#include <cstring>

#include "native-fallback/arch/x86_64/pvh.h"
#include "native-fallback/guest/arch/x86_64/native_machine.h"
#include "pvops/abi/boot_block.h"
#include "pvops/arch/x86_64/clock.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/arch/x86_64/debug_ports.h"
#include "pvops/arch/x86_64/pvh_info.h"
#include "pvops/arch/x86_64/uart.h"

extern "C" [[noreturn]] void start_guest(const nopte::abi::BootBlock* block);

namespace nopte::pt {

constinit PhysicalLayout g_pvh_memory;

namespace {

constexpr u64 kBootMappedBytes = u64{1} << 30;
constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u8 kRefusedStatus = 125;

constinit abi::BootBlock g_block;

[[noreturn]] void refuse(std::string_view why) {
  uart::write("nopte guest: cannot boot: ");
  uart::write(why);
  uart::write("\r\n");
  debugcon_write("{\"event\":\"power_off\",\"status\":125}\n");
  debug_exit(kRefusedStatus);
}

void add_memory(const PvhInfo& info) {
  for (u32 i = 0; i < info.ram_spans; ++i) {
    const PhysicalSpan span = info.ram[i];
    const u64 end = span.begin + span.bytes;
    if (span.begin < kBootTableBytes) {
      g_pvh_memory.add_ram(PhysAddr(span.begin), PhysAddr(end < kBootTableBytes ? end : kBootTableBytes));
    }
  }
  g_block.memory_bytes = pages_to_bytes(g_pvh_memory.ram_frames());
}

}  // namespace
}  // namespace nopte::pt

extern "C" void boot_main(const nopte::pt::HvmStartInfo* start) {
  using namespace nopte;
  using namespace nopte::pt;
  uart::init();
  const PhysicalMemory memory{reinterpret_cast<const u8*>(kImageOffset), kBootMappedBytes};
  const auto info = read_pvh_info(memory, reinterpret_cast<u64>(start));
  if (!info) {
    refuse("the loader's start info (PVH) is malformed");
  }
  if (info->command_line.size() > abi::kCommandLineBytes) {
    refuse("the command line is longer than 2048 bytes");
  }
  add_memory(*info);
  g_block.kind = abi::BootKind::kPhysical;
  g_block.tsc_hz = measure_tsc_hz();
  const u64 wall_ns = read_rtc_seconds() * kNsPerSecond;
  g_block.boot_wall_ns = wall_ns - TscClock(g_block.tsc_hz).ns(cpu::rdtsc());
  g_block.initramfs_physical = info->module.begin;
  g_block.initramfs_bytes = info->module.bytes;
  g_block.command_line_bytes = info->command_line.size();
  std::memcpy(g_block.command_line, info->command_line.data(), info->command_line.size());
  start_guest(&g_block);
}
