// Where file data goes to or comes from: memory of the running program, or kernel memory (windows
// included). Every copy is fallible; a file never learns which of the two it serves.
#pragma once

#include "guest-mm/kernel/arch.h"

namespace nopte::guest::files {

class IoBuffer {
 public:
  static IoBuffer user(u64 address) { return {address, Home::kUser}; }
  static IoBuffer kernel(void* address) { return {reinterpret_cast<u64>(address), Home::kKernel}; }
  // Only for a buffer that is read from.
  static IoBuffer kernel(const void* address) { return {reinterpret_cast<u64>(address), Home::kKernel}; }

  // The buffer without its first `bytes`.
  [[nodiscard]] IoBuffer after(u64 bytes) const { return {address_ + bytes, home_}; }
  [[nodiscard]] bool is_user() const { return home_ == Home::kUser; }
  [[nodiscard]] u64 address() const { return address_; }

  // Fills the buffer's first bytes. `from` may be a kernel window. Answers how many bytes are surely there:
  // all of them, or after a fault the whole pages before it; and why it stopped.
  struct Copied {
    u64 bytes;
    Status status;  // kOk: all
  };
  Copied put(const void* from, u64 bytes) const;
  // Takes the buffer's first bytes. `to` may be a kernel window.
  Copied get(void* to, u64 bytes) const;
  // Fills with zeros.
  Copied put_zeros(u64 bytes) const;

 private:
  enum class Home : u8 { kUser, kKernel };
  IoBuffer(u64 address, Home home) : address_(address), home_(home) {}

  [[nodiscard]] Result<void> put_once(u64 offset, const void* from, u64 bytes) const;
  [[nodiscard]] Result<void> get_once(void* to, u64 offset, u64 bytes) const;

  u64 address_;
  Home home_;
};

}  // namespace nopte::guest::files
