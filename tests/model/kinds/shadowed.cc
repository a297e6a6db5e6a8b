#include "tests/model/kind_of.h"
#include "tests/model/shadow_kind.h"

namespace nopte::model {
constinit const KindRow kShadowed = row_of<Shadowed>();
}  // namespace nopte::model
