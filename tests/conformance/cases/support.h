// What the files of cases share.
#pragma once

#include "tests/conformance/scene.h"

namespace nopte::conformance {

using enum abi::Call;

inline constexpr Status kOk = Status::kOk;
inline constexpr Status kNoRegion = Status::kNoRegion;
inline constexpr Status kPermission = Status::kPermission;
inline constexpr Status kPastEnd = Status::kPastEnd;
inline constexpr Status kNoMemory = Status::kNoMemory;
inline constexpr Status kInvalid = Status::kInvalid;
inline constexpr Status kOverlap = Status::kOverlap;

inline bool is(const Result<u64>& got, u64 value) { return got && *got == value; }
template <class T>
bool fails(const Result<T>& got, Status status) {
  return !got && got.error() == status;
}

}  // namespace nopte::conformance

#define EXPECT(condition) s.expect((condition), #condition)
// A row of a subject: the case, and the calls that it is about.
#define CASE(name, ...)                  \
  Case {                                 \
    #name, name, CallSet { __VA_ARGS__ } \
  }
#define VIOLATION_CASE(name) \
  Case { #name, name, CallSet::violations() }
