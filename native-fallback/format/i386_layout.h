// Where the two i386 formats have user and kernel: three GiB and one.
#pragma once

#include "pvops/base/addr.h"

namespace nopte::pt {

struct I386Layout {
  static constexpr bool canonical(Gva va) { return va.value() >> 32 == 0; }
  // The part that all roots share. Precondition: canonical(va).
  static constexpr bool kernel_half(Gva va) { return va.value() >= 0xc000'0000; }

  static constexpr VaRange kUserRange{Gva{0x1'0000}, Gva{0xbfff'0000}};
  static constexpr VaRange kDirectRange{Gva{0xc000'0000}, Gva{0xf000'0000}};
  static constexpr VaRange kWindowRange{Gva{0xf000'0000}, Gva{0xf200'0000}};
  static constexpr VaRange kKmemRange{Gva{0xf200'0000}, Gva{0xf400'0000}};
  static constexpr VaRange kImageRange{Gva{0xff80'0000}, Gva{0xffc0'0000}};
};

}  // namespace nopte::pt
