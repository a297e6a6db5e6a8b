#include "guest-mm/kernel/process_space.h"

#include "guest-mm/core/address_space.h"
#include "pvops/base/panic.h"

namespace nopte::guest {

namespace {
AddressSpace* g_active = nullptr;
AddressSpace* g_ended = nullptr;
}  // namespace

void activate_space(AddressSpace* space) {
  if (space != g_active) {
    g_active = space;
    mm_ops().space_activate(space != nullptr ? space->id() : SpaceId::kKernel);
  }
}

AddressSpace* active_space() { return g_active; }

void end_space_later(AddressSpace* space) {
  NOPTE_ASSERT(g_ended == nullptr);
  g_ended = space;
}

void destroy_ended_space() {
  if (g_ended != nullptr) {
    AddressSpace* space = g_ended;
    g_ended = nullptr;
    space->release();
  }
}

void leave_ended_space() {
  if (g_ended != nullptr) {
    activate_space(nullptr);
    destroy_ended_space();
  }
}

}  // namespace nopte::guest
