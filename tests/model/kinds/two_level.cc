#include "tests/model/kinds.h"
#include "tests/model/store_kinds.h"

namespace nopte::model {
constinit const KindRow kTwoLevelStore = row_of<TwoLevelStore>();
}  // namespace nopte::model
