// /dev/null, zero, full, random, urandom, nopte-mark. Null: no memory.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

Ref<File> open_null(Ref<Inode> node, u32 flags);
Ref<File> open_zero(Ref<Inode> node, u32 flags);
Ref<File> open_full(Ref<Inode> node, u32 flags);
// The kernel's fixed sequence (random.h): every boot gives the same bytes.
Ref<File> open_random(Ref<Inode> node, u32 flags);
Ref<File> open_urandom(Ref<Inode> node, u32 flags);
// Each write is a counter mark with the written bytes (at most 40) as its name; blanks at the end are cut.
Ref<File> open_mark(Ref<Inode> node, u32 flags);

}  // namespace nopte::guest::files
