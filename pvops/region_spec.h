// What is promised: one region of one space, and the two views through which the paging engine asks
// its home (the guest's VmaTree natively, the hypervisor's declared regions in mode vma).
#pragma once

#include <optional>

#include "pvops/base/addr.h"
#include "pvops/base/function_ref.h"
#include "pvops/base/perm.h"
#include "pvops/base/result.h"
#include "pvops/region_hint.h"

namespace nopte {

// Kernel space is shared by all spaces and may be activated when no process is current.
enum class SpaceId : u32 { kKernel = 0 };
enum class ObjectId : u32 { kNone = 0 };

// Private: writes stay in this space, copy on write. Shared: writes reach the object.
enum class Sharing : u8 { kPrivate, kShared };

// A region. object == kNone: anonymous zero-fill memory (always private; shared anonymous memory is an
// object). object_page: the object's page that range.begin shows; 0 for anonymous.
struct RegionSpec {
  VaRange range;
  Perm perm;
  Sharing sharing = Sharing::kPrivate;
  ObjectId object = ObjectId::kNone;
  u64 object_page = 0;

  friend constexpr bool operator==(const RegionSpec&, const RegionSpec&) = default;
};

// The regions of one space, asked at every fault.
class RegionSource {
 public:
  // The region that contains va, whole; nothing when va is not promised.
  [[nodiscard]] virtual std::optional<RegionSpec> find(Gva va, RegionHint& hint) const = 0;
  [[nodiscard]] std::optional<RegionSpec> find(Gva va) const {
    RegionHint none;
    return find(va, none);
  }
  // The region that contains va or, when there is none, the next above it.
  [[nodiscard]] virtual std::optional<RegionSpec> find_next(Gva va) const = 0;

 protected:
  ~RegionSource() = default;
};

// Where an object is mapped, asked when pages leave it.
class ObjectMappings {
 public:
  // Calls visit(space, range) for every part of every region that shows pages
  // [first_page, first_page + pages) of the object.
  virtual void for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const = 0;

  // The same in steps: step() answers where it stopped in its part, so that the rest is not dealt with, or
  // nothing; true from visit(): all were visited. A visit that stopped goes on there in a later call for the
  // same pages, whatever its owner has changed meanwhile: all that is mapped now and was when the visit began
  // is seen. One visit at a time. step() is also called, with an empty range, for regions that show none of
  // these pages.
  using Stopped = std::optional<Gva>;
  enum class From : u8 { kStart, kWhereItStopped };
  virtual bool visit(From, u64 first_page, u64 pages, FunctionRef<Stopped(SpaceId, VaRange)> step) const {
    bool going = true;  // a list that knows no places in itself begins again
    for_each(first_page, pages,
             [&](SpaceId space, VaRange range) { going = going && !step(space, range).has_value(); });
    return going;
  }

 protected:
  ~ObjectMappings() = default;
};

// Why an access was refused. Numbers are ABI.
enum class ViolationReason : u32 {
  kNone = 0,
  kNoRegion = 1,    // SIGSEGV, SEGV_MAPERR
  kPermission = 2,  // SIGSEGV, SEGV_ACCERR
  kPastEnd = 3,     // SIGBUS, BUS_ADRERR
  kNoMemory = 4,    // SIGBUS and a console line
};

}  // namespace nopte
