// Which address space is active, and the end of a space whose last process is gone.
//
// A space is destroyed only when another one is active: the scheduler does that at the switch that it makes
// anyway, in one operation, so that exit costs no activation of its own.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

class AddressSpace;

// Makes user addresses mean this space; free when they do already. Null: the kernel space alone.
void activate_space(AddressSpace* space);
// Null: the kernel space alone.
AddressSpace* active_space();
// Takes over the caller's reference to what may be the active space; it is given up at the next switch.
void end_space_later(AddressSpace* space);
// activate_space(), and what end_space_later() took is given up.
void switch_space(AddressSpace* next);
// What the spaces of all threads were promised of memory that may have to be committed, in pages.
u64 committed_pages();
// If it took something: the same with the kernel space, as nothing else is there to be activated.
void leave_ended_space();

}  // namespace nopte::guest
