// The engine's homes inside the guest (interfaces_home.cc).
#pragma once

#include "native-fallback/guest/native_backend.h"

namespace nopte::pt {

const NativeBackend& plain_backend();
const NativeBackend& kvmpv_backend();
const NativeBackend& vmi_backend();
const NativeBackend& lguest_backend();
const NativeBackend& xen_backend();

}  // namespace nopte::pt
