// syslog(2), whose log is empty: the kernel's own lines go to the console alone. And what of ports and
// terminals is refused or has nothing to do.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

i64 sys_syslog(const SyscallArgs& args) {
  enum Action : i32 { kClose, kOpen, kRead, kReadAll, kReadClear, kClear, kOff, kOn, kLevel, kUnread, kSize };
  constexpr i64 kLogBytes = 1 << 18;
  const auto length = static_cast<i32>(args.a2);
  if (!capable(Capability::kSyslog)) {
    return -kEPERM;  // as dmesg_restrict has it; it is set where Debian's kernels are
  }
  switch (static_cast<i32>(args.a0)) {
    case kRead:
    case kReadAll:
    case kReadClear:
      return args.a1 == 0 || length < 0 ? -kEINVAL : 0;
    case kClose:
    case kOpen:
    case kClear:
    case kOff:
    case kOn:
    case kUnread:
      return 0;
    case kLevel:
      return length < 1 || length > 8 ? -kEINVAL : 0;
    case kSize:
      return kLogBytes;
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
