// What System V's shared memory, semaphores and message queues have in common: keys, ids, owners and rights,
// as Linux has them (ipc/util.c of 6.12).
//
// An id is a slot and a sequence number, so that the id of what is gone is not soon another's. Whoever sleeps
// for an object holds a Ref and looks at removed() when it goes on.
// Concurrency: the kernel's.
#pragma once

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/ref.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest::ipc {

// uapi/linux/ipc.h
inline constexpr i32 kPrivate = 0;
inline constexpr u32 kCreate = 01000, kExclusive = 02000, kNoWait = 04000;
inline constexpr i32 kRemove = 0, kSet = 1, kStat = 2, kInfo = 3;
inline constexpr u32 kRead = 4, kWrite = 2, kExecute = 1;

// ipc64_perm
struct Permissions {
  i32 key = kPrivate;
  u32 uid = 0;
  u32 gid = 0;
  u32 creator_uid = 0;
  u32 creator_gid = 0;
  u32 mode = 0;
  u16 sequence = 0;
  u16 padding = 0;
  u32 padding_2 = 0;
  u64 unused[2] = {};
};
static_assert(sizeof(Permissions) == 48);

class Object : public files::RefCounted {
 public:
  Permissions permissions;
  [[nodiscard]] i32 id() const { return id_; }
  [[nodiscard]] bool removed() const { return id_ < 0; }

 private:
  friend class Table;
  i32 id_ = -1;
};

// Seconds of the wall clock, as the structures have them.
i64 now_seconds();

// Whether the running process has these of an object's rights (kRead, kWrite, kExecute); whether it may
// change owner and rights, and remove it.
bool permitted(const Object& object, u32 rights);
bool may_change(const Object& object);

// The id that the next object of a kind is to have, or the next free one of its sequence; -1: any. Only for
// one object
// (/proc/sys/kernel/msg_next_id and its kin, Documentation/admin-guide/sysctl/kernel.rst).
struct NextIds {
  i32 messages = -1;
  i32 semaphores = -1;
  i32 segments = -1;
};
inline constinit NextIds g_next_ids;

// All objects of a kind.
class Table {
 public:
  static constexpr u32 kSlotBits = 15;

  explicit constexpr Table(i32& next_id) : next_id_(next_id) {}

  // Takes over the reference, gives the object an id, a key and the caller as its owner. The id, or -ENOSPC
  // (there are `most` already), -ENOMEM.
  i64 add(Ref<Object> object, i32 key, u32 flags, u32 most);
  // Null: there is none of this key.
  [[nodiscard]] Object* with_key(i32 key) const;
  // Null: there is none of this id.
  [[nodiscard]] Object* with_id(i32 id) const;
  // Null: nothing is in this slot.
  [[nodiscard]] Object* in_slot(i32 slot) const;
  // The object has no id from now on; the table's reference is given up.
  void remove(Object& object);
  [[nodiscard]] u32 used() const { return used_; }
  // The highest slot in use; 0 when there is none.
  [[nodiscard]] i32 last_slot() const;
  // In the order of their slots. `visit` may remove the one that it sees.
  template <class Visit>
  void for_each(Visit visit) const {
    for (u64 slot = 0; slot < slots(); ++slot) {
      if (Object* const object = at(slot); object != nullptr) visit(*object);
    }
  }

 private:
  [[nodiscard]] u64 slots() const { return room_; }
  [[nodiscard]] Object*& at(u64 slot) const { return objects_[slot]; }
  [[nodiscard]] bool make_room(u64 slots);
  [[nodiscard]] u64 free_slot(u64 from, u64 most) const;
  i64 put(Ref<Object> object, u64 slot, u32 sequence, i32 key, u32 flags);

  i32& next_id_;
  Object** objects_ = nullptr;
  u64 room_ = 0;
  u32 used_ = 0;
  u64 last_given_ = 0;
  bool any_given_ = false;
  u32 sequence_ = 0;
};

// shmget and its like. `fits`: 0, or why what is there already is not what is asked for; `create`: the id of
// a new one, or a negative errno.
i64 get(Table& table, i32 key, u32 flags, FunctionRef<i64(Object&)> fits, FunctionRef<i64()> create);

// What a *ctl call acts on: the object of that id, or for the commands that walk (`by_slot`) of that slot.
struct Found {
  Object* object;  // null: the error
  i64 error;
};
Found find(const Table& table, i32 id, bool by_slot);

// IPC_SET's part that all have. -EPERM, and nothing has changed.
i64 set_permissions(Object& object, const Permissions& wanted);

}  // namespace nopte::guest::ipc
