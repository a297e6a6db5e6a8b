// Fallible copies: range checks around fallible_copy.S.
#include "guest-mm/kernel/arch.h"
#include "pvops/mm_ops.h"

extern "C" {
nopte::ViolationReason copy_or_fault(void* to, const void* from, nopte::u64 bytes);
nopte::ViolationReason zero_or_fault(void* to, nopte::u64 bytes);
nopte::ViolationReason copy_string_or_fault(char* to, const char* from, nopte::u64 bytes, nopte::u64* copied);
}

namespace nopte::guest::arch {
namespace {

[[gnu::noinline, gnu::cold]] Status status_of(ViolationReason reason) {
  switch (reason) {
    case ViolationReason::kPastEnd:
      return Status::kPastEnd;
    case ViolationReason::kNoMemory:
      return Status::kNoMemory;
    default:
      return Status::kBadAddress;
  }
}

inline Result<void> to_result(ViolationReason reason) {
  if (reason == ViolationReason::kNone) [[likely]] {
    return {};
  }
  return Fail(status_of(reason));
}

bool is_user(Gva begin, u64 bytes) {
  return begin >= kUserRange.begin && begin <= kUserRange.end && bytes <= kUserRange.end - begin;
}

void* pointer(Gva va) { return reinterpret_cast<void*>(va.value()); }

}  // namespace

Result<void> copy_from_user(void* to, Gva from, u64 bytes) {
  if (!is_user(from, bytes)) {
    return bytes == 0 ? Result<void>{} : Fail(Status::kBadAddress);
  }
  return to_result(copy_or_fault(to, pointer(from), bytes));
}

Result<void> copy_to_user(Gva to, const void* from, u64 bytes) {
  if (!is_user(to, bytes)) {
    return bytes == 0 ? Result<void>{} : Fail(Status::kBadAddress);
  }
  return to_result(copy_or_fault(pointer(to), from, bytes));
}

Result<void> zero_user(Gva to, u64 bytes) {
  if (!is_user(to, bytes)) {
    return bytes == 0 ? Result<void>{} : Fail(Status::kBadAddress);
  }
  return to_result(zero_or_fault(pointer(to), bytes));
}

Result<u64> copy_string_from_user(char* to, Gva from, u64 capacity) {
  if (!is_user(from, 0)) {
    return Fail(Status::kBadAddress);
  }
  const u64 room = kUserRange.end - from;
  const u64 limit = capacity < room ? capacity : room;
  u64 copied = 0;
  NOPTE_TRY(to_result(copy_string_or_fault(to, static_cast<const char*>(pointer(from)), limit, &copied)));
  if (copied == 0 || to[copied - 1] != 0) {
    return Fail(limit == capacity ? Status::kLimit : Status::kBadAddress);
  }
  return copied - 1;
}

Result<void> copy_fallible(void* to, const void* from, u64 bytes) {
  return to_result(copy_or_fault(to, from, bytes));
}

}  // namespace nopte::guest::arch
