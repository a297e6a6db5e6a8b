// Holes in memory objects: pages that read zero again.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "guest-mm/kernel/files/tmpfs/page_runs.h"

namespace nopte::guest::files {

// Zeroes the pages [first, first + pages) as far as the object has them: what has no page reads zero anyway,
// and gets none. Private copies stay. The pages keep their memory: the backend has no call to take them back
// one by one. `written`: where there can be any, if that is known. Others may run meanwhile. Errors:
// kNoMemory; a prefix may be zero then.
Result<void> zero_object_pages(MemoryObject& object, u64 first, u64 pages, const PageRuns* written = nullptr);
// Whether a zero_object_pages() of the object is under way.
[[nodiscard]] bool is_being_zeroed(const MemoryObject& object);

// Gives the pages [first, first + pages) memory where they are holes, as far as the object and memory go:
// what shows them privately gets none for them by being touched.
void fill_object_holes(MemoryObject& object, u64 first, u64 pages);

}  // namespace nopte::guest::files
