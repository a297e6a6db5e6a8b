// Kinds over one and the same sink: one engine.
#include "tests/model/kinds.h"
#include "tests/model/store_kinds.h"

namespace nopte::model {
constinit const KindRow kStoreInGuest = row_of<StoreInGuest>();
constinit const KindRow kStoreInHypervisor = row_of<StoreInHypervisor>();
}  // namespace nopte::model
