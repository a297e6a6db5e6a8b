// The hypercall ABI made from features.def and hypercalls.def: feature bits, call numbers, argument structs,
// and their register form. The guest stubs (pvops/guest) and the hypervisor's dispatch (hv-mm/abi) are made
// from the same table.
#pragma once

#include <array>

#include "pvops/region_spec.h"

namespace nopte::abi {

inline constexpr u64 kAbiVersion = 1;
#define NOPTE_FEATURE(bit, constant, name, meaning) inline constexpr u64 constant = u64{1} << (bit);
#include "pvops/abi/features.def"
// What mode vma offers for memory, all of it.
inline constexpr u64 kMemoryFeatures = kFeatureMemory | kFeatureMapFlags | kFeatureResident |
                                       kFeatureRegionQueue | kFeatureUsage | kFeatureInstalled |
                                       kFeatureUntouchedWords | kFeatureSpaceSwitch;
// The page-table interfaces of other hypervisors, of which a guest uses one.
inline constexpr u64 kFeatureInterfaces = kFeatureXen | kFeatureVmi | kFeatureLguest | kFeatureKvmPv;

// CPUID: leaf 0x40000000 gives this signature in ebx, ecx, edx; leaf 0x40000001 gives the ABI version in
// eax and feature bits 0-31 in ebx.
inline constexpr u32 kCpuidSignatureLeaf = 0x4000'0000;
inline constexpr u32 kCpuidFeatureLeaf = 0x4000'0001;
inline constexpr std::array<u32, 3> kCpuidSignature{0x74706f6e, 0x6d762d65, 0x20766861};  // "nopte-vmahv "

enum class Call : u64 {
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) name = (number),
#include "pvops/abi/hypercalls.def"
};

// Register form of the arguments, in the order rdi, rsi, rdx, r10, r8, r9.
using Registers = std::array<u64, 6>;

// One empty-able struct per call: region_map_args {space, begin, pages, ...}.
#define NOPTE_ARG(type, name, meaning) type name{};
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) \
  struct name##_args {                                               \
    args                                                             \
  };
#include "pvops/abi/hypercalls.def"

namespace detail {
constexpr u64 to_register(u64 value) { return value; }
constexpr u64 to_register(Gva va) { return va.value(); }
constexpr u64 to_register(SpaceId id) { return static_cast<u32>(id); }
constexpr u64 to_register(ObjectId id) { return static_cast<u32>(id); }

// Decoding keeps no bit back: an id register with high bits set is not an id.
constexpr bool from_register(u64 value, u64& out) { return out = value, true; }
constexpr bool from_register(u64 value, Gva& out) { return out = Gva(value), true; }
constexpr bool from_register(u64 value, SpaceId& out) {
  return out = SpaceId(static_cast<u32>(value)), value <= 0xffff'ffff;
}
constexpr bool from_register(u64 value, ObjectId& out) {
  return out = ObjectId(static_cast<u32>(value)), value <= 0xffff'ffff;
}
}  // namespace detail

// encode(args) -> registers; decode(registers, args) -> false when a register cannot be that type.
#define NOPTE_ARG(type, name, meaning) registers[next++] = detail::to_register(args_in.name);
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors)        \
  constexpr Registers encode([[maybe_unused]] const name##_args& args_in) { \
    Registers registers{};                                                  \
    [[maybe_unused]] unsigned next = 0;                                     \
    args return registers;                                                  \
  }
#include "pvops/abi/hypercalls.def"

#define NOPTE_ARG(type, name, meaning) ok = detail::from_register(registers[next++], args_out.name) && ok;
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) \
  constexpr bool decode([[maybe_unused]] const Registers& registers, \
                        [[maybe_unused]] name##_args& args_out) {    \
    bool ok = true;                                                  \
    [[maybe_unused]] unsigned next = 0;                              \
    args return ok;                                                  \
  }
#include "pvops/abi/hypercalls.def"

// region_map flags.
inline constexpr u64 kRegionShared = u64{1} << 3;
inline constexpr u64 kRegionReplace = u64{1} << 4;   // kFeatureMapFlags
inline constexpr u64 kRegionPopulate = u64{1} << 5;  // kFeatureMapFlags
inline constexpr unsigned kRegionUsageShift = 6;
inline constexpr u64 kRegionUsage = u64{Usage::kAll} << kRegionUsageShift;  // kFeatureUsage
inline constexpr u64 kRegionFlagMask =
    Perm::kAll | kRegionShared | kRegionReplace | kRegionPopulate | kRegionUsage;

// The answer of region_installed, and how many pages it is asked about at most.
inline constexpr u64 kMostCounted = (u64{1} << 24) - 1;
struct CountedPages {
  u64 pages = 0;  // below 2^20, as the next
  u64 large = 0;
  u64 counted = 0;

  [[nodiscard]] constexpr u64 word() const { return pages | large << 20 | counted << 40; }
  static constexpr CountedPages of(u64 word) { return {word & 0xf'ffff, word >> 20 & 0xf'ffff, word >> 40}; }
};

}  // namespace nopte::abi
