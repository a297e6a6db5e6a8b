#include "guest-mm/kernel/memory/forced_access.h"

#include <algorithm>

#include "guest-mm/kernel/memory/space_memory.h"

namespace nopte::guest {

namespace {

// Page by page; false: one cannot be reached.
bool by_page(AddressSpace& space, Gva at, u64 bytes, FunctionRef<bool(Gva, u64, u64)> one) {
  for (u64 done = 0; done < bytes;) {
    const Gva from{at.value() + done};
    if (from.value() < at.value() || from.value() >= kUserRange.end.value() || is_secret(space, from)) {
      return false;
    }
    const u64 piece = std::min(bytes - done, kPageBytes - (from.value() & kPageMask));
    if (!one(from, done, piece)) return false;
    done += piece;
  }
  return true;
}

}  // namespace

bool force_access(AddressSpace& space, Gva at, Perm needed, FunctionRef<Result<void>()> access) {
  if (access()) return true;
  const auto vma = space.find(at);
  const bool private_or_read = needed == kPermR || (vma && vma->sharing == Sharing::kPrivate);
  if (!vma || !private_or_read || (vma->flags & kVmaGuard) != 0 ||
      (vma->flags & kVmaNoWrite & (needed.write() ? ~0u : 0u)) != 0) {
    return false;
  }
  const VaRange page = VaRange::of_pages(at.page_base(), 1);
  if (!space.protect(page, vma->perm | needed)) return false;
  const bool done = access().has_value();
  if (!space.protect(page, vma->perm)) {
    static_cast<void>(space.unmap(page));  // rather than leave it with rights that nobody gave
  }
  return done;
}

bool peek_space(AddressSpace& space, void* to, Gva at, u64 bytes) {
  return by_page(space, at, bytes, [&](Gva from, u64 done, u64 piece) {
    return force_access(space, from, kPermR,
                        [&] { return read_space(space, static_cast<u8*>(to) + done, from, piece); });
  });
}

bool poke_space(AddressSpace& space, Gva at, const void* from, u64 bytes) {
  return by_page(space, at, bytes, [&](Gva to, u64 done, u64 piece) {
    return force_access(space, to, kPermRW,
                        [&] { return write_space(space, to, static_cast<const u8*>(from) + done, piece); });
  });
}

}  // namespace nopte::guest
