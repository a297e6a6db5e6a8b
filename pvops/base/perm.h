// Access rights of a region, and the kind of one access.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

// A set of rights. On x86 write and execute both imply read; Perm keeps what was asked for.
class Perm {
 public:
  static constexpr u8 kRead = 1;
  static constexpr u8 kWrite = 2;
  static constexpr u8 kExec = 4;
  static constexpr u8 kAll = kRead | kWrite | kExec;

  constexpr Perm() = default;
  constexpr explicit Perm(u8 bits) : bits_(bits & kAll) {}

  [[nodiscard]] constexpr u8 bits() const { return bits_; }
  [[nodiscard]] constexpr bool none() const { return bits_ == 0; }
  [[nodiscard]] constexpr bool read() const { return bits_ & kRead; }
  [[nodiscard]] constexpr bool write() const { return bits_ & kWrite; }
  [[nodiscard]] constexpr bool exec() const { return bits_ & kExec; }
  [[nodiscard]] constexpr bool contains(Perm other) const { return (bits_ & other.bits_) == other.bits_; }

  friend constexpr bool operator==(Perm, Perm) = default;
  friend constexpr Perm operator&(Perm a, Perm b) { return Perm(a.bits_ & b.bits_); }
  friend constexpr Perm operator|(Perm a, Perm b) { return Perm(a.bits_ | b.bits_); }

 private:
  u8 bits_ = 0;
};

inline constexpr Perm kPermNone{};
inline constexpr Perm kPermR{Perm::kRead};
inline constexpr Perm kPermRW{Perm::kRead | Perm::kWrite};
inline constexpr Perm kPermRX{Perm::kRead | Perm::kExec};
inline constexpr Perm kPermRWX{Perm::kAll};

// What one access wanted to do.
enum class Access : u8 { kRead, kWrite, kExec };

// A region without any right allows nothing; write and exec allow reads, as x86 cannot tell them apart.
constexpr bool allows(Perm perm, Access access) {
  switch (access) {
    case Access::kRead:
      return !perm.none();
    case Access::kWrite:
      return perm.write();
    case Access::kExec:
      return perm.exec();
  }
  return false;
}

}  // namespace nopte
