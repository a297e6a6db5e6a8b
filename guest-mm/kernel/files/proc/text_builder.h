// Text that grows on the kernel heap: what /proc files are made of.
#pragma once

#include <concepts>
#include <cstring>
#include <string_view>

#include "guest-mm/core/heap.h"
#include "pvops/base/digits.h"

namespace nopte::guest::files {

class TextBuilder {
 public:
  struct Hex {
    u64 value;
    u32 digits;  // at least
  };
  struct Octal {
    u64 value;
    u32 digits;  // at least
  };
  struct Padded {
    u64 value;
    u32 width;  // at least, blanks on the left
  };
  struct Zeroed {
    u64 value;
    u32 width;  // at least, zeros on the left
  };

  // Appends all parts: text, characters, integers, the forms above. When memory is short the rest is missing,
  // and failed() says so.
  template <class... Parts>
  TextBuilder& add(const Parts&... parts) {
    (put(parts), ...);
    return *this;
  }
  // Blanks up to `column` of the line that began at byte `line_begin`.
  void pad_to(u64 line_begin, u64 column) {
    while (used_ - line_begin < column && !failed_) {
      put(' ');
    }
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] u64 size() const { return used_; }
  [[nodiscard]] std::string_view text() const { return {storage_.data(), used_}; }

 private:
  void put(std::string_view text) {
    if (used_ + text.size() > storage_.bytes() && !grow(text.size())) {
      return;
    }
    std::memcpy(storage_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  void put(const char* text) { put(std::string_view(text)); }
  void put(char c) { put(std::string_view(&c, 1)); }
  template <std::integral T>
    requires(!std::same_as<T, char>)
  void put(T value) {
    put(Digits(value).text());
  }
  void put(Hex hex) { put_digits(hex.value, 16, hex.digits, '0'); }
  void put(Octal octal) { put_digits(octal.value, 8, octal.digits, '0'); }
  void put(Padded number) { put_digits(number.value, 10, number.width, ' '); }
  void put(Zeroed number) { put_digits(number.value, 10, number.width, '0'); }
  void put_digits(u64 value, u32 base, u32 width, char fill) {
    const Digits digits(value, base);
    for (u64 i = digits.text().size(); i < width; ++i) {
      put(fill);
    }
    put(digits.text());
  }
  bool grow(u64 more) {
    const u64 wanted = used_ + more < 512 ? 512 : (used_ + more) * 2;
    HeapBuffer bigger(wanted);
    if (failed_ || !bigger) {
      failed_ = true;
      return false;
    }
    if (used_ != 0) {
      std::memcpy(bigger.data(), storage_.data(), used_);
    }
    storage_ = std::move(bigger);
    return true;
  }

  HeapBuffer storage_;
  u64 used_ = 0;
  bool failed_ = false;
};

}  // namespace nopte::guest::files
