#include "tests/model/kinds.h"
#include "tests/model/nested_kind.h"

namespace nopte::model {
constinit const KindRow kNested = row_of<Nested>();
}  // namespace nopte::model
