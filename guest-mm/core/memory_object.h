// A memory object: pages that files and shared memory are made of. The kernel keeps its id, its size and the
// list of regions that show it; its pages belong to the paging engine.
//
// It lives as long as someone holds a Ref or a region shows it; then the backend is told to free the pages.
// A view is a part of another object under a name of its own, as files of the initramfs are of that: it has
// no pages of its own, keeps the other alive, and changes no size. Concurrency: the kernel's.
#pragma once

#include <string_view>

#include "guest-mm/core/heap.h"
#include "guest-mm/core/ref.h"
#include "pvops/mm_ops.h"
#include "pvops/regions/region_list.h"

namespace nopte::guest {

class MemoryObject final : public RegionList {
 public:
  // Who wants to know when the last region that shows it went away.
  class Watcher {
   public:
    // May release what it holds of the object.
    virtual void unmapped(MemoryObject& object) = 0;

   protected:
    ~Watcher() = default;
  };

  // An object of `bytes` zero bytes. The backend is not told of an object without pages. Errors: kNoMemory,
  // kLimit.
  static Result<Ref<MemoryObject>> create(u64 bytes);
  // Takes over an object that exists already, made with boot_object_mappings(): the initramfs. Errors:
  // kNoMemory.
  static Result<Ref<MemoryObject>> adopt(ObjectId id, u64 bytes);

  // What shows pages [first_page, ...) of `whole` as `bytes` bytes. Precondition: they lie inside it; it has
  // an id and keeps its size. Errors: kNoMemory.
  static Result<Ref<MemoryObject>> view(Ref<MemoryObject> whole, u64 first_page, u64 bytes);

  // kNone while the object has never had a page nor been mapped.
  [[nodiscard]] ObjectId id() const { return id_; }
  // Makes sure that it has an id. Errors: kNoMemory, kLimit.
  Result<void> materialize();
  [[nodiscard]] u64 bytes() const { return bytes_; }
  [[nodiscard]] u64 pages() const { return bytes_to_pages(bytes_); }
  [[nodiscard]] bool is_view() const { return static_cast<bool>(whole_); }
  // Whether it is a view, and its end lies inside of these pages.
  [[nodiscard]] bool ends_within(u64 page, u64 count) const {
    return whole_ && page < pages() && pages() - page < count;
  }
  // Which page of the object with this id() is its page `page`; and back. What lies past a view's end is past
  // the whole's end, too, so that nobody sees there what follows the view.
  [[nodiscard]] u64 page_in_whole(u64 page) const {
    return !whole_ ? page : first_page_ + page + (page < pages() ? 0 : whole_->pages());
  }
  [[nodiscard]] u64 page_of_own(u64 page) const {
    return !whole_ ? page : page - first_page_ - (page < whole_->pages() ? 0 : whole_->pages());
  }

  // Changes the size. Growing within the pages that are there is free of calls; shrinking takes pages past
  // the end out of every mapping. The bytes between the new end and the end of its page are the caller's to
  // zero. Errors: kNoMemory (growing); the size is then as before.
  Result<void> resize(u64 bytes);

  // What /proc/self/maps shows. The text is cut to fit.
  void set_name(std::string_view name);
  [[nodiscard]] std::string_view name() const { return {name_, name_bytes_}; }
  void set_watcher(Watcher* watcher) { watcher_ = watcher; }
  [[nodiscard]] Watcher* watcher() const { return watcher_; }
  void set_inode(u64 inode) { inode_ = inode; }
  [[nodiscard]] u64 inode() const { return inode_; }

  void retain() { ++references_; }
  void release();
  void emptied() override;

 private:
  template <class T, class... Args>
  friend T* make(Args&&...);
  template <class T>
  friend void destroy(T*);
  MemoryObject() = default;
  ~MemoryObject() = default;

  static Result<Ref<MemoryObject>> make_of(ObjectId id, u64 bytes);
  void dispose();

  static constexpr u64 kNameBytes = 100;
  ObjectId id_ = ObjectId::kNone;
  u32 references_ = 1;
  u64 bytes_ = 0;
  u64 capacity_pages_ = 0;   // what the backend knows as the size
  Ref<MemoryObject> whole_;  // of a view
  u64 first_page_ = 0;       // of a view, there
  u64 inode_ = 0;
  Watcher* watcher_ = nullptr;
  u32 name_bytes_ = 0;
  char name_[kNameBytes] = {};
};

// Who shows the object that boot hands over. The backend makes that object before there is a heap, so it is
// told of this list, which is empty until adopt().
const ObjectMappings& boot_object_mappings();

}  // namespace nopte::guest
