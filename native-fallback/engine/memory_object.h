// A memory object: its size and the index of its pages, which is the truth for them.
//
// The index is a radix tree of 512-way nodes in meta frames (FrameMeta::live counts used slots). A slot holds
// a frame number + 1, or 0. Its height grows with the highest page present; a one-page object needs no node.
//
// Concurrency: the engine's.
#pragma once

#include <optional>
#include <span>

#include "native-fallback/frames/meta_frames.h"
#include "pvops/region_spec.h"

namespace nopte::pt {

struct MemoryObject {
  u64 pages = 0;     // size; pages at or past it are never handed out
  u64 cut_from = 0;  // while shrinking: the size before, until all that lay past the end is gone
  enum class Cut : u8 { kNew, kMappings, kPages } cut = Cut::kNew;  // while shrinking: how far that is
  u64 resident = 0;                                                 // pages with a frame
  const ObjectMappings* mappings = nullptr;
  u64 top = 0;          // slot of the whole tree
  unsigned height = 0;  // 0: `top` is page 0's slot; h: the tree covers 512^h pages
};

// The page's frame, if it has one.
std::optional<Frame> find_page(const MemoryObject& object, const FrameTable& frames, u64 page);

// The slots of the index from `page` on, as far as one node has them: each a frame number + 1, or 0. None
// where the index has no node.
std::span<const u64> index_slots(const MemoryObject& object, const FrameTable& frames, u64 page);

// A search stops at the first page that has a frame, or where it has looked at enough: then the pages before
// have none.
struct PageSearch {
  u64 page;  // past the last when there is none
  bool found;
};
PageSearch next_page(const MemoryObject& object, const FrameTable& frames, u64 page, u64 most_nodes);

// Precondition: the page has no frame. Errors: kNoMemory; the object then shows the same pages as before
// (it may keep an empty node until the next drop_pages).
Result<void> insert_page(MemoryObject& object, const MetaFrames& memory, u64 page, Frame frame);

// Takes pages at and after `first_page` out of the index, and gives each to release(frame). Stops after
// `limit` pages and nodes. Returns true when none is left.
bool drop_pages(MemoryObject& object, FrameTable& frames, u64 first_page, u64 limit,
                FunctionRef<void(Frame)> release);

}  // namespace nopte::pt
