// The loopback interface, as ioctl shows it (netdevice(7)).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::net {

// Of any socket. -ENOTTY: no request of this kind.
i64 interface_ioctl(u32 request, u64 argument);

}  // namespace nopte::guest::net
