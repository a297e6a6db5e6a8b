// lguest's memory interface, the hypervisor's side: decode -> check -> perform. A call that is refused has
// changed nothing; a call in the ring that would be refused ends the guest. The ring lies in guest memory:
// each call is copied before it is looked at, and at most as many as it has slots are performed at one exit.
// Work per call is bounded by the ring's slots and the roots in the shadow's pool, whose entries each may
// have to be looked at; tables that go are emptied a few per exit (ShadowTables::kMostReaped). Hosted: yes.
// Concurrency: one vCPU, stopped. Interface: pvops/interfaces/lguest.h.
#pragma once

#include "hv-mm/mode_handler.h"
#include "hv-mm/shadow/told/told_mmu.h"
#include "pvops/interfaces/lguest.h"

namespace nopte::hv {

class LguestCalls {
 public:
  explicit LguestCalls(ToldMmu& mmu) : mmu_(mmu) {}

  // The call of this number (without the tag). The ring comes first.
  CallResult call(u64 number, const abi::Registers& arguments);
  // Performs what waits in the ring.
  void drain();
  // Why the guest must end, or null. Calls do nothing then.
  [[nodiscard]] const char* ends_guest() const { return ends_guest_; }

  struct Counters {
    u64 calls = 0;
    u64 ring_calls = 0;
    u64 entries_told = 0;
    u64 refused = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  CallResult set_ring(Gpa page);
  CallResult new_pgtable(u64 root);
  // The calls that the ring may hold.
  CallResult change(u64 number, u64 a0, u64 a1, u64 a2);
  CallResult set_pte(u64 root, Gva va, pt::Entry entry);
  CallResult set_pmd(u64 root, u64 place);
  CallResult set_pgd(u64 root, u64 index);

  ToldMmu& mmu_;
  u8* ring_ = nullptr;
  u64 next_ = 0;  // slot
  const char* ends_guest_ = nullptr;
  Counters counters_;
};

}  // namespace nopte::hv
