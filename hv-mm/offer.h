// What the hypervisor tells a guest that it offers: by CPUID and by the call `query`.
#pragma once

#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

struct Offer {
  u64 hidden_features = 0;  // not told, whatever the mode has
  u64 abi_version = abi::kAbiVersion;
};

}  // namespace nopte::hv
