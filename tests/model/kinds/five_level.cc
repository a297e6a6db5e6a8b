#include "tests/model/kinds.h"
#include "tests/model/store_kinds.h"

namespace nopte::model {
constinit const KindRow kFiveLevelStore = row_of<FiveLevelStore>();
}  // namespace nopte::model
