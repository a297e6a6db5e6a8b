// Restartable sequences (rseq(2), uapi/linux/rseq.h): a thread names an area of its memory, and in it the
// critical section that it is in. Where another thread ran in between, or a handler is to run, it goes on at
// the section's abort address.
//
// There is one processor: what the area says of it is written once, when the thread registers. Looked at on
// the way back from losing the processor and at a signal's delivery alone; a section may contain no system
// call, so that those need no look.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct UserRegisters;

struct Rseq {
  u64 area = 0;  // user address; 0: none
  u32 bytes = 0;
  u32 signature = 0;  // what stands before each abort address
};

// The auxiliary vector's AT_RSEQ_FEATURE_SIZE (to mm_cid, as Linux 6.12) and AT_RSEQ_ALIGN.
inline constexpr u64 kRseqFeatureBytes = 28, kRseqAlign = 32;

// Takes the registers out of the critical section that they are in, if they are in one; the area names none
// afterwards. False, and the registers are as before: the area, or what it names, is bad, which is a SIGSEGV.
[[nodiscard]] bool leave_critical_section(const Rseq& rseq, UserRegisters& registers);

}  // namespace nopte::guest
