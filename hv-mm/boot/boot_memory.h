// The hypervisor's own memory before anything manages it: handed out upwards, never given back.
#pragma once

#include <new>
#include <utility>

#include "native-fallback/frames/phys.h"
#include "pvops/arch/x86_64/pvh_info.h"
#include "pvops/base/result.h"

namespace nopte::hv {

class BootMemory {
 public:
  BootMemory() = default;
  // `span` is page-aligned and seen at direct_base + its physical address.
  BootMemory(PhysicalSpan span, u64 direct_base)
      : next_(span.begin), end_(span.begin + span.bytes), base_(direct_base) {}

  // Contiguous pages with undefined contents, as physical address. Errors: kNoMemory.
  [[nodiscard]] Result<u64> take_pages(u64 pages) {
    if (pages > (end_ - next_) >> kPageShift) {
      return Fail(Status::kNoMemory);
    }
    return std::exchange(next_, next_ + pages_to_bytes(pages));
  }
  // An object on pages of its own. Errors: kNoMemory.
  template <class T, class... Args>
  [[nodiscard]] Result<T*> make(Args&&... args) {
    static_assert(alignof(T) <= kPageBytes);
    const auto at = take_pages(bytes_to_pages(sizeof(T)));
    if (!at) {
      return Fail(at.error());
    }
    return new (pointer(*at)) T(std::forward<Args>(args)...);
  }
  [[nodiscard]] u8* pointer(u64 physical) const { return reinterpret_cast<u8*>(base_ + physical); }
  [[nodiscard]] u64 direct_base() const { return base_; }
  void rebase(u64 direct_base) { base_ = direct_base; }
  [[nodiscard]] u64 free_bytes() const { return end_ - next_; }

 private:
  u64 next_ = 0;
  u64 end_ = 0;
  u64 base_ = 0;
};

}  // namespace nopte::hv
