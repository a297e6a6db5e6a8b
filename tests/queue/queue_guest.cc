#include "tests/queue/queue_guest.h"

#include "pvops/guest/arch/x86_64/shared_memory.h"
#include "tests/queue/other_side.h"

nopte::pv::HypercallResult nopte::pv::hosted_vmmcall(abi::Call call, const abi::Registers& arguments) {
  const test::OtherSide::Held held;
  const hv::CallResult result = test::QueueGuest::current->guest().call(static_cast<u64>(call), arguments);
  return {result.status, result.value};
}

void* nopte::pv::hosted_kernel_address(u64 va) {
  return &test::QueueGuest::current->guest().kernel<abi::RegionQueue>(va);
}
