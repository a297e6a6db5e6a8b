#include "tests/queue/queue_guest.h"

#include "pvops/guest/arch/x86_64/shared_memory.h"

nopte::pv::HypercallResult nopte::pv::hosted_vmmcall(abi::Call call, const abi::Registers& arguments) {
  const hv::CallResult result = test::QueueGuest::current->guest().call(static_cast<u64>(call), arguments);
  return {result.status, result.value};
}

void* nopte::pv::hosted_kernel_address(u64 va) {
  return &test::QueueGuest::current->guest().kernel<abi::RegionQueue>(va);
}
