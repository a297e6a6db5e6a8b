// The engine over the processor alone, compiled by itself: what the compiler makes of it does not depend on
// which interfaces there are.
#include "native-fallback/guest/arch/x86_64/native_home.h"

namespace nopte::pt {

const NativeBackend& plain_backend() {
  static constexpr NativeBackend kBackend{&Plain::kOps, &Plain::Engine::fault, &Plain::boot};
  return kBackend;
}

}  // namespace nopte::pt
