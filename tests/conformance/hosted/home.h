// A home of the cases in this process: a mode's memory path over the machine model, with its exits counted.
#pragma once

#include <memory>

#include "pvops/mm_ops.h"
#include "tests/conformance/memory.h"
#include "tests/conformance/promise_list.h"

namespace nopte::conformance {

class Home : public Memory {
 public:
  virtual ~Home() = default;
  // The promises of the kernel space, for a home that asks them. Before the first call.
  virtual void set_windows(const RegionSource& windows) = 0;
  virtual const MmOps& ops() = 0;
  // So far: calls and faults that reach a hypervisor.
  [[nodiscard]] virtual u64 exits() const = 0;
  // What must hold after every case. Null, or what does not.
  virtual const char* broken() { return nullptr; }
};

// The hosted modes. One home at a time lives.
std::unique_ptr<Home> make_native_home();
std::unique_ptr<Home> make_nested_home();
std::unique_ptr<Home> make_shadow_home();
std::unique_ptr<Home> make_vma_home();
// As vma, with an interrupt pending at every check point: every operation comes back as often as it can.
std::unique_ptr<Home> make_vma_interrupted_home();
std::unique_ptr<Home> make_vma_first_home();
// Guests with tables of their own, under a shadow that is told.
std::unique_ptr<Home> make_kvmpv_home();
std::unique_ptr<Home> make_vmi_home();
std::unique_ptr<Home> make_lguest_home();
// A guest whose tables the processor walks, under direct paging.
std::unique_ptr<Home> make_xen_home();

}  // namespace nopte::conformance
