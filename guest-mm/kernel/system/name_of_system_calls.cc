// What the system is called: uname, sethostname, setdomainname.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/proc/text_builder.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/name_of_system.h"

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

// personality(2): UNAME26. x.y becomes 2.6.(60 + y), the rest stays (kernel/sys.c, override_release).
constexpr u32 kPersonalityUname26 = 0x0020000;
void claim_2_6(SystemNames::Name& release) {
  const std::string_view text = release;
  const u64 dot = text.find('.');
  const u64 rest = text.find_first_not_of("0123456789.", 0);
  u64 minor = 0;
  for (const char c : text.substr(dot + 1)) {
    if (c < '0' || c > '9') break;
    minor = minor * 10 + static_cast<u64>(c - '0');
  }
  SystemNames::Name claimed = {};
  files::TextBuilder out;
  out.add("2.6.", minor + 60, text.substr(std::min(rest, text.size())));
  std::memcpy(claimed, out.text().data(), std::min<u64>(out.text().size(), SystemNames::kBytes));
  std::memcpy(release, claimed, sizeof(claimed));
}

}  // namespace

i64 sys_uname(const SyscallArgs& args) {
  if ((current().personality & kPersonalityUname26) != 0) [[unlikely]] {
    SystemNames names = g_system_names;
    claim_2_6(names.release);
    return arch::copy_to_user(Gva{args.a0}, &names, sizeof(names)) ? 0 : -kEFAULT;
  }
  return arch::copy_to_user(Gva{args.a0}, &g_system_names, sizeof(g_system_names)) ? 0 : -kEFAULT;
}
i64 sys_sethostname(const SyscallArgs& args) { return set_name(g_system_names.node, args.a0, args.a1); }
i64 sys_setdomainname(const SyscallArgs& args) { return set_name(g_system_names.domain, args.a0, args.a1); }

}  // namespace nopte::guest
