// The platform hypercalls: console, timer, idle, power off, mark; the same in every mode.
#pragma once

#include "hv-mm/counters.h"
#include "hv-mm/host.h"
#include "hv-mm/mode_handler.h"
#include "hv-mm/offer.h"

namespace nopte::hv {

// What platform calls work on: one guest. Also where its end is reported.
class Platform {
 public:
  Platform(Host& host, ModeHandler& mode, Vcpu& vcpu, Counters& counters)
      : host_(host), mode_(mode), vcpu_(vcpu), counters_(counters) {}

  // Offers less. Before the guest starts.
  void limit(const Offer& offer) { offer_ = offer; }

  // One per call of the table (abi/dispatch.h).
  CallResult query(const abi::query_args& args);
  CallResult console_write(const abi::console_write_args& args);
  CallResult console_read(const abi::console_read_args& args);
  CallResult timer_set(const abi::timer_set_args& args);
  CallResult timer_cancel(const abi::timer_cancel_args& args);
  CallResult idle(const abi::idle_args& args);
  CallResult power_off(const abi::power_off_args& args);
  CallResult mark(const abi::mark_args& args);

  [[nodiscard]] u64 features() const;
  [[nodiscard]] u64 abi_version() const { return offer_.abi_version; }
  // Waits, with the time counted as idle, until an interrupt is pending for the guest.
  void wait();
  // Moves what host interrupts raised to the vCPU, and reports an NMI or INIT.
  void collect_host_interrupts();
  // Writes the boot line of the counters channel: the guest is about to start.
  void boot(u64 guest_bytes, u64 own_bytes);
  // Writes the power_off line and ends the machine. `reason` is empty for a guest's own power-off.
  [[noreturn]] void end(u8 status, std::string_view reason);

 private:
  // How many bytes that were.
  u64 write_event(std::string_view event, std::string_view text_key, std::string_view text, const u8* status);
  [[gnu::cold]] u64 draw();
  void report_signal(std::string_view event, std::string_view name);

  Host& host_;
  ModeHandler& mode_;
  Vcpu& vcpu_;
  Counters& counters_;
  Offer offer_;
  u64 output_bytes_ = 0;  // of offer_.output_bytes
};

}  // namespace nopte::hv
