#include "tests/conformance/booted/booted_memory.h"

#include "guest-mm/core/kernel_windows.h"
#include "guest-mm/kernel/arch.h"
#include "tests/conformance/booted/program.h"

namespace nopte::conformance {
namespace {

ViolationReason g_refused = ViolationReason::kNone;
Gva g_refused_at;

class WindowObject final : public RegionList {};
WindowObject g_window_object;

Status copy(void* to, const void* from) {
  return guest::arch::copy_fallible(to, from, sizeof(u64)) ? Status::kOk : status_of(g_refused);
}

}  // namespace

void note_refusal(Gva address, ViolationReason reason) {
  g_refused = reason;
  g_refused_at = address;
}

Gva BootedMemory::refused_at() const { return g_refused_at; }

Result<u64> BootedMemory::load(Gva va) {
  u64 value = 0;
  if (const Status status = copy(&value, reinterpret_cast<const void*>(va.value())); status != Status::kOk) {
    return Fail(status);
  }
  return value;
}

Status BootedMemory::store(Gva va, u64 value) { return copy(reinterpret_cast<void*>(va.value()), &value); }

Status BootedMemory::execute(Gva va) {
  const ProgramEnd end = run_program(va);
  if (end.refused) return status_of(g_refused);
  return end.vector == kInvalidOpcode && end.rip == va ? Status::kOk : Status::kBadAddress;
}

// Where a mode has accepted what it should have refused (modes.cc), the tree refuses.
void BootedMemory::window_promised(const RegionSpec& spec) {
  auto plan = guest::kernel_window_tree().prepare_insert(spec, 0, &g_window_object);
  if (plan) guest::kernel_window_tree().commit(*plan);
}

void BootedMemory::window_withdrawn(VaRange range) {
  auto plan = guest::kernel_window_tree().prepare_unmap(range);
  if (plan) guest::kernel_window_tree().commit(*plan);
}

}  // namespace nopte::conformance
