#include "guest-mm/core/memory_object.h"

#include <algorithm>
#include <utility>

#include "pvops/base/panic.h"

namespace nopte::guest {

namespace {
constexpr u64 kMostBytes = u64{1} << 46;

class BootMappings final : public ObjectMappings {
 public:
  void for_each(u64 first, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const override {
    if (object != nullptr) object->for_each(first, pages, visit);
  }
  const MemoryObject* object = nullptr;
};
constinit BootMappings g_boot_mappings;
}  // namespace

const ObjectMappings& boot_object_mappings() { return g_boot_mappings; }

Result<Ref<MemoryObject>> MemoryObject::create(u64 bytes) {
  if (bytes > kMostBytes) return Fail(Status::kLimit);
  auto object = make_of(ObjectId::kNone, bytes);
  if (!object) return object;
  if (bytes != 0) NOPTE_TRY((*object)->materialize());
  return object;
}

Result<void> MemoryObject::materialize() {
  if (id_ != ObjectId::kNone) return {};
  const auto id = mm_ops().object_create(capacity_pages_, *this);
  if (!id) return Fail(id.error());
  id_ = *id;
  return {};
}

Result<Ref<MemoryObject>> MemoryObject::adopt(ObjectId id, u64 bytes) {
  auto object = make_of(id, bytes);
  if (object) g_boot_mappings.object = object->get();
  return object;
}

Result<Ref<MemoryObject>> MemoryObject::view(Ref<MemoryObject> whole, u64 first_page, u64 bytes) {
  auto object = make_of(whole->id(), bytes);
  if (object) {
    (*object)->first_page_ = first_page;
    (*object)->whole_ = std::move(whole);
  }
  return object;
}

Result<Ref<MemoryObject>> MemoryObject::make_of(ObjectId id, u64 bytes) {
  MemoryObject* object = make<MemoryObject>();
  if (object == nullptr) return Fail(Status::kNoMemory);
  object->id_ = id;
  object->bytes_ = bytes;
  object->capacity_pages_ = object->pages();
  return Ref<MemoryObject>::adopt(object);
}

Result<void> MemoryObject::resize(u64 bytes) {
  NOPTE_ASSERT(!whole_);
  if (bytes > kMostBytes) return Fail(Status::kLimit);
  const u64 wanted = bytes_to_pages(bytes);
  if (wanted != capacity_pages_) {
    if (id_ != ObjectId::kNone) {
      NOPTE_TRY(mm_ops().object_resize(id_, wanted));
    } else {
      const auto id = mm_ops().object_create(wanted, *this);
      if (!id) return Fail(id.error());
      id_ = *id;
    }
    capacity_pages_ = wanted;
  }
  bytes_ = bytes;
  return {};
}

void MemoryObject::set_name(std::string_view name) {
  name_bytes_ = static_cast<u32>(std::min<u64>(name.size(), kNameBytes));
  std::copy_n(name.data(), name_bytes_, name_);
}

void MemoryObject::release() {
  if (--references_ == 0 && empty()) dispose();
}

void MemoryObject::emptied() {
  if (references_ == 0) {
    dispose();
  } else if (watcher_ != nullptr) [[unlikely]] {
    watcher_->unmapped(*this);
  }
}

void MemoryObject::dispose() {
  // Fails only for an object that a region shows: none does.
  if (id_ != ObjectId::kNone && !whole_) (void)mm_ops().object_destroy(id_);
  if (g_boot_mappings.object == this) g_boot_mappings.object = nullptr;
  destroy(this);
}

}  // namespace nopte::guest
