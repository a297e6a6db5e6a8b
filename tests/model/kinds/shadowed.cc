#include "tests/model/kinds.h"
#include "tests/model/shadow_kind.h"

namespace nopte::model {
constinit const KindRow kShadowed = row_of<Shadowed>();
}  // namespace nopte::model
