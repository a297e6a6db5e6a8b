#include "tests/model/kind_of.h"
#include "tests/model/xen_kind.h"

namespace nopte::model {
constinit const KindRow kXen = row_of<Xen>();
}  // namespace nopte::model
