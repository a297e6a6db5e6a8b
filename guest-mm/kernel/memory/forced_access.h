// Reads and writes of a space's memory whatever its rights are, as a debugger does (FOLL_FORCE of Linux):
// what ptrace and /proc/PID/mem do.
#pragma once

#include "guest-mm/core/address_space.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest {

// Makes `access` to what lies in the page of `at`; where it fails once more, with the page having the rights
// `needed`, too, for the time of it. A private page is written as the space's own copy, whatever it shows;
// what is shared and cannot be written stays as it is, and guards are not touched. False: it failed.
[[nodiscard]] bool force_access(AddressSpace& space, Gva at, Perm needed, FunctionRef<Result<void>()> access);
// Between kernel memory and `bytes` from `at` on; what lies in two pages, too. False: a prefix may have
// moved.
[[nodiscard]] bool peek_space(AddressSpace& space, void* to, Gva at, u64 bytes);
[[nodiscard]] bool poke_space(AddressSpace& space, Gva at, const void* from, u64 bytes);

}  // namespace nopte::guest
