// One virtual machine of KVM with one processor, which has the interrupt controllers and the timer of a PC
// inside KVM.
#pragma once

#include <linux/kvm.h>

#include "experiments/peers/kvm_monitor/counters_channel.h"
#include "experiments/peers/kvm_monitor/guest_memory.h"
#include "experiments/peers/kvm_monitor/pvh_start.h"
#include "experiments/peers/kvm_monitor/statistics.h"

namespace kvm_monitor {

// Every failure ends the machine, with the call that failed.
class VirtualMachine {
 public:
  explicit VirtualMachine(const GuestMemory& memory);

  void start_at(const PvhStart& start);
  // Where the processor walks KVM's tables: has them filled for what lies below the gap, by a guest that
  // reads each page. Who hands out memory that nobody had before would be charged for that otherwise.
  void populate(const GuestMemory& memory);
  // Runs the processor until it needs the monitor; false: a signal came first.
  bool run();
  [[nodiscard]] kvm_run& state() { return *run_; }
  [[nodiscard]] uint64_t instruction_pointer() const;
  void set_interrupt(uint32_t line, bool level);
  [[nodiscard]] Counters counters() const;

 private:
  void enter(uint64_t entry, uint64_t rbx, uint64_t rbp);

  int system_;
  int machine_;
  int processor_;
  kvm_run* run_ = nullptr;
  Statistics of_machine_;
  Statistics of_processor_;
};

}  // namespace kvm_monitor
