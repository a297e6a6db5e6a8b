// capget and capset (kernel/capability.c, security/commoncap.c of 6.12).
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

// uapi/linux/capability.h.
struct Header {
  u32 version;
  i32 pid;
};
struct Sets {
  u32 effective, permitted, inheritable;
};
constexpr u32 kVersion1 = 0x1998'0330, kVersion2 = 0x2007'1026, kVersion3 = 0x2008'0522;

// How many Sets the version has; 0: there is no such version.
u64 parts_of(u32 version) {
  return version == kVersion1 ? 1 : version == kVersion2 || version == kVersion3 ? 2 : 0;
}

// A version that is not known is answered with the newest one.
i64 load_header(u64 address, Header& header) {
  if (!arch::copy_from_user(&header.version, Gva{address}, sizeof(header.version))) {
    return -kEFAULT;
  }
  if (parts_of(header.version) == 0) {
    return arch::copy_to_user(Gva{address}, &kVersion3, sizeof(kVersion3)) ? -kEINVAL : -kEFAULT;
  }
  return arch::copy_from_user(&header.pid, Gva{address + sizeof(header.version)}, sizeof(header.pid))
             ? 0
             : -kEFAULT;
}

constexpr CapabilitySet joined(u32 low, u32 high) { return (low | u64{high} << 32) & kAllCapabilities; }

}  // namespace

i64 sys_capget(const SyscallArgs& args) {
  Header header;
  if (const i64 error = load_header(args.a0, header); error != 0) {
    return args.a1 == 0 && error == -kEINVAL ? 0 : error;
  }
  if (header.pid < 0) {
    return -kEINVAL;
  }
  const Thread* const thread = header.pid == 0 ? &current() : find_thread(header.pid);
  if (thread == nullptr) {
    return -kESRCH;
  }
  if (args.a1 == 0) {
    return 0;
  }
  const Identity& who = identity_of(*thread);
  Sets sets[2];
  for (u32 part = 0; part < 2; ++part) {
    const auto half = [&](CapabilitySet set) { return static_cast<u32>(set >> (32 * part)); };
    sets[part] = {half(who.effective), half(who.permitted), half(who.inheritable)};
  }
  return arch::copy_to_user(Gva{args.a1}, sets, parts_of(header.version) * sizeof(Sets)) ? 0 : -kEFAULT;
}

i64 sys_capset(const SyscallArgs& args) {
  Header header;
  if (const i64 error = load_header(args.a0, header); error != 0) {
    return error;
  }
  if (header.pid != 0 && header.pid != current().tid) {
    return -kEPERM;
  }
  Sets sets[2] = {};
  if (!arch::copy_from_user(sets, Gva{args.a1}, parts_of(header.version) * sizeof(Sets))) {
    return -kEFAULT;
  }
  const Identity& old = identity();
  Identity next = old;
  next.effective = joined(sets[0].effective, sets[1].effective);
  next.permitted = joined(sets[0].permitted, sets[1].permitted);
  next.inheritable = joined(sets[0].inheritable, sets[1].inheritable);
  const bool may_inherit =
      old.has(Capability::kSetpcap) || (next.inheritable & ~(old.inheritable | old.permitted)) == 0;
  if (!may_inherit || (next.inheritable & ~(old.inheritable | old.bounding)) != 0 ||
      (next.permitted & ~old.permitted) != 0 || (next.effective & ~next.permitted) != 0) {
    return -kEPERM;
  }
  next.ambient &= next.permitted & next.inheritable;
  return commit_identity(current(), std::move(next));
}

}  // namespace nopte::guest
