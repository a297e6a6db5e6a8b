#include "tests/model/kind_of.h"
#include "tests/model/toy_lguest.h"

namespace nopte::model {
constinit const KindRow kLguestLike = row_of<LguestLike>();
}  // namespace nopte::model
