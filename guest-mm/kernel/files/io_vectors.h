// struct iovec, the parts of memory that readv and its kin move.
#pragma once

#include "guest-mm/kernel/files/call_support.h"

namespace nopte::guest::files {

// Calls one(address, bytes, done) for each part until it moves less than asked: how many bytes it moved in
// all, or the first negative errno if that is none. Before anything moves: -EINVAL (more parts than IOV_MAX,
// or one larger than a signed number), -EFAULT (one that is not in user space), -ENOMEM.
i64 for_each_vector(u64 vectors, u64 count, FunctionRef<i64(u64 address, u64 bytes, u64 done)> one);

}  // namespace nopte::guest::files
