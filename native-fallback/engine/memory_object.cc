#include "native-fallback/engine/memory_object.h"

#include "pvops/base/work.h"

namespace nopte::pt {
namespace {

constexpr unsigned kNodeBits = 9;
constexpr u64 kNodeSlots = u64{1} << kNodeBits;

constexpr u64 capacity(unsigned height) { return u64{1} << (height * kNodeBits); }
constexpr u64 slot_index(u64 page, unsigned height) {
  return page >> ((height - 1) * kNodeBits) & (kNodeSlots - 1);
}
u64* node_slots(const FrameTable& frames, u64 slot) {
  return reinterpret_cast<u64*>(frames.pointer(Frame(slot - 1)));
}

// Drops what `slot`, a subtree of this height, holds at and after page `first` of it.
void drop_subtree(u64& slot, unsigned height, u64 first, u64& limit, u64& resident, FrameTable& frames,
                  FunctionRef<void(Frame)> release) {
  if (slot == 0 || limit == 0) return;
  const Frame frame(slot - 1);
  if (height == 0) {
    work::did(work::Unit::kPage);
    slot = 0;
    --limit;
    --resident;
    release(frame);
    return;
  }
  FrameMeta& meta = frames.meta(frame);
  u64* slots = node_slots(frames, slot);
  u64 i = slot_index(first, height);
  u64 inner = first & (capacity(height - 1) - 1);
  for (; i < kNodeSlots && meta.live != 0 && limit != 0; ++i, inner = 0) {
    if (slots[i] == 0) continue;
    drop_subtree(slots[i], height - 1, inner, limit, resident, frames, release);
    if (slots[i] == 0) --meta.live;
  }
  if (meta.live == 0) {
    work::did(work::Unit::kNode);
    frames.free(frame);
    slot = 0;
    if (limit != 0) --limit;
  }
}

}  // namespace

std::optional<Frame> find_page(const MemoryObject& object, const FrameTable& frames, u64 page) {
  if (page >= capacity(object.height)) return std::nullopt;
  u64 slot = object.top;
  for (unsigned height = object.height; height != 0 && slot != 0; --height) {
    slot = node_slots(frames, slot)[slot_index(page, height)];
  }
  if (slot == 0) return std::nullopt;
  return Frame(slot - 1);
}

std::span<const u64> index_slots(const MemoryObject& object, const FrameTable& frames, u64 page) {
  if (page >= capacity(object.height)) return {};
  if (object.height == 0) return {&object.top, 1};
  u64 slot = object.top;
  for (unsigned height = object.height; height > 1 && slot != 0; --height) {
    slot = node_slots(frames, slot)[slot_index(page, height)];
  }
  if (slot == 0) return {};
  const u64 first = slot_index(page, 1);
  return {node_slots(frames, slot) + first, kNodeSlots - first};
}

PageSearch next_page(const MemoryObject& object, const FrameTable& frames, u64 page, u64 most_nodes) {
  for (; page < capacity(object.height); --most_nodes) {
    if (most_nodes == 0) return {page, false};
    work::did(work::Unit::kNode);
    u64 slot = object.top;
    unsigned height = object.height;
    for (; height != 0 && slot != 0; --height) slot = node_slots(frames, slot)[slot_index(page, height)];
    if (slot != 0) return {page, true};
    // Nothing below this slot: go on behind all that it covers.
    page = (page | (capacity(height) - 1)) + 1;
  }
  return {~u64{0}, false};
}

Result<void> insert_page(MemoryObject& object, const MetaFrames& memory, u64 page, Frame frame) {
  FrameTable& frames = memory.frames;
  while (page >= capacity(object.height)) {
    if (object.top != 0) {
      const auto node = memory.alloc();
      if (!node) return Fail(node.error());
      reinterpret_cast<u64*>(frames.pointer(*node))[0] = object.top;
      frames.meta(*node).live = 1;
      object.top = node->number() + 1;
    }
    ++object.height;
  }
  u64* slot = &object.top;
  FrameMeta* parent = nullptr;
  for (unsigned height = object.height; height != 0; --height) {
    if (*slot == 0) {
      const auto node = memory.alloc();
      if (!node) return Fail(node.error());
      *slot = node->number() + 1;
      if (parent != nullptr) ++parent->live;
    }
    parent = &frames.meta(Frame(*slot - 1));
    slot = &node_slots(frames, *slot)[slot_index(page, height)];
  }
  NOPTE_ASSERT(*slot == 0);
  *slot = frame.number() + 1;
  if (parent != nullptr) ++parent->live;
  ++object.resident;
  return {};
}

bool drop_pages(MemoryObject& object, FrameTable& frames, u64 first_page, u64 limit,
                FunctionRef<void(Frame)> release) {
  if (first_page < capacity(object.height)) {
    drop_subtree(object.top, object.height, first_page, limit, object.resident, frames, release);
  }
  if (object.top == 0) object.height = 0;
  return limit != 0;
}

}  // namespace nopte::pt
