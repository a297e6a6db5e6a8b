// Kinds over one and the same sink: one engine.
#include "tests/model/kind_of.h"
#include "tests/model/store_engines.h"

namespace nopte::model {
constinit const KindRow kStoreInGuest = row_of<StoreInGuest>();
constinit const KindRow kStoreInHypervisor = row_of<StoreInHypervisor>();
}  // namespace nopte::model
