#include "guest-mm/kernel/process/process_space.h"

#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/process/thread.h"
#include "pvops/base/panic.h"

namespace nopte::guest {

namespace {
AddressSpace* g_active = nullptr;
AddressSpace* g_ended = nullptr;

SpaceId id_of(const AddressSpace* space) { return space != nullptr ? space->id() : SpaceId::kKernel; }
}  // namespace

void activate_space(AddressSpace* space) {
  if (space != g_active) {
    g_active = space;
    mm_ops().space_activate(id_of(space));
  }
}

AddressSpace* active_space() { return g_active; }

void end_space_later(AddressSpace* space) {
  NOPTE_ASSERT(g_ended == nullptr);
  g_ended = space;
}

// The last process of what has ended is gone, so that `next` is another space; or others go on in it.
[[gnu::noinline]] static void leave_ended_space_for(AddressSpace* next) {
  AddressSpace* const ended = std::exchange(g_ended, nullptr);
  if (ended->shared()) {
    activate_space(next);
    ended->release();
  } else {
    g_active = next;
    ended->release_for(id_of(next));
  }
}

void switch_space(AddressSpace* next) {
  if (g_ended != nullptr) {
    leave_ended_space_for(next);
  } else {
    activate_space(next);
  }
}

u64 committed_pages() {
  static constinit u64 walk = 0;
  ++walk;
  u64 pages = 0;
  for_each_thread([&](Thread& thread) {
    if (thread.space != nullptr && thread.space->first_visit(walk)) pages += thread.space->committed_pages();
  });
  return pages;
}

void leave_ended_space() {
  if (g_ended != nullptr) leave_ended_space_for(nullptr);
}

}  // namespace nopte::guest
