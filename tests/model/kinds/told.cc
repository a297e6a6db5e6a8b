// Kinds over one and the same sink: one engine.
#include "tests/model/kind_of.h"
#include "tests/model/told_kinds.h"

namespace nopte::model {
constinit const KindRow kToldByKvmPv = row_of<ToldByKvmPv>();
constinit const KindRow kToldByVmi = row_of<ToldByVmi>();
constinit const KindRow kToldByLguest = row_of<ToldByLguest>();
}  // namespace nopte::model
