// The walk of the guest's own page tables: what the processor would do for one access, without changing
// anything. CR0.WP, EFER.NXE and CR4.PAE are constants here (design: the container); CR4.SMEP is a parameter.
//
// Pure but for reading guest memory. Source: AMD64 APM vol. 2, 5.3 (long-mode translation), 5.6 (protection),
// 8.4.2 (page-fault error code).
#pragma once

#include "hv-mm/shadow/guest_memory.h"
#include "hv-mm/vcpu.h"

namespace nopte::hv {

// Which entry bits are reserved on this processor.
class ReservedBits {
 public:
  constexpr ReservedBits() = default;
  constexpr explicit ReservedBits(GuestProcessor processor)
      : address_(pt::Entry::kFrameMask & ~((u64{1} << processor.physical_bits) - 1)),
        giant_(processor.giant_pages) {}

  // Whether a present entry of a table of this level has a reserved bit set.
  [[nodiscard]] constexpr bool set_in(pt::Entry entry, unsigned level) const {
    if (entry.word() & address_) return true;
    if (level == 1 || !entry.large()) return false;
    if (level == 4 || (level == 3 && !giant_)) return true;
    // Frame bits below the large page, except PAT (bit 12).
    return entry.word() & (pt::entry_bytes(level) - 1) & pt::Entry::kFrameMask & ~u64{1 << 12};
  }

 private:
  u64 address_ = 0;
  bool giant_ = false;
};

struct GuestWalk {
  enum class Outcome : u8 {
    kTranslated,
    kFault,    // the guest takes #PF with error_code
    kOutside,  // a table lies outside guest memory
  };
  Outcome outcome = Outcome::kFault;
  u8 leaf_level = 0;   // kTranslated: 1, 2 or 3
  u64 error_code = 0;  // kFault
  // ANDed and ORed over the path.
  u64 all = ~u64{0};
  u64 any = 0;
  // By level, valid from 4 down to the last level read.
  u64 word[pt::kLevels + 1];

  [[nodiscard]] pt::Entry entry(unsigned level) const { return pt::Entry(word[level]); }
  // Guest frame of the table of this level. Precondition: it was read, from the table at root_gfn.
  [[nodiscard]] u64 table(unsigned level, u64 root_gfn) const {
    return level == pt::kLevels ? root_gfn : entry(level + 1).frame().number();
  }
  // Guest frame of va. Precondition: kTranslated. It may lie outside guest memory.
  [[nodiscard]] u64 gfn(Gva va) const {
    const u64 below = pt::entry_bytes(leaf_level) - 1;
    return ((word[leaf_level] & pt::Entry::kFrameMask & ~below) | (va.value() & below)) >> kPageShift;
  }
};

// Walks from the table at root_gfn. `access` is made of kFaultWrite, kFaultUser and kFaultFetch; a fault's
// error code has these bits as they are.
[[nodiscard]] GuestWalk walk_guest(const GuestMemory& memory, ReservedBits reserved, u64 root_gfn, Gva va,
                                   u64 access, bool smep);
// Without an access: rights are not looked at.
[[nodiscard]] GuestWalk walk_guest_entries(const GuestMemory& memory, ReservedBits reserved, u64 root_gfn,
                                           Gva va, u64 access);

// Whether the access is refused by rights that were ANDed along the path (W, U) and ORed (NX).
[[nodiscard]] bool refused(u64 all, u64 any, u64 access, bool smep);

}  // namespace nopte::hv
