// From the PVH entry to the guest's first instruction: own tables, the split of memory, the bundle, the mode.
#include <cstring>

#include "hv-mm/arch/x86_64/machine.h"
#include "hv-mm/arch/x86_64/report.h"
#include "hv-mm/arch/x86_64/svm.h"
#include "hv-mm/boot/linear_map.h"
#include "hv-mm/boot/memory_plan.h"
#include "hv-mm/bundle.h"
#include "hv-mm/container/setup.h"
#include "hv-mm/exits.h"
#include "hv-mm/launch.h"
#include "native-fallback/arch/x86_64/pvh.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/freestanding/init_array.h"

extern "C" const nopte::u8 image_start[];
extern "C" const nopte::u8 image_text_end[];
extern "C" const nopte::u8 image_rodata_end[];
extern "C" const nopte::u8 image_end[];
extern "C" [[noreturn]] void svm_run(nopte::hv::Vcpu* vcpu);
extern "C" nopte::u8 host_state[];  // vmrun.S

namespace nopte::hv {
namespace {

constexpr u64 kDirectBase = 0xffff'8000'0000'0000;  // all of physical memory
constexpr u64 kBootReachBytes = u64{1} << 30;       // the boot tables map this at 0
constexpr u64 kMaxCommandLineBytes = 8192;
constexpr u64 kRunStackBytes = 65536;

// The vCPU lies at the end of the stack that the run loop uses (vmrun.S). Nothing is mapped below the stack.
struct alignas(4096) RunStack {
  u8 guard[4096];
  u8 stack[kRunStackBytes];
  alignas(16) u8 vcpu[sizeof(Vcpu)];
};

RunStack g_run_stack;
alignas(4096) Vmcb g_vmcb;
alignas(4096) u8 g_host_save[4096];
PermissionBitmaps g_bitmaps;
char g_command_line[kMaxCommandLineBytes];
Counters g_counters;
alignas(ExitHandler) u8 g_exit_handler[sizeof(ExitHandler)];
alignas(GuestImage) u8 g_image[sizeof(GuestImage)];

template <class T>
u64 image_physical(const T& object) {
  return reinterpret_cast<u64>(&object) - pt::kImageOffset;
}

void require_svm() {
  constexpr u32 kSvm = 1u << 2;
  constexpr u32 kNestedPagingFeature = 1;
  if (cpu::cpuid(0x8000'0000).eax < 0x8000'000a || !(cpu::cpuid(0x8000'0001).ecx & kSvm)) {
    refuse_to_start(
        "this machine has no SVM: start QEMU with an AMD processor model that has it (-cpu EPYC) and -accel "
        "tcg, "
        "or KVM with nested virtualization on an AMD host");
  }
  if (!(cpu::cpuid(0x8000'000a).edx & kNestedPagingFeature)) {
    refuse_to_start("this machine's SVM has no nested paging (NPT): start QEMU with -cpu EPYC");
  }
  if (cpu::rdmsr(cpu::kMsrVmCr) & cpu::kVmCrSvmDisabled) {
    refuse_to_start("SVM is disabled by the firmware (VM_CR.SVMDIS)");
  }
  cpu::wrmsr(cpu::kMsrEfer, cpu::rdmsr(cpu::kMsrEfer) | cpu::kEferSvmeBit);
  cpu::wrmsr(cpu::kMsrVmCr, cpu::rdmsr(cpu::kMsrVmCr) | cpu::kVmCrInitIsException);
  cpu::wrmsr(cpu::kMsrHostSavePhysical, image_physical(g_host_save));
  cpu::vmsave(reinterpret_cast<u64>(host_state) - pt::kImageOffset);
}

// Own tables: all RAM and the interrupt controllers at kDirectBase, not executable; the image where it is
// linked, each part with its rights.
void leave_boot_tables(const PvhInfo& info, BootMemory& own) {
  constexpr const char* kNoMemory = "too little memory for the hypervisor's own tables";
  constexpr u64 kLeafMask = LinearMap::leaf_bytes(LinearMap::Leaf::kLarge) - 1;
  auto map = LinearMap::create(own, pt::Privilege::kKernel);
  if (!map) {
    refuse_to_start(kNoMemory);
  }
  const auto add = [&](PhysicalSpan span, Perm perm, pt::Caching caching) {
    const u64 begin = span.begin & ~kLeafMask;
    const u64 end = (span.begin + span.bytes + kLeafMask) & ~kLeafMask;
    if (!map->map(kDirectBase + begin, begin, end - begin,
                  pt::Entry::kernel_leaf(pt::Frame(), perm, caching))) {
      refuse_to_start(kNoMemory);
    }
  };
  for (u32 i = 0; i < info.ram_spans; ++i) {
    add(info.ram[i], kPermRW, pt::Caching::kWriteBack);
  }
  add({IoApic::kPhysical, kPageBytes}, kPermRW, pt::Caching::kUncached);
  add({Lapic::kPhysical, kPageBytes}, kPermRW, pt::Caching::kUncached);
  const auto add_image = [&](const u8* begin, const u8* end, Perm perm) {
    const u64 va = reinterpret_cast<u64>(begin);
    if (!map->map(va, va - pt::kImageOffset, static_cast<u64>(end - begin),
                  pt::Entry::kernel_leaf(pt::Frame(), perm), LinearMap::Leaf::kPage)) {
      refuse_to_start(kNoMemory);
    }
  };
  add_image(image_start, image_text_end, kPermRX);
  add_image(image_text_end, image_rodata_end, kPermR);
  add_image(image_rodata_end, g_run_stack.guard, kPermRW);
  add_image(g_run_stack.stack, image_end, kPermRW);
  cpu::write_cr3(map->root());
  own.rebase(kDirectBase);
}

StartResult start(const Launch& launch) {
  switch (launch.options.mode) {
    case Mode::kNested:
      return start_nested(launch);
    case Mode::kShadow:
      return start_shadow(launch);
    case Mode::kVma:
      return start_vma(launch);
    case Mode::kKvmPv:
      return start_kvmpv(launch);
    case Mode::kVmi:
      return start_vmi(launch);
    case Mode::kLguest:
      return start_lguest(launch);
    case Mode::kXen:
      return start_xen(launch);
  }
  return std::unexpected("unknown mode");
}

void print_number(Machine& machine, u64 value) {
  char digits[20];
  unsigned at = sizeof(digits);
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
  } while ((value /= 10) != 0);
  machine.console_write({digits + at, sizeof(digits) - at});
}

void print_boot_line(Machine& machine, const ModeHandler& mode, const Launch& launch, u64 own_bytes) {
  machine.console_write("nopte-hv: mode ");
  machine.console_write(mode.name());
  machine.console_write(", guest ");
  print_number(machine, launch.guest.bytes >> 20);
  machine.console_write(" MiB, own ");
  print_number(machine, own_bytes >> 20);
  machine.console_write(" MiB\n");
}

[[noreturn]] void boot(u64 start_info) {
  Machine& machine = Machine::instance();
  machine.start_clock();
  install_traps();
  require_svm();

  const auto info = read_pvh_info({reinterpret_cast<const u8*>(u64{0}), kBootReachBytes}, start_info);
  if (!info) {
    refuse_to_start("the boot loader's start info is malformed (PVH)");
  }
  // The command line lies in memory that is about to be the guest's.
  if (info->command_line.size() > sizeof(g_command_line)) {
    refuse_to_start("the command line is longer than 8192 bytes");
  }
  std::memcpy(g_command_line, info->command_line.data(), info->command_line.size());
  const auto options = parse_options({g_command_line, info->command_line.size()});
  if (!options) {
    refuse_to_start(options.error());
  }
  if (options->guest_command_line.size() > abi::kCommandLineBytes) {
    refuse_to_start("the guest's command line is longer than 2048 bytes");
  }
  if (info->module.bytes == 0) {
    refuse_to_start("no bundle: pass one with -initrd (guest image and initramfs, see hv-mm/bundle.h)");
  }

  const PhysicalSpan image_span{reinterpret_cast<u64>(image_start) - pt::kImageOffset,
                                static_cast<u64>(image_end - image_start)};
  const auto plan =
      plan_memory({info->ram.data(), info->ram_spans}, image_span, info->module.bytes, options->memory_bytes);
  if (!plan) {
    refuse_to_start(plan.error());
  }
  BootMemory own(plan->own, 0);
  // The first pages keep the bundle, which may lie where the guest's memory will be. The tables come behind
  // it, so they are built where the boot tables still reach.
  const auto bundle_at = own.take_pages(bytes_to_pages(info->module.bytes));
  if (!bundle_at || *bundle_at + pages_to_bytes(bytes_to_pages(info->module.bytes)) > kBootReachBytes / 2) {
    refuse_to_start("the bundle is too large for the hypervisor's own memory");
  }
  leave_boot_tables(*info, own);
  std::memmove(own.pointer(*bundle_at), own.pointer(info->module.begin), info->module.bytes);

  const auto bundle = Bundle::parse({own.pointer(*bundle_at), info->module.bytes});
  if (!bundle) {
    refuse_to_start(Bundle::message(bundle.error()));
  }
  const auto guest_file = bundle->find("guest");
  if (!guest_file) {
    refuse_to_start("the bundle has no part named \"guest\"");
  }
  const auto parsed = GuestImage::parse(*guest_file);
  if (!parsed) {
    refuse_to_start(parsed.error());
  }
  const auto* image = new (g_image) GuestImage(*parsed);

  auto* vcpu = new (g_run_stack.vcpu) Vcpu(g_vmcb, image_physical(g_vmcb));
  set_up_container(*vcpu, g_bitmaps, image_physical(g_bitmaps));
  const Launch launch{*options,
                      image,
                      bundle->find("initramfs").value_or(std::span<const u8>()),
                      plan->guest,
                      &own,
                      machine.tsc_hz(),
                      machine.boot_wall_ns(),
                      vcpu,
                      &machine};
  const StartResult mode = start(launch);
  if (!mode) {
    refuse_to_start(mode.error());
  }
  auto* exits = new (g_exit_handler) ExitHandler(*vcpu, **mode, machine, g_counters);
  print_boot_line(machine, **mode, launch, plan->own.bytes);
  exits->limit(options->offer);
  exits->platform().boot(launch.guest.bytes, plan->own.bytes);
  machine.start_interrupts(kDirectBase);
  vcpu->start_counting(machine.ticks());
  svm_run(vcpu);
}

}  // namespace
}  // namespace nopte::hv

extern "C" void boot_main(const nopte::pt::HvmStartInfo* start) {
  nopte::run_constructors(__init_array_start, __init_array_end);
  nopte::hv::boot(reinterpret_cast<nopte::u64>(start));
}

// Called by vmrun.S.
static nopte::hv::ExitHandler& exit_handler() {
  return *std::launder(reinterpret_cast<nopte::hv::ExitHandler*>(nopte::hv::g_exit_handler));
}
extern "C" void svm_handle_call(nopte::hv::Vcpu* vcpu) { exit_handler().handle_call(*vcpu); }
extern "C" void svm_handle_page_fault(nopte::hv::Vcpu* vcpu) { exit_handler().handle_page_fault(*vcpu); }
extern "C" void svm_handle_exit(nopte::hv::Vcpu*) { exit_handler().handle(); }
