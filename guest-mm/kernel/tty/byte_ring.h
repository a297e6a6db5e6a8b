// A queue of bytes of a fixed size, without allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest::tty {

template <u32 kBytes>
class ByteRing {
 public:
  [[nodiscard]] bool empty() const { return used_ == 0; }
  [[nodiscard]] u32 used() const { return used_; }
  [[nodiscard]] u32 room() const { return kBytes - used_; }

  // Takes the first bytes of the text, as many as there is room for; how many.
  u32 put(std::string_view text) {
    u32 done = 0;
    const u32 wanted = static_cast<u32>(std::min<u64>(text.size(), room()));
    while (done < wanted) {
      const u32 at = (begin_ + used_) % kBytes;
      const u32 piece = std::min(wanted - done, kBytes - at);
      std::memcpy(&bytes_[at], text.data() + done, piece);
      used_ += piece;
      done += piece;
    }
    return done;
  }
  // The oldest bytes that lie in one piece.
  [[nodiscard]] std::string_view front() const { return {&bytes_[begin_], std::min(used_, kBytes - begin_)}; }
  // Precondition: so many are there.
  void drop(u32 bytes) {
    begin_ = (begin_ + bytes) % kBytes;
    used_ -= bytes;
  }
  void clear() { begin_ = used_ = 0; }

 private:
  u32 begin_ = 0;
  u32 used_ = 0;
  std::array<char, kBytes> bytes_;
};

}  // namespace nopte::guest::tty
