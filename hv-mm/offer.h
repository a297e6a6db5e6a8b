// What the hypervisor tells a guest that it offers: by CPUID and by the call `query`.
#pragma once

#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

struct Offer {
  u64 hidden_features = 0;  // neither told nor answered, whatever the mode has
  u64 abi_version = abi::kAbiVersion;
  // How much a guest may have written by the calls console_write and mark: it ends up on the host.
  u64 output_bytes = u64{1} << 30;
  // Each mark is followed by a picture of the space that runs (native-fallback/engine/picture.h).
  bool pictures = false;
};

}  // namespace nopte::hv
