#include "hv-mm/mode_handler.h"

namespace nopte::hv {

// Not in the header: the compiler would take this, the least likely, for the likely one.
CallResult ModeHandler::on_memory_call(Vcpu&, u64, const abi::Registers&) {
  return {Status::kUnsupported, 0};
}

}  // namespace nopte::hv
