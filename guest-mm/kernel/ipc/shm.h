// System V shared memory: segments are memory objects that outlive whoever maps them, until they are removed
// and nobody shows them any more (ipc/shm.c of 6.12).
#pragma once

#include "guest-mm/core/memory_object.h"
#include "guest-mm/kernel/ipc/objects.h"

namespace nopte::guest::ipc {

// /proc/sys/kernel/shmmax, shmall, shmmni.
struct ShmLimits {
  u64 bytes = ~u64{0} - (u64{1} << 24);  // of a segment
  u64 pages = ~u64{0} - (u64{1} << 24);  // of all together
  u32 segments = 4096;
};
inline constinit ShmLimits g_shm_limits;

inline constexpr u32 kShmDestroyed = 01000, kShmLocked = 02000;  // in a segment's mode

class Segment final : public Object, private MemoryObject::Watcher {
 public:
  // Takes the object over.
  Segment(Ref<MemoryObject> memory, u64 bytes);

  [[nodiscard]] u64 bytes() const { return bytes_; }
  [[nodiscard]] MemoryObject& memory() const { return *memory_; }
  // How many mappings show it.
  [[nodiscard]] u64 attached() const;
  // The segment that such a region shows; null: another object.
  static Segment* of(const MemoryObject* object);
  // It goes when nobody shows it: now, or later.
  void remove();
  // It was removed, and goes with the last that shows it.
  [[nodiscard]] bool goes_unmapped() const { return (permissions.mode & kShmDestroyed) != 0; }

  i64 attached_at = 0;
  i64 detached_at = 0;
  i64 changed_at = 0;
  i32 creator_pid = 0;
  i32 last_pid = 0;

 private:
  ~Segment() override;
  void unmapped(MemoryObject& object) override;

  Ref<MemoryObject> memory_;
  u64 bytes_;
};

Table& segments();
// The pages of all segments.
u64 segment_pages();

}  // namespace nopte::guest::ipc
