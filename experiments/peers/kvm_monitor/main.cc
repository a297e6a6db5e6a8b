// The smallest virtual-machine monitor that runs our guest, or Linux, under KVM: it is the first program of a
// Linux whose only other files are KVM's modules and the guest's (experiments/lib/kvm_host.py).
//
//   /modules/load                     modules and their options, a line each
//   /guest/kernel, module             an ELF file with a PVH entry, and its one module
//   /guest/command_line, memory       as text; memory in MiB
//
// The guest has a UART (COM1), a clock, the interrupt controllers and timers of a PC, and the machine's two
// debug devices: what it writes to the counters channel gets KVM's counters, and its exit ends the machine.
#include <sys/mman.h>

#include <charconv>
#include <cstring>
#include <ctime>
#include <string>

#include "experiments/peers/kvm_monitor/cmos.h"
#include "experiments/peers/kvm_monitor/counters_channel.h"
#include "experiments/peers/kvm_monitor/host.h"
#include "experiments/peers/kvm_monitor/log_console.h"
#include "experiments/peers/kvm_monitor/ports.h"
#include "experiments/peers/kvm_monitor/uart.h"
#include "experiments/peers/kvm_monitor/virtual_machine.h"

namespace kvm_monitor {
namespace {

constexpr uint32_t kUartLine = 4;
constexpr uint16_t kCmosIndex = 0x70;
constexpr uint16_t kCmosData = 0x71;
constexpr uint16_t kKeyboardCommand = 0x64;
constexpr uint16_t kResetControl = 0xcf9;

// There is one console, and one signal handler.
volatile sig_atomic_t g_input = 0;

std::span<uint8_t> guest_bytes(const std::string& text) {
  uint64_t mib = 0;
  std::from_chars(text.data(), text.data() + text.size(), mib);
  const uint64_t bytes = mib << 20;
  // All of it now: what a first touch costs the guest is then the guest's and KVM's, not that of finding
  // memory.
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NORESERVE, -1, 0);
  if (bytes == 0 || memory == MAP_FAILED) give_up("the guest's memory, " + text + " MiB, cannot be had");
  return {static_cast<uint8_t*>(memory), bytes};
}

class Monitor {
 public:
  explicit Monitor(const GuestMemory& memory)
      : machine_(memory),
        uart_([](uint8_t byte) { write_console(byte); }),
        channel_([this] { return machine_.counters(); }, [](std::string_view line) { write_counters(line); }),
        log_([this] { return machine_.counters(); }, [](std::string_view line) { write_counters(line); }) {
    if (nested_paging()) machine_.populate(memory);
  }

  [[noreturn]] void run(const PvhStart& start) {
    machine_.start_at(start);
    watch_console(&g_input, &machine_.state().immediate_exit);
    for (;;) {
      if (machine_.run()) {
        serve();
      } else {
        machine_.state().immediate_exit = 0;
      }
      if (g_input != 0) {
        g_input = 0;
        for (std::string bytes = read_console(); !bytes.empty(); bytes = read_console()) uart_.receive(bytes);
      }
      update_interrupt();
    }
  }

 private:
  void serve() {
    kvm_run& state = machine_.state();
    switch (state.exit_reason) {
      case KVM_EXIT_IO:
        return serve_port();
      case KVM_EXIT_MMIO:
        // Nothing is there: reads as ones.
        if (state.mmio.is_write == 0) std::fill(std::begin(state.mmio.data), std::end(state.mmio.data), 0xff);
        return;
      case KVM_EXIT_SHUTDOWN:
        give_up("the guest's processor shut down (a triple fault) at " + address());
      case KVM_EXIT_FAIL_ENTRY:
        give_up_with_kernel_log("the processor refused the guest's state at " + address());
      case KVM_EXIT_INTERNAL_ERROR:
        give_up_with_kernel_log("KVM could not go on at " + address() + ": internal error " +
                                std::to_string(state.internal.suberror));
      default:
        give_up("an exit that is not known: " + std::to_string(state.exit_reason) + " at " + address());
    }
  }

  void serve_port() {
    const auto& io = machine_.state().io;
    auto* data = reinterpret_cast<uint8_t*>(&machine_.state()) + io.data_offset;
    for (uint32_t i = 0; i < io.count; ++i, data += io.size) {
      if (io.direction == KVM_EXIT_IO_OUT) {
        write_port(io.port, data, io.size);
      } else {
        std::fill_n(data, io.size, uint8_t{0xff});
        data[0] = read_port(io.port);
      }
    }
  }

  uint8_t read_port(uint16_t port) {
    if (port >= kUartPort && port < kUartPort + Uart::kRegisters) return uart_.read(port - kUartPort);
    if (port >= LogConsole::kPort && port < LogConsole::kPort + Uart::kRegisters) {
      return LogConsole::read(port - LogConsole::kPort);
    }
    if (port == kCmosData) return read_cmos(cmos_index_, time(nullptr));
    return 0xff;
  }

  void write_port(uint16_t port, const uint8_t* data, uint32_t bytes) {
    constexpr uint8_t kPulseReset = 0xfe;
    if (port >= kUartPort && port < kUartPort + Uart::kRegisters) {
      uart_.write(port - kUartPort, data[0]);
    } else if (port >= LogConsole::kPort && port < LogConsole::kPort + Uart::kRegisters) {
      log_.write(port - LogConsole::kPort, data[0]);
    } else if (port == kCountersPort) {
      channel_.put(static_cast<char>(data[0]));
    } else if (port == kExitPort) {
      uint32_t value = 0;
      std::memcpy(&value, data, bytes);
      out_word(kExitPort, value);
    } else if (port == kCmosIndex) {
      cmos_index_ = data[0] & 0x7f;
    } else if ((port == kKeyboardCommand && data[0] == kPulseReset) || port == kResetControl) {
      give_up("the guest asked for a reset at " + address());
    }
  }

  void update_interrupt() {
    if (uart_.interrupts() == level_) return;
    level_ = !level_;
    machine_.set_interrupt(kUartLine, level_);
  }

  [[nodiscard]] std::string address() const {
    char text[32];
    std::snprintf(text, sizeof text, "%#llx",
                  static_cast<unsigned long long>(machine_.instruction_pointer()));
    return text;
  }

  VirtualMachine machine_;
  Uart uart_;
  CountersChannel channel_;
  LogConsole log_;
  uint8_t cmos_index_ = 0;
  bool level_ = false;
};

int run() {
  start_host();
  if (access("/say-symbols", F_OK) == 0) say_symbols();
  const GuestMemory memory(guest_bytes(read_file("/guest/memory")));
  Monitor monitor(memory);
  const auto start = load_pvh(memory, read_file("/guest/kernel"), read_file("/guest/module"),
                              read_file("/guest/command_line"));
  if (!start) give_up(start.error());
  monitor.run(*start);
}

}  // namespace
}  // namespace kvm_monitor

int main() { return kvm_monitor::run(); }
