// What the parts of the hostile guest share. The probes of a mode's tables, or of its interface, are one
// file: it defines a
//   [[gnu::section(".interfaces"), gnu::used]] const hostile::Interface
// that names its mode, and checks what comes of each thing that it tries.
#pragma once

#include <span>
#include <string_view>

#include "pvops/abi/boot_block.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/base/types.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"
#include "pvops/interfaces/tag.h"

namespace hostile {

using namespace nopte;

void print(std::string_view text);
void print(u64 value);
// Says so and counts it when they differ.
void check(std::string_view what, std::string_view where, u64 expected, u64 got);
// How many did.
u64 failures();
[[noreturn]] void power_off(u8 status);

// --- things that may trap: the vector of the trap, kCompleted when there was none ---
inline constexpr u32 kCompleted = 0xff;
inline constexpr u32 kGeneralProtection = 13, kPageFault = 14;
extern "C" u32 run_probe(const void* function);
u32 load(u64 va);
u32 store(u64 va, u64 value);
u32 load_cr3(u64 value);
u32 write_msr(u32 msr, u64 value);
// Of the last #PF and the like.
u64 last_error_code();

// Values that no argument should be.
extern const std::span<const u64> kNastyValues;

// --- tables ---
inline constexpr u64 kImageOffset = 0xffff'ffff'8000'0000;
inline u64 physical(const void* at) { return reinterpret_cast<u64>(at) - kImageOffset; }
// The root that the guest was started with: the low 1 GiB at 0 and at the image, by large leaves.
extern "C" u64 hostile_root[512];

inline constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40, kLarge = 0x80;
inline constexpr u64 kEverything = kPresent | kWritable | kUser | kAccessed | kDirty;
struct alignas(kPageBytes) Page {
  u64 words[512];
};

// What a mode's tables are tried with. Aligned as the section of them is packed.
struct alignas(32) Interface {
  enum class Calls : u64 { kNone, kOwn };
  const char* mode;
  u64 (*run)(const abi::BootBlock& block);  // gives how many calls it made
  // Does what a scenario names, of which the guest dies as a rule; it comes back if there is none such.
  void (*scenario)(std::string_view name, const abi::BootBlock& block) = nullptr;
  Calls calls = Calls::kOwn;  // whether the mode has a page-table interface
};

// Makes the call of this interface and counts it.
u64 calls_made();
pv::HypercallResult call(abi::Interface interface, u32 number, u64 a0, u64 a1, u64 a2, u64 a3 = 0,
                         u64 a4 = 0);
void refused(std::string_view what, u64 error, pv::HypercallResult result);
void accepted(std::string_view what, pv::HypercallResult result);

}  // namespace hostile
