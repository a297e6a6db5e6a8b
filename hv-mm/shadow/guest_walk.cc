#include "hv-mm/shadow/guest_walk.h"

#include "native-fallback/tables/descend.h"

namespace nopte::hv {

using pt::Entry;

bool refused(u64 all, u64 any, u64 access, bool smep) {
  if ((access & kFaultWrite) && !(all & Entry::kWritable)) return true;
  if ((access & kFaultUser) && !(all & Entry::kUser)) return true;
  if (access & kFaultFetch) {
    if (any & Entry::kNoExecute) return true;
    if (smep && !(access & kFaultUser) && (all & Entry::kUser)) return true;
  }
  return false;
}

GuestWalk walk_guest_entries(const GuestMemory& memory, ReservedBits reserved, u64 root_gfn, Gva va,
                             u64 access) {
  GuestWalk walk;
  u64 at = root_gfn;
  pt::descend<pt::FourLevel>(at, va, 0, [&](u64& gfn, unsigned level, unsigned index) {
    if (!memory.contains(gfn)) {
      walk.outcome = GuestWalk::Outcome::kOutside;
      return false;
    }
    const Entry entry = pt::load_entry(memory.table(gfn), index);
    walk.word[level] = entry.word();
    if (!entry.present()) {
      walk.error_code = access;
      return false;
    }
    if (reserved.set_in(entry, level)) {
      walk.error_code = access | kFaultPresent | kFaultReserved;
      return false;
    }
    walk.all &= entry.word();
    walk.any |= entry.word();
    if (level == 1 || entry.large()) {
      walk.leaf_level = static_cast<u8>(level);
      walk.outcome = GuestWalk::Outcome::kTranslated;
      return false;
    }
    gfn = entry.frame().number();
    return true;
  });
  return walk;
}

GuestWalk walk_guest(const GuestMemory& memory, ReservedBits reserved, u64 root_gfn, Gva va, u64 access,
                     bool smep) {
  GuestWalk walk = walk_guest_entries(memory, reserved, root_gfn, va, access);
  if (walk.outcome == GuestWalk::Outcome::kTranslated && refused(walk.all, walk.any, access, smep)) {
    walk.outcome = GuestWalk::Outcome::kFault;
    walk.error_code = access | kFaultPresent;
  }
  return walk;
}

}  // namespace nopte::hv
