// Memory of a space that need not be the running one: what process_vm_readv, /proc/PID/mem and
// /proc/PID/cmdline read and write.
#pragma once

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/process/process_space.h"

namespace nopte::guest {

// While it lives, user addresses mean `space`. The caller holds it, and does not sleep.
class ActiveSpace {
 public:
  explicit ActiveSpace(AddressSpace& space) : before_(active_space()) { activate_space(&space); }
  ~ActiveSpace() { activate_space(before_); }
  ActiveSpace(const ActiveSpace&) = delete;
  ActiveSpace& operator=(const ActiveSpace&) = delete;

 private:
  AddressSpace* before_;
};

// Whether the page is not to be reached from outside of its program.
inline bool is_secret(const AddressSpace& space, Gva at) {
  if (!space.may_have(kVmaSecret)) [[likely]]
    return false;
  const auto vma = space.find(at);
  return vma && (vma->flags & kVmaSecret) != 0;
}

// Between kernel memory and `bytes` from `at` on there. Errors: as the fallible copies; a prefix may have
// been copied.
inline Result<void> read_space(AddressSpace& space, void* to, Gva at, u64 bytes) {
  const ActiveSpace active(space);
  return arch::copy_from_user(to, at, bytes);
}
inline Result<void> write_space(AddressSpace& space, Gva at, const void* from, u64 bytes) {
  const ActiveSpace active(space);
  return arch::copy_to_user(at, from, bytes);
}

}  // namespace nopte::guest
