// The choice among the interfaces that the engine can feed inside the guest.
#include "native-fallback/guest/native_backend.h"

#include "native-fallback/guest/arch/x86_64/native_homes.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::pt {

const NativeBackend& native_backend(u64 features) {
  if ((features & abi::kFeatureXen) != 0) return xen_backend();
  if ((features & abi::kFeatureVmi) != 0) return vmi_backend();
  if ((features & abi::kFeatureLguest) != 0) return lguest_backend();
  if ((features & abi::kFeatureKvmPv) != 0) return kvmpv_backend();
  return plain_backend();
}

}  // namespace nopte::pt
