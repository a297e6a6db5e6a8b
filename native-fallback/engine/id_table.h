// Ids to records: directory frames whose pages hold 64 slots each. Slot 0 of a page is its header, so ids are
// never a multiple of 64 and 0 is never an id. A page is freed with its last record, the directories by
// release().
//
// Concurrency: the engine's.
#pragma once

#include <bit>
#include <new>

#include "native-fallback/frames/meta_frames.h"

namespace nopte::pt {

template <class T>
class IdTable {
 public:
  static constexpr u32 kSlotBytes = 64;
  static constexpr u32 kSlots = kPageBytes / kSlotBytes;
  static constexpr u32 kDirectoryPages = kPageBytes / sizeof(u64);
  static constexpr u32 kDirectories = 32;
  static constexpr u32 kPages = kDirectories * kDirectoryPages;
  static constexpr u32 kMaxIds = kPages * kSlots;
  static_assert(sizeof(T) <= kSlotBytes && std::is_trivially_destructible_v<T>);

  struct Added {
    u32 id;
    T* record;
  };

  // A fresh T under the lowest free id. Errors: kNoMemory, kLimit.
  Result<Added> add(const MetaFrames& memory) {
    FrameTable& frames = memory.frames;
    for (u32 p = first_with_room_; p < kPages; ++p) {
      u64& directory = directories_[p / kDirectoryPages];
      if (directory == 0) {
        const auto frame = memory.alloc();
        if (!frame) return Fail(frame.error());
        directory = frame->number() + 1;
      }
      u64& entry = entry_of(frames, p);
      if (entry == 0) {
        const auto frame = memory.alloc();
        if (!frame) return Fail(frame.error());
        entry = frame->number() + 1;
        used(frames, entry) = 1;
      }
      u64& mask = used(frames, entry);
      if (~mask == 0) continue;
      first_with_room_ = p;
      const u32 slot = static_cast<u32>(std::countr_one(mask));
      mask |= u64{1} << slot;
      ++count_;
      return Added{p * kSlots + slot, new (slot_address(frames, entry, slot)) T()};
    }
    return Fail(Status::kLimit);
  }

  // Null when there is no such id.
  [[nodiscard]] T* find(const FrameTable& frames, u32 id) const {
    if (id >= kMaxIds || id % kSlots == 0 || !has_directory(id / kSlots)) return nullptr;
    const u64 entry = entry_of(frames, id / kSlots);
    if (entry == 0 || !(used(frames, entry) >> (id % kSlots) & 1)) return nullptr;
    return reinterpret_cast<T*>(slot_address(frames, entry, id % kSlots));
  }

  // Precondition: find(id) is not null.
  void remove(FrameTable& frames, u32 id) {
    u64& entry = entry_of(frames, id / kSlots);
    u64& mask = used(frames, entry);
    mask &= ~(u64{1} << id % kSlots);
    --count_;
    if (id / kSlots < first_with_room_) first_with_room_ = id / kSlots;
    if (mask == 1) {
      frames.free(Frame(entry - 1));
      entry = 0;
    }
  }

  // visit(id, T&) for every record.
  template <class Visit>
  void for_each(const FrameTable& frames, Visit visit) const {
    for (u32 p = 0; p < kPages; ++p) {
      if (!has_directory(p)) {
        p += kDirectoryPages - 1;
        continue;
      }
      const u64 entry = entry_of(frames, p);
      if (entry == 0) continue;
      for (u64 left = used(frames, entry) & ~u64{1}; left != 0; left &= left - 1) {
        const u32 slot = static_cast<u32>(std::countr_zero(left));
        visit(p * kSlots + slot, *reinterpret_cast<T*>(slot_address(frames, entry, slot)));
      }
    }
  }

  [[nodiscard]] u32 count() const { return count_; }

  // Precondition: count() == 0.
  void release(FrameTable& frames) {
    NOPTE_ASSERT(count_ == 0);
    for (u64& directory : directories_) {
      if (directory != 0) frames.free(Frame(directory - 1));
      directory = 0;
    }
    first_with_room_ = 0;
  }

 private:
  [[nodiscard]] bool has_directory(u32 page) const { return directories_[page / kDirectoryPages] != 0; }
  // Precondition: has_directory(page).
  [[nodiscard]] u64& entry_of(const FrameTable& frames, u32 page) const {
    const Frame directory(directories_[page / kDirectoryPages] - 1);
    return reinterpret_cast<u64*>(frames.pointer(directory))[page % kDirectoryPages];
  }
  // Bit i: slot i is in use; bit 0 is the header itself.
  static u64& used(const FrameTable& frames, u64 entry) {
    return *reinterpret_cast<u64*>(frames.pointer(Frame(entry - 1)));
  }
  static u8* slot_address(const FrameTable& frames, u64 entry, u32 slot) {
    return frames.pointer(Frame(entry - 1)) + u64{slot} * kSlotBytes;
  }

  u64 directories_[kDirectories] = {};  // frame number + 1; made when the one before is full
  u32 first_with_room_ = 0;
  u32 count_ = 0;
};

}  // namespace nopte::pt
