#include "guest-mm/kernel/files/tmpfs/object_zeros.h"

#include <algorithm>
#include <utility>

#include "guest-mm/core/kernel_windows.h"
#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

alignas(8) constinit const u8 kZeroPage[kPageBytes] = {};

// What a thread is in the middle of, on its stack.
class Zeroing {
 public:
  explicit Zeroing(const MemoryObject& object) : object_(object), next_(std::exchange(first, this)) {}
  ~Zeroing() {
    Zeroing** link = &first;
    while (*link != this) link = &(*link)->next_;
    *link = next_;
  }
  Zeroing(const Zeroing&) = delete;
  Zeroing& operator=(const Zeroing&) = delete;
  static bool any_of(const MemoryObject& object) {
    const Zeroing* at = first;
    while (at != nullptr && &at->object_ != &object) at = at->next_;
    return at != nullptr;
  }

 private:
  static constinit inline Zeroing* first = nullptr;
  const MemoryObject& object_;
  Zeroing* next_;
};

}  // namespace

bool is_being_zeroed(const MemoryObject& object) { return Zeroing::any_of(object); }

Result<void> zero_object_pages(MemoryObject& object, u64 first, u64 pages, const PageRuns* written) {
  if (first >= object.pages()) return {};
  const Ref<MemoryObject> held(&object);
  const Zeroing zeroing(object);
  const u64 end = first + std::min(pages, object.pages() - first);
  KernelWindow window;
  NOPTE_TRY(window.open(object));
  u64 count = 0;
  for (u64 at = first; at < end; at += count) {
    if (written != nullptr) {
      at = std::min(written->next_in(at).value_or(end), end);
      if (at == end) break;
    }
    count =
        std::min({kMostResident, end - at, written != nullptr ? written->next_out(at) - at : kMostResident});
    const VaRange shown = VaRange::of_pages(Gva{reinterpret_cast<u64>(window.at(pages_to_bytes(at)))}, count);
    const auto resident = mm_ops().region_resident(SpaceId::kKernel, shown);
    if (!resident) return Fail(resident.error());
    for (u64 page = 0; page < count; ++page) {
      if ((*resident >> page & 1) == 0) continue;
      const auto zeroed = arch::copy_fallible(window.at(pages_to_bytes(at + page)), kZeroPage, kPageBytes);
      if (!zeroed && zeroed.error() == Status::kPastEnd) return {};  // it was cut meanwhile
      NOPTE_TRY(zeroed);
    }
    give_way();
  }
  return {};
}

void fill_object_holes(MemoryObject& object, u64 first, u64 pages) {
  KernelWindow window;
  if (object.is_view() || first >= object.pages() || !window.open(object)) return;
  window.populate(pages_to_bytes(first), pages_to_bytes(std::min(pages, object.pages() - first)),
                  Access::kWrite);
}

}  // namespace nopte::guest::files
