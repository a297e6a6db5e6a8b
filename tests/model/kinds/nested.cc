#include "tests/model/kind_of.h"
#include "tests/model/nested_kind.h"

namespace nopte::model {
constinit const KindRow kNested = row_of<Nested>();
}  // namespace nopte::model
