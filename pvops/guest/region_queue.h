// The guest's side of the queues (pvops/abi/region_queue.h): region calls that need no exit. A space whose
// queue cannot take a call has it made as an ordinary one, which the hypervisor does after all that is
// queued.
//
// Concurrency: one CPU; with more, calls on one space are under its lock.
#pragma once

#include "pvops/abi/region_queue.h"
#include "pvops/region_spec.h"

namespace nopte::pv {

// Once at boot. Without, no call is ever queued; without words, no unmap.
void use_region_queues(bool offered, bool words);
// A space that has begun to be: its queue's memory is asked for, if no other's was with it.
void want_queue(SpaceId space);

// Puts region_map where no region is, nothing replaced nor populated. False: it is to be called.
bool queue_map(SpaceId space, const RegionSpec& region, u64 flags);
// Puts region_protect that takes no right away. False: it is to be called. It saves an exit where nothing is
// installed; what is will be met by a fault instead.
bool queue_protect(SpaceId space, VaRange range, Perm perm);
// Withdraws the promise of exactly this range, as it was mapped: while the hypervisor has not heard of it, or
// where it says that nothing was ever installed. False: it is to be called.
bool queue_unmap(SpaceId space, VaRange range);

}  // namespace nopte::pv
