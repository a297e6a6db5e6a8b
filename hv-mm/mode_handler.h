// What a memory mode (nested, shadow, vma) decides: everything about paging. The run loop (exits.h)
// decodes exits and does the rest of the container; each mode is one ModeHandler.
//
// Every call comes with the guest stopped. A handler either makes the guest able to go on, or raises an
// exception in it with vcpu.inject_...(); returning goes back into the guest. Nothing that the guest passes
// may trip an assertion or take unbounded time here.
#pragma once

#include <span>

#include "hv-mm/container/cr_policy.h"
#include "hv-mm/json_writer.h"
#include "hv-mm/vcpu.h"
#include "native-fallback/engine/picture.h"
#include "pvops/base/result.h"

namespace nopte::hv {

// A hypercall's answer.
struct CallResult {
  Status status = Status::kOk;
  u64 value = 0;

  constexpr CallResult() = default;
  constexpr CallResult(Status status_in, u64 value_in) : status(status_in), value(value_in) {}
  // Handlers answer with a number, an error, or a Result of a number.
  constexpr CallResult(u64 value_in) : value(value_in) {}      // NOLINT(google-explicit-constructor)
  constexpr CallResult(Fail error) : status(error.error()) {}  // NOLINT(google-explicit-constructor)
  constexpr CallResult(const Result<u64>& result)              // NOLINT(google-explicit-constructor)
      : status(result ? Status::kOk : result.error()), value(result ? *result : 0) {}
};

class ModeHandler {
 public:
  [[nodiscard]] virtual const char* name() const = 0;
  // Feature bits (abi::kFeature...) that this mode adds to kFeaturePlatform.
  [[nodiscard]] virtual u64 features() const { return 0; }
  // What the guest may write to CR0, CR4 and EFER.
  [[nodiscard]] virtual PagingControl paging_control() const { return PagingControl::kHypervisor; }

  // Intercepted #PF. Registers: only those of a hot exit (vcpu.h).
  virtual void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) = 0;
  // Nested page fault; error_code as in EXITINFO1.
  virtual void on_nested_fault(Vcpu& vcpu, u64 guest_physical, u64 error_code) = 0;

  // Intercepted MOV from and to CR3, decoded; CPL 0 is checked. The run loop advances rip. An error
  // becomes #GP(0).
  virtual Result<u64> read_cr3(Vcpu& vcpu) = 0;
  virtual Result<void> write_cr3(Vcpu& vcpu, u64 value) = 0;
  // CR0 and CR4 were written with an allowed value that is in the control block now (container/cr_policy.h:
  // paging bits are constants).
  virtual void on_control_changed(Vcpu& vcpu) { static_cast<void>(vcpu); }
  // INVLPG, decoded; the run loop advances rip.
  virtual void on_invlpg(Vcpu& vcpu, Gva va) = 0;

  // WRMSR of a register that the container does not have. An error becomes #GP(0).
  virtual Result<void> write_msr(u32 msr, u64 value) {
    static_cast<void>(msr), static_cast<void>(value);
    return Fail(Status::kPermission);
  }

  // Memory calls of the ABI (numbers below 64 except query), and calls with an interface's tag
  // (pvops/interfaces/tag.h). The default knows none of them.
  virtual CallResult on_memory_call(Vcpu& vcpu, u64 number, const abi::Registers& arguments);

  // Reads guest memory at a guest-virtual address as the guest's tables map it now (rights are not checked:
  // used for the instruction that was just executed, and for reports). Errors: kBadAddress; bytes may then
  // be partly written.
  virtual Result<void> read_guest(const Vcpu& vcpu, Gva va, std::span<u8> bytes) = 0;

  // Members of the "counters" object at a mark and at power-off: writes "name":value pairs.
  virtual void write_counters(JsonWriter& json) const { static_cast<void>(json); }
  // What the space that runs is promised and shows, if the hypervisor knows. False: it does not.
  virtual bool draw(pt::PictureWriter& picture) { return static_cast<void>(picture), false; }

 protected:
  ~ModeHandler() = default;
};

}  // namespace nopte::hv
