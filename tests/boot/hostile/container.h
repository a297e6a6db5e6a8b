// The processor that the hypervisor's container gives: what instructions raise, the state at entry,
// interrupts.
#pragma once

#include "tests/boot/hostile/hostile.h"

namespace hostile::container {

// A descriptor table whose traps end what is tried.
void load_descriptor_tables();

// A page that CPL 3 may read, write and execute, and where this kernel writes it.
struct UserPage {
  u64 user;
  u8* kernel;
};
UserPage make_user_page(const abi::BootBlock& block);

// Which of a probe's expected vectors hold at CPL 0.
enum class Column : u8 { kNested, kShadow, kNoTables };
// Every probe of probes.S at CPL 0 and CPL 3; how many that were.
u64 run_probes(Column column, const UserPage& page);
// Control registers and CPUID. `hidden_cr3`: CR3 reads 0.
void check_state(bool hidden_cr3);
void check_timer();
// Says so, runs until the console has a key, says so, is idle until it has another.
void wait_for_keys();

}  // namespace hostile::container
