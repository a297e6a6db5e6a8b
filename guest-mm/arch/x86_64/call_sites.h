// Boot-time patching. Every call of MmCalls, PlatformCalls and resolve_fault is a direct call with a 32-bit
// displacement; as linked, to the hypercall backend. embed_call_sites.py lists them after linking, from the
// linker's relocations, and refuses an image that refers to one of these functions in any other way. When
// boot chooses another backend, the displacements are rewritten, once: no call goes through a table, before
// or after.
//
// In mode vma the image is right as linked, and its text is never writable. Wherever the guest has page
// tables of its own, its boot tables map the image writable; patching comes before the engine's tables, which
// do not.
#pragma once

#include <span>

#include "guest-mm/kernel/arch.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

// Makes the kernel's calls this backend's. Precondition: still on the boot tables.
void bind_calls(const MmOps& ops, FaultResolver fault);
void bind_calls(const PlatformOps& ops);

}  // namespace nopte::guest
