#include "tests/model/kinds.h"
#include "tests/model/store_kinds.h"

namespace nopte::model {
constinit const KindRow kPaeStore = row_of<PaeStore>();
}  // namespace nopte::model
