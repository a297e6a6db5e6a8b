// What the system is called: uname, sethostname, setdomainname.
#include <cstring>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/name_of_system.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

constinit SystemNames g_system_names;

namespace {

i64 set_name(SystemNames::Name& name, u64 address, u64 length) {
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  const auto bytes = static_cast<i32>(length);
  if (bytes < 0 || static_cast<u64>(bytes) > SystemNames::kBytes) {
    return -kEINVAL;
  }
  SystemNames::Name text = {};
  if (!arch::copy_from_user(text, Gva{address}, static_cast<u64>(bytes))) {
    return -kEFAULT;
  }
  std::memcpy(name, text, sizeof(text));
  return 0;
}

}  // namespace

i64 sys_uname(const SyscallArgs& args) {
  return arch::copy_to_user(Gva{args.a0}, &g_system_names, sizeof(g_system_names)) ? 0 : -kEFAULT;
}
i64 sys_sethostname(const SyscallArgs& args) { return set_name(g_system_names.node, args.a0, args.a1); }
i64 sys_setdomainname(const SyscallArgs& args) { return set_name(g_system_names.domain, args.a0, args.a1); }

}  // namespace nopte::guest
