// Xen's MMU hypercalls, the hypervisor's side: decode -> check -> perform. A step that is refused has changed
// nothing; the steps of a list before it have happened, and *done_out says how many. Work per call is bounded
// by kMaxBatch elements (twice that in a multicall), and stops for an interrupt as PageTypes says.
// Hosted: yes. Concurrency: one vCPU, stopped. Interface: pvops/interfaces/xen.h.
#pragma once

#include "hv-mm/mode_handler.h"
#include "hv-mm/xen/guest_pointers.h"

namespace nopte::hv {

class XenCalls {
 public:
  // `zero` and `copy`: the one zeroing and the one copying routine, for whole pages.
  using ZeroPage = void (*)(u8* page);
  using CopyPage = void (*)(u8* to, const u8* from);
  XenCalls(PageTypes& types, ZeroPage zero, CopyPage copy)
      : types_(types), pointers_(types), zero_(zero), copy_(copy) {}

  // The call of this number (without the tag).
  CallResult call(u64 number, const abi::Registers& arguments);

  struct Counters {
    u64 mmu_updates = 0;  // calls, also inside a multicall
    u64 mmuext_ops = 0;
    u64 multicalls = 0;
    u64 update_va_mappings = 0;
    u64 restarts = 0;
    u64 refused = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const GuestPointers& pointers() const { return pointers_; }

 private:
  using Arguments = std::span<const u64, 6>;

  XenErrno perform(u64 number, Arguments arguments);
  XenErrno multicall(u64 list, u64 count);
  XenErrno update_va_mapping(Gva va, u64 value, u64 flags);
  XenErrno one_update(const abi::xen::MmuUpdate& request);
  XenErrno one_operation(const abi::xen::MmuextOp& operation);
  XenErrno clear_or_copy(const abi::xen::MmuextOp& operation);
  // Whether the mask of vCPUs at `pointer` holds ours, the only one.
  XenErrno flush_masked(u64 pointer);

  // step(element) for each element of a list; the number done goes to done_out where that is not null.
  template <class Element>
  XenErrno for_each(Arguments arguments, XenErrno (XenCalls::*step)(const Element&));

  PageTypes& types_;
  GuestPointers pointers_;
  ZeroPage zero_;
  CopyPage copy_;
  u64 steps_ = 0;  // elements of lists that this call has performed
  Counters counters_;
};

}  // namespace nopte::hv
