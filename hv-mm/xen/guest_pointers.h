// What a guest's pointers lead to, by the tables that it runs on. Those are validated: every frame on the way
// is the guest's.
#pragma once

#include <optional>

#include "hv-mm/xen/page_types.h"

namespace nopte::hv {

class GuestPointers {
 public:
  explicit GuestPointers(const PageTypes& types) : types_(types) {}

  // The leaf table that maps va, or nothing.
  [[nodiscard]] std::optional<u64> leaf_table(Gva va) const;
  // The byte at va, if its page is mapped, and for writing where that is asked.
  [[nodiscard]] u8* find(Gva va, Access access) const;

  // Copies between the guest and us, whole or not at all.
  [[nodiscard]] bool read(Gva va, void* to, u64 bytes) const;
  [[nodiscard]] bool write(Gva va, const void* from, u64 bytes) const;

 private:
  const PageTypes& types_;
};

// Reads a list from first to last: a page is looked up once.
class GuestList {
 public:
  GuestList(const GuestPointers& pointers, u64 begin) : pointers_(pointers), at_(begin) {}

  template <class T>
  [[nodiscard]] bool next(T& out) {
    if (at_.page() != page_) {
      page_ = at_.page();
      window_ = pointers_.find(at_.page_base(), Access::kRead);
    }
    const Gva begin = at_;
    at_ += sizeof(T);
    if (begin.page_offset() + sizeof(T) > kPageBytes) return pointers_.read(begin, &out, sizeof(T));
    if (window_ == nullptr) return false;
    __builtin_memcpy(&out, window_ + begin.page_offset(), sizeof(T));
    return true;
  }

 private:
  const GuestPointers& pointers_;
  Gva at_;
  u64 page_ = ~u64{0};
  const u8* window_ = nullptr;
};

}  // namespace nopte::hv
