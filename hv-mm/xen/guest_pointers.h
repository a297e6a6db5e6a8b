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

  // Copies from the guest; `to` may be written in part when it fails.
  [[nodiscard]] bool read(Gva va, void* to, u64 bytes) const;
  // Writes to an aligned place of the guest's. Looked up now: a page that was writable may be a table.
  template <class T>
  [[nodiscard]] bool write(Gva va, T value) const {
    if (va.value() % sizeof(T) != 0) return false;
    u8* const to = find(va, Access::kWrite);
    if (to == nullptr) return false;
    __builtin_memcpy(to, &value, sizeof(T));
    return true;
  }

 private:
  [[nodiscard]] std::optional<u64> walk(Gva va, unsigned last, u64 bits) const;

  const PageTypes& types_;
};

// Reads a list from first to last; a page is looked up once. What a page looked up before has become is no
// matter: it is the guest's still.
class GuestList {
 public:
  GuestList(const GuestPointers& pointers, u64 begin, Access access)
      : pointers_(pointers), at_(begin), access_(access) {}

  // T is made of u64.
  template <class T>
  [[nodiscard]] bool next(T& out) {
    static_assert(sizeof(T) % sizeof(u64) == 0);
    u64 words[sizeof(T) / sizeof(u64)];
    for (u64& word : words) {
      if (page_ == nullptr || at_.page_offset() == 0) {
        if (at_.value() % sizeof(u64) != 0) return false;
        page_ = pointers_.find(at_.page_base(), access_);
        if (page_ == nullptr) return false;
      }
      __builtin_memcpy(&word, page_ + at_.page_offset(), sizeof(word));
      at_ += sizeof(word);
    }
    __builtin_memcpy(&out, words, sizeof(T));
    return true;
  }

 private:
  const GuestPointers& pointers_;
  Gva at_;
  Access access_;
  const u8* page_ = nullptr;
};

}  // namespace nopte::hv
