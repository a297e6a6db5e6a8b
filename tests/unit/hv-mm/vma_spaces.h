// Spaces of a guest of mode vma on few ASIDs, over a machine that forgets what ASID, tlb_control and INVLPGA
// say and nothing else. After each exit it is looked for translations that the guest could use and should
// not.
#pragma once

#include <gtest/gtest.h>

#include "tests/model/vma_kind.h"

namespace nopte::model {

using abi::Call;
using pt::Privilege;

inline constexpr u64 kFrames = 2048;
inline constexpr u64 kR = 1, kW = 2, kX = 4;  // rights of a region
inline constexpr Gva kPage{0x4000'0000};
inline constexpr u64 kAdviseDontNeed = 0, kAdvisePopulate = 2;
// Pages enough for a table that a clone shares instead of copying it.
inline constexpr u64 kSharedPages = 80;

class Spaces {
 public:
  explicit Spaces(u32 asids) : guest(kFrames, {}, 0, asids) {}

  // The answer; 0 when it is an error.
  u64 call(Call number, const abi::Registers& arguments) {
    const hv::CallResult result = guest.call(static_cast<u64>(number), arguments);
    status = result.status;
    EXPECT_EQ(guest.machine().stale_translations(), 0u);
    return status == Status::kOk ? result.value : 0;
  }
  bool reaches(Gva va, Access access) {
    const auto privilege = static_cast<i64>(va.value()) < 0 ? Privilege::kKernel : Privilege::kUser;
    const u64 exits = guest.exits;
    const bool reached = guest.access(va, access, privilege).has_value();
    if (guest.exits != exits) {
      EXPECT_EQ(guest.machine().stale_translations(), 0u);
    }
    return reached;
  }
  u8& byte(Gva va) {
    const auto byte = guest.access(va, Access::kWrite, Privilege::kUser);
    NOPTE_ASSERT(byte);
    return **byte;
  }
  u64 make() { return call(Call::space_create, {}); }
  void activate(u64 space) { call(Call::space_activate, {space}); }
  void map(u64 space, Gva va, u64 pages, u64 flags, u64 object = 0) {
    call(Call::region_map, {space, va.value(), pages, flags | abi::kRegionReplace, object, 0});
  }
  void unmap(u64 space, Gva va, u64 pages) { call(Call::region_unmap, {space, va.value(), pages}); }
  void protect(u64 space, Gva va, u64 pages, u64 perm) {
    call(Call::region_protect, {space, va.value(), pages, perm});
  }
  // A space with a page of its own, touched; it runs.
  u64 make_touched(u64 pages = 1) {
    const u64 space = make();
    activate(space);
    map(space, kPage, pages, kR | kW);
    for (u64 page = 0; page < pages; ++page) byte(kPage + pages_to_bytes(page)) = static_cast<u8>(space);
    return space;
  }
  [[nodiscard]] u64 walks() { return guest.machine().walks; }
  [[nodiscard]] u64 flushes() { return guest.machine().entry_flushes; }
  [[nodiscard]] u32 asid() { return guest.vmcb().asid; }

  VmaGuest guest;
  Status status = Status::kOk;
};

}  // namespace nopte::model
