#include "experiments/peers/kvm_monitor/virtual_machine.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include <cerrno>
#include <cstring>

#include "experiments/peers/kvm_monitor/host.h"

namespace kvm_monitor {
namespace {

template <class Argument>
int call(int file, unsigned long request, const char* name, Argument argument) {
  const int result = ioctl(file, request, argument);
  if (result < 0) give_up_with_kernel_log(std::string(name) + " failed: " + std::strerror(errno));
  return result;
}
#define CALL(file, request, argument) call(file, request, #request, argument)

int open_kvm() {
  const int file = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (file < 0) give_up_with_kernel_log(std::string("/dev/kvm cannot be opened: ") + std::strerror(errno));
  if (CALL(file, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) give_up("this KVM has another API");
  return file;
}

int make_machine(int system, const GuestMemory& memory) {
  const int machine = CALL(system, KVM_CREATE_VM, 0);
  CALL(machine, KVM_CREATE_IRQCHIP, 0);
  kvm_pit_config timer{};
  timer.flags = KVM_PIT_SPEAKER_DUMMY;  // port 0x61, through which the second channel is read
  CALL(machine, KVM_CREATE_PIT2, &timer);
  for (uint32_t i = 0; i < memory.slots().size(); ++i) {
    const MemorySlot& slot = memory.slots()[i];
    const auto host = reinterpret_cast<uint64_t>(memory.host(slot));
    kvm_userspace_memory_region region{i, 0, slot.guest, slot.bytes, host};
    CALL(machine, KVM_SET_USER_MEMORY_REGION, &region);
  }
  return machine;
}

// kvm_cpuid2 as it is in C: in C++ the header's array without a length takes room, and the numbers of the
// calls differ.
struct CpuidList {
  static constexpr uint32_t kMost = 256;
  uint32_t count = kMost;
  uint32_t padding = 0;
  kvm_cpuid_entry2 entries[kMost] = {};
};
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, uint64_t);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, uint64_t);

// The guest sees what KVM can give it of this processor.
void set_features(int system, int processor) {
  CpuidList list;
  call(system, kGetSupportedCpuid, "KVM_GET_SUPPORTED_CPUID", &list);
  call(processor, kSetCpuid2, "KVM_SET_CPUID2", &list);
}

kvm_segment flat(uint8_t type, uint16_t selector) {
  kvm_segment segment{};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = type;
  segment.present = segment.db = segment.s = segment.g = 1;
  return segment;
}

}  // namespace

VirtualMachine::VirtualMachine(const GuestMemory& memory)
    : system_(open_kvm()),
      machine_(make_machine(system_, memory)),
      processor_(CALL(machine_, KVM_CREATE_VCPU, 0)),
      of_machine_(machine_),
      of_processor_(processor_) {
  set_features(system_, processor_);
  const int bytes = CALL(system_, KVM_GET_VCPU_MMAP_SIZE, 0);
  void* shared = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, processor_, 0);
  if (shared == MAP_FAILED)
    give_up(std::string("the processor's state cannot be mapped: ") + std::strerror(errno));
  run_ = static_cast<kvm_run*>(shared);
  if (!of_processor_.known()) give_up("this kernel's KVM has no KVM_GET_STATS_FD: Linux 5.14 or later has");
}

// 32-bit protected mode without paging, flat segments (Xen, docs/misc/pvh.pandoc).
void VirtualMachine::enter(uint64_t entry, uint64_t rbx, uint64_t rbp) {
  constexpr uint8_t kCode = 0xb;
  constexpr uint8_t kData = 0x3;
  constexpr uint8_t kBusyTask = 0xb;
  kvm_sregs system{};
  CALL(processor_, KVM_GET_SREGS, &system);
  system.cs = flat(kCode, 0x8);
  system.ds = system.es = system.fs = system.gs = system.ss = flat(kData, 0x10);
  system.tr = {};
  system.tr.limit = 0x67;
  system.tr.type = kBusyTask;
  system.tr.present = 1;
  system.cr0 = 0x11;  // PE, ET
  system.cr4 = 0;
  system.efer = 0;
  CALL(processor_, KVM_SET_SREGS, &system);
  kvm_regs registers{};
  registers.rip = entry;
  registers.rbx = rbx;
  registers.rbp = rbp;
  registers.rflags = 2;
  CALL(processor_, KVM_SET_REGS, &registers);
}

void VirtualMachine::start_at(const PvhStart& start) { enter(start.entry, start.start_info, 0); }

void VirtualMachine::populate(const GuestMemory& memory) {
  // xor esi, esi; 1: mov al, [esi]; add esi, 4096; cmp esi, ebp; jb 1b; out 0x80, al
  constexpr std::string_view kReadPages{"\x31\xf6\x8a\x06\x81\xc6\x00\x10\x00\x00\x39\xee\x72\xf4\xe6\x80",
                                        16};
  constexpr uint64_t kCode = 0x1000;
  if (!memory.copy_in(kCode, kReadPages)) give_up("the guest has too little memory");
  enter(kCode, 0, memory.low_bytes());
  while (!run()) {
  }
  if (run_->exit_reason != KVM_EXIT_IO) give_up("the guest's memory could not be populated");
}

bool VirtualMachine::run() {
  if (ioctl(processor_, KVM_RUN, 0) == 0) return true;
  if (errno == EINTR || errno == EAGAIN) return false;
  give_up_with_kernel_log(std::string("KVM_RUN failed: ") + std::strerror(errno));
}

uint64_t VirtualMachine::instruction_pointer() const {
  kvm_regs registers{};
  CALL(processor_, KVM_GET_REGS, &registers);
  return registers.rip;
}

void VirtualMachine::set_interrupt(uint32_t line, bool level) {
  kvm_irq_level to{};
  to.irq = line;
  to.level = level ? 1 : 0;
  CALL(machine_, KVM_IRQ_LINE, &to);
}

Counters VirtualMachine::counters() const {
  Counters found;
  of_machine_.read(found.values);
  of_processor_.read(found.values);
  found.tsc = __rdtsc();
  return found;
}

}  // namespace kvm_monitor
