#include "pvops/at_mark.h"

namespace nopte {

constinit AtMark g_at_mark = nullptr;

}  // namespace nopte
