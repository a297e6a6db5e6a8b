#include "hv-mm/vcpu.h"

namespace nopte::hv {
namespace {

// Exceptions that make a double fault together. APM vol. 2, table 8-3.
constexpr bool contributory(u8 vector) {
  return vector == 0 || (vector >= 10 && vector <= 13) || vector == kVectorPageFault;
}
constexpr bool makes_double_fault(u8 first, u8 second) {
  if (first == kVectorPageFault) {
    return contributory(second);
  }
  return contributory(first) && contributory(second) && second != kVectorPageFault;
}
static_assert(makes_double_fault(13, 13) && makes_double_fault(14, 14) && makes_double_fault(14, 13));
static_assert(!makes_double_fault(13, 14) && !makes_double_fault(6, 14) && !makes_double_fault(3, 13));

constexpr u64 exception_event(u8 vector) {
  return kEventValid | u64{static_cast<u8>(EventType::kException)} << kEventTypeShift | vector;
}

}  // namespace

u64& Vcpu::gpr(unsigned number) {
  GuestRegisters& r = registers_;
  switch (number & 15) {
    case 0:
      return vmcb_->rax;
    case 1:
      return r.rcx;
    case 2:
      return r.arguments[2];
    case 3:
      return r.rbx;
    case 4:
      return vmcb_->rsp;
    case 5:
      return r.rbp;
    case 6:
      return r.arguments[1];
    case 7:
      return r.arguments[0];
    case 8:
      return r.arguments[4];
    case 9:
      return r.arguments[5];
    case 10:
      return r.arguments[3];
    case 11:
      return r.r11;
    case 12:
      return r.r12;
    case 13:
      return r.r13;
    case 14:
      return r.r14;
    default:
      return r.r15;
  }
}

void Vcpu::inject_exception(u8 vector) { inject(vector, exception_event(vector)); }

void Vcpu::inject_exception(u8 vector, u32 error_code) {
  inject(vector, exception_event(vector) | kEventHasError | u64{error_code} << 32);
}

void Vcpu::inject_page_fault(Gva va, u64 error_code) {
  vmcb_->cr2 = va.value();
  inject_exception(kVectorPageFault, static_cast<u32>(error_code));
}

void Vcpu::inject(u8 vector, u64 event) {
  const u64 interrupted = vmcb_->exit_int_info;
  const u8 first = static_cast<u8>(interrupted);
  const auto type = static_cast<EventType>(interrupted >> kEventTypeShift & kEventTypeMask);
  if ((interrupted & kEventValid) && type == EventType::kException && first < 32) {
    if (first == kVectorDoubleFault) {
      shut_down("the guest shut down: an exception while a double fault was delivered");
      return;
    }
    if (makes_double_fault(first, vector)) {
      event = exception_event(kVectorDoubleFault) | kEventHasError;
    }
  }
  vmcb_->event_injection = event;
}

// The exit came while an event was being delivered. Exceptions are delivered again by event injection,
// external interrupts by the virtual interrupt (TCG can deliver an injected external interrupt twice, and
// reports an interrupted one as type 3), and a software interrupt is executed again. So are INT3 and INTO,
// which silicon reports as type 3 with rip at the instruction (APM vol. 2, 15.7.2): injected, they would
// return there.
void Vcpu::requeue_interrupted_event() {
  const u64 interrupted = vmcb_->exit_int_info;
  const u8 vector = static_cast<u8>(interrupted);
  const auto type = static_cast<EventType>(interrupted >> kEventTypeShift & kEventTypeMask);
  if (type == EventType::kInterrupt || (type == EventType::kException && vector >= 32)) {
    if (vector >= kFirstInterrupt && vector < kFirstInterrupt + 32) {
      raise_interrupt(vector);
    }
  } else if (type == EventType::kException && vector != kVectorBreakpoint && vector != kVectorOverflow) {
    vmcb_->event_injection = interrupted;
  }
}

void Vcpu::collect_taken_interrupt() {
  if (!(vmcb_->virtual_interrupt & kVirq)) {
    pending_ &= ~offered_;
    offered_ = 0;
  }
}

void Vcpu::offer_interrupt() {
  const u32 interrupts = static_cast<u32>(pending_);
  if (interrupts == 0) {
    return;
  }
  // The highest vector first: the console's handler always makes a call, after which the timer follows.
  const unsigned bit = 31 - static_cast<unsigned>(__builtin_clz(interrupts));
  offered_ = u64{1} << bit;
  vmcb_->virtual_interrupt =
      kVirqMasking | kVirqIgnoreTpr | kVirq | u64{kFirstInterrupt + bit} << kVirqVectorShift;
}

}  // namespace nopte::hv
