// Copying from one open file to another through a kernel buffer: what sendfile and copy_file_range share.
#pragma once

#include "guest-mm/kernel/files/file.h"

namespace nopte::guest::files {

// Where what was read goes: put(buffer, bytes, done) -> how many it took, or a negative errno.
using CopyTarget = FunctionRef<i64(IoBuffer from, u64 bytes, u64 done)>;

// Up to `bytes` bytes of `in` from `from` on, until a read or put moves nothing or less than it was given.
// How many, or the errno of the first that failed. Errors of its own: -kENOMEM.
i64 copy_between(File& in, u64 from, u64 bytes, CopyTarget put);

}  // namespace nopte::guest::files
