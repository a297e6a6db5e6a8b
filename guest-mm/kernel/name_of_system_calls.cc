// What the system is called: uname, sethostname, setdomainname.
#include <cstring>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u64 kNameBytes = 64;

// struct new_utsname.
struct SystemNames {
  char system[kNameBytes + 1] = "Linux";
  char node[kNameBytes + 1] = "nopte";
  char release[kNameBytes + 1] = "6.1.0-nopte";
  char version[kNameBytes + 1] = "#1";
  char machine[kNameBytes + 1] = "x86_64";
  char domain[kNameBytes + 1] = "(none)";
};
constinit SystemNames g_names;

i64 set_name(char (&name)[kNameBytes + 1], u64 address, u64 length) {
  const auto bytes = static_cast<i32>(length);
  if (bytes < 0 || static_cast<u64>(bytes) > kNameBytes) {
    return -kEINVAL;
  }
  char text[kNameBytes + 1] = {};
  if (!arch::copy_from_user(text, Gva{address}, static_cast<u64>(bytes))) {
    return -kEFAULT;
  }
  std::memcpy(name, text, sizeof(text));
  return 0;
}

}  // namespace

i64 sys_uname(const SyscallArgs& args) {
  return arch::copy_to_user(Gva{args.a0}, &g_names, sizeof(g_names)) ? 0 : -kEFAULT;
}
i64 sys_sethostname(const SyscallArgs& args) { return set_name(g_names.node, args.a0, args.a1); }
i64 sys_setdomainname(const SyscallArgs& args) { return set_name(g_names.domain, args.a0, args.a1); }

}  // namespace nopte::guest
