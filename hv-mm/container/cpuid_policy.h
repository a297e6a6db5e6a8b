// What CPUID tells a guest: the processor's answer without what the container does not offer, and the
// hypervisor's own leaves. Pure, the same in every mode. Source: APM vol. 3, appendix E.
#pragma once

#include "hv-mm/host.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

struct CpuidRequest {
  u32 leaf = 0;
  u32 subleaf = 0;
  u64 guest_cr4 = 0;  // for bits that mirror it
  u64 features = 0;   // the interface's feature bits
  u64 abi_version = abi::kAbiVersion;
};

// `processor` is the processor's own answer to the same leaf.
CpuidLeaf filter_cpuid(const CpuidRequest& request, const CpuidLeaf& processor);

}  // namespace nopte::hv
