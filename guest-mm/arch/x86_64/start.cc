#include "guest-mm/arch/x86_64/start.h"

#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/freestanding/init_array.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {
namespace {

constexpr u8 kRefusedStatus = 125;

// The block as it was handed over lies in memory that will be given out.
constinit abi::BootBlock g_block;

}  // namespace

void halt() {
  for (;;) {
    cpu::cli();
    cpu::hlt();
  }
}

void refuse(std::string_view why) {
  const auto platform = platform_ops();
  platform.console_write("nopte guest: cannot boot: ");
  platform.console_write(why);
  platform.console_write("\r\n");
  platform.power_off(kRefusedStatus);
}

extern "C" [[noreturn]] void start_guest(const abi::BootBlock* block) {
  constexpr u32 kBlockVersion = 1;
  g_block = *block;
  load_descriptor_tables();
  if (g_block.magic != abi::kBootMagic || g_block.version < kBlockVersion) {
    halt();
  }
  go_on(g_block);
}

void go_on(const abi::BootBlock& block) {
  run_constructors(__init_array_start, __init_array_end);
  choose_platform(block);
  enable_fpu();
  enable_base_instructions();
  BootInfo info = choose_memory(block);
  info.under_hypervisor = block.under_hypervisor == abi::kOurHypervisor;
  info.command_line = abi::command_line_of(block);
  kernel_main(info);
}

}  // namespace nopte::guest
