// What the monitor does because it is the first program of its machine: file systems, modules, the console,
// and the end.
#pragma once

#include <csignal>
#include <string>
#include <string_view>

namespace kvm_monitor {

// Ends the machine: says `why` on the console and in the counters channel, and there what to do about it.
[[noreturn]] void give_up(std::string_view why, std::string_view todo = "");
// The same, behind the last words of the kernel.
[[noreturn]] void give_up_with_kernel_log(std::string_view why, std::string_view todo = "");

// Mounts /dev, asks for the ports, makes the console raw, and loads what /modules/load names: a file and its
// options in each line.
void start_host();

// Says where the kernel's functions are, and ends the machine: events "symbols", whose text is "ADDRESS NAME
// IMAGE;" for each.
[[noreturn]] void say_symbols();
// KVM's second-level tables are on.
[[nodiscard]] bool nested_paging();

// The whole file, which must be there.
[[nodiscard]] std::string read_file(const char* path);

// `on_input` is set to 1, by a signal, when something may have come from the console.
void watch_console(volatile sig_atomic_t* on_input, volatile unsigned char* leave);
// What has come from the console; never waits.
[[nodiscard]] std::string read_console();

}  // namespace kvm_monitor
