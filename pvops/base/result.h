// Status and Result: how every fallible operation answers. Assertions are for our own bugs; Status is
// for memory, callers and guests. The numbers are ABI: never reused (papers/abi.md).
#pragma once

#include <expected>

#include "pvops/base/types.h"

namespace nopte {

enum class Status : u32 {
  kOk = 0,
  kNoMemory = 1,     // frames, descriptors or kernel memory cannot be had now
  kInvalid = 2,      // malformed argument: alignment, order, reserved bits, unknown id
  kNoRegion = 3,     // part of the range is not promised
  kOverlap = 4,      // part of the range is promised already
  kPermission = 5,   // the region does not allow it
  kPastEnd = 6,      // beyond the end of the object
  kBusy = 7,         // still in use (object mapped, space active)
  kUnsupported = 8,  // unknown call or feature
  kAgain = 9,        // stopped at a check point; an exact prefix happened, go on behind it
  kBadAddress = 10,  // a fallible copy touched an address that no region allows
  kLimit = 11,       // a fixed limit of the interface
};

template <class T>
using Result = std::expected<T, Status>;
using Fail = std::unexpected<Status>;

constexpr const char* status_name(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kNoMemory:
      return "no memory";
    case Status::kInvalid:
      return "invalid argument";
    case Status::kNoRegion:
      return "no region";
    case Status::kOverlap:
      return "overlap";
    case Status::kPermission:
      return "permission";
    case Status::kPastEnd:
      return "past end";
    case Status::kBusy:
      return "busy";
    case Status::kUnsupported:
      return "unsupported";
    case Status::kAgain:
      return "again";
    case Status::kBadAddress:
      return "bad address";
    case Status::kLimit:
      return "limit";
  }
  return "unknown status";
}

}  // namespace nopte

// NOPTE_TRY(expr): returns the error of a Result<void>-like expression to the caller.
#define NOPTE_TRY(expr)                                      \
  do {                                                       \
    if (auto nopte_try_result = (expr); !nopte_try_result) { \
      return ::nopte::Fail(nopte_try_result.error());        \
    }                                                        \
  } while (false)
