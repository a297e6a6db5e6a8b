// EngineCore: memory objects.
#include "native-fallback/engine/engine_core.h"

namespace nopte::pt {

Result<ObjectId> EngineCore::object_create(u64 pages, const ObjectMappings& mappings) {
  if (pages > kMaxObjectPages) return Fail(Status::kLimit);
  const auto added = objects_.add(meta_frames());
  if (!added) return Fail(added.error());
  added->record->pages = pages;
  added->record->mappings = &mappings;
  ++counters_.objects_created;
  return ObjectId(added->id);
}

Result<ObjectId> EngineCore::object_adopt(FrameRange contents, const ObjectMappings& mappings) {
  const auto id = object_create(contents.frames(), mappings);
  if (!id) return id;
  MemoryObject& object = *find_object(*id);
  for (u64 page = 0; page < object.pages; ++page) {
    const auto inserted = insert_page(object, meta_frames(), page, contents.begin + page);
    if (!inserted) {
      drop_pages(object, frames_, 0, object.pages, [](Frame) {});
      objects_.remove(frames_, static_cast<u32>(*id));
      return Fail(inserted.error());
    }
  }
  for (u64 page = 0; page < object.pages; ++page) {
    frames_.adopt(contents.begin + page, FrameKind::kObject);
    FrameMeta& meta = frames_.meta(contents.begin + page);
    meta.back = static_cast<u32>(*id);
    meta.index = page;
  }
  return id;
}

Result<void> EngineCore::object_resize(ObjectId id, u64 pages, Checkpoint* checkpoint) {
  MemoryObject* object = find_object(id);
  if (object == nullptr) return Fail(Status::kInvalid);
  if (pages > kMaxObjectPages) return Fail(Status::kLimit);
  if (pages < object->pages || object->cut_from != 0) {
    NOPTE_TRY(cut_object(*object, pages < object->pages ? pages : object->pages, checkpoint));
  }
  object->pages = pages;
  return {};
}

// Makes `pages` the size and takes everything past it out. Errors: kAgain.
Result<void> EngineCore::cut_object(MemoryObject& object, u64 pages, Checkpoint* checkpoint) {
  using Cut = MemoryObject::Cut;
  if (pages < object.pages) object.cut = Cut::kNew;
  if (object.cut_from < object.pages) object.cut_from = object.pages;
  object.pages = pages;
  if (object.cut != Cut::kPages) {
    if (!cut_mappings(object, checkpoint)) return Fail(Status::kAgain);
    object.cut = Cut::kPages;
    if (checkpoint != nullptr && checkpoint->should_stop(Gva())) return Fail(Status::kAgain);
  }
  // No entry refers to them any more, so there is nothing to flush.
  const auto release = [this](Frame frame) {
    FrameMeta& meta = frames_.meta(frame);
    NOPTE_ASSERT(meta.refs == 1);
    frames_.free(frame);
  };
  constexpr u64 kAtOnce = 64;
  const u64 limit = checkpoint != nullptr ? kAtOnce : ~u64{0};
  while (!drop_pages(object, frames_, pages, limit, release)) {
    if (checkpoint->should_stop(Gva())) return Fail(Status::kAgain);
  }
  object.cut_from = 0;
  object.cut = Cut::kNew;
  return {};
}

// Takes the pages past the object's end out of every mapping. False: stopped at the checkpoint.
bool EngineCore::cut_mappings(MemoryObject& object, Checkpoint* checkpoint) {
  const auto from = object.cut == MemoryObject::Cut::kMappings ? ObjectMappings::From::kWhereItStopped
                                                               : ObjectMappings::From::kStart;
  object.cut = MemoryObject::Cut::kMappings;
  u64 done = 0;  // since the last look at the checkpoint: regions, and pages that may have been in them
  return object.mappings->visit(from, object.pages, object.cut_from - object.pages,
                                [&](SpaceId id, VaRange range) -> ObjectMappings::Stopped {
                                  const u64 cost = 1 + std::min(range.pages(), work::kMostAtOnce - 1);
                                  if (checkpoint != nullptr && done + cost > work::kMostAtOnce) {
                                    if (checkpoint->should_stop(range.begin)) return range.begin;
                                    done = 0;
                                  }
                                  done += cost;
                                  Space* space = find_space(id);
                                  if (space == nullptr || space->emptied || !may_show(id, range)) return {};
                                  if (zap(id, *space, range, Whose::kEverybodys, checkpoint)) return {};
                                  return checkpoint->next();
                                });
}

Result<void> EngineCore::object_destroy(ObjectId id, Checkpoint* checkpoint) {
  MemoryObject* object = find_object(id);
  if (object == nullptr) return Fail(Status::kInvalid);
  bool mapped = false;
  object->mappings->for_each(0, kMaxObjectPages, [&](SpaceId, VaRange) { mapped = true; });
  if (mapped) return Fail(Status::kBusy);
  NOPTE_TRY(cut_object(*object, 0, checkpoint));
  objects_.remove(frames_, static_cast<u32>(id));
  return {};
}

Result<u64> EngineCore::object_pages(ObjectId id) const {
  const MemoryObject* object = find_object(id);
  if (object == nullptr) return Fail(Status::kInvalid);
  return object->pages;
}

}  // namespace nopte::pt
