#include "guest-mm/kernel/ipc/shm.h"

namespace nopte::guest::ipc {

namespace {
constinit Table g_segments{g_next_ids.segments};
constinit u64 g_pages = 0;
}  // namespace

Table& segments() { return g_segments; }
u64 segment_pages() { return g_pages; }

Segment::Segment(Ref<MemoryObject> memory, u64 bytes) : memory_(std::move(memory)), bytes_(bytes) {
  memory_->set_watcher(this);
  g_pages += memory_->pages();
}

Segment::~Segment() {
  memory_->set_watcher(nullptr);
  g_pages -= memory_->pages();
}

u64 Segment::attached() const {
  u64 count = 0;
  static_cast<void>(memory_->any([&](const RegionNode&) {
    ++count;
    return false;
  }));
  return count;
}

// No other object has a watcher.
Segment* Segment::of(const MemoryObject* object) {
  return object == nullptr ? nullptr : static_cast<Segment*>(object->watcher());
}

void Segment::remove() {
  if (attached() == 0) {
    g_segments.remove(*this);
    return;
  }
  permissions.mode |= kShmDestroyed;
  permissions.key = kPrivate;
}

void Segment::unmapped(MemoryObject&) {
  detached_at = now_seconds();
  if (goes_unmapped()) g_segments.remove(*this);
}

}  // namespace nopte::guest::ipc
