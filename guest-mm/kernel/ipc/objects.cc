#include "guest-mm/kernel/ipc/objects.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest::ipc {

namespace {

constexpr u64 kFewestSlots = 64;  // that are given before one is given again
constexpr u32 kMostSequence = (u32{1} << 31 >> Table::kSlotBits) - 1;
constexpr u32 kPermissionBits = 0777;
constexpr u64 kSlotMask = (u64{1} << Table::kSlotBits) - 1;

}  // namespace

i64 now_seconds() { return static_cast<i64>(wall_ns() / kNsPerSecond); }

bool permitted(const Object& object, u32 rights) {
  const Identity& who = identity();
  const Permissions& has = object.permissions;
  const auto in = [&](u32 group) { return who.group.effective == group || who.in_group(group); };
  const bool owner = who.user.effective == has.uid || who.user.effective == has.creator_uid;
  const u32 granted = owner ? has.mode >> 6 : in(has.gid) || in(has.creator_gid) ? has.mode >> 3 : has.mode;
  return (rights & ~granted) == 0 || who.has(Capability::kIpcOwner);
}

bool may_change(const Object& object) {
  const u32 user = identity().user.effective;
  return user == object.permissions.uid || user == object.permissions.creator_uid ||
         capable(Capability::kSysAdmin);
}

bool Table::make_room(u64 wanted) {
  if (wanted <= slots()) return true;
  const u64 more = std::max(wanted, slots() * 2);
  auto* const bigger = static_cast<Object**>(heap_alloc(more * sizeof(Object*)));
  if (bigger == nullptr) return false;
  std::fill_n(bigger, more, nullptr);
  if (objects_ != nullptr) {
    std::copy_n(objects_, room_, bigger);
    heap_free(objects_, room_ * sizeof(Object*));
  }
  objects_ = bigger;
  room_ = more;
  return true;
}

u64 Table::free_slot(u64 from, u64 most) const {
  for (u64 tried = 0; tried < most; ++tried) {
    const u64 slot = (from + tried) % most;
    if (slot >= slots() || at(slot) == nullptr) return slot;
  }
  return most;
}

i64 Table::add(Ref<Object> object, i32 key, u32 flags, u32 most) {
  if (used_ >= most) return -kENOSPC;
  if (const i32 wanted = std::exchange(next_id_, -1); wanted >= 0) {
    u64 slot = static_cast<u64>(wanted) & kSlotMask;
    while (slot < slots() && at(slot) != nullptr) ++slot;
    if (slot > kSlotMask) return -kENOSPC;
    return put(std::move(object), slot, static_cast<u32>(wanted) >> kSlotBits, key, flags);
  }
  const u64 bound = std::min<u64>(std::max<u64>(used_ * u64{3} / 2, kFewestSlots), most);
  const u64 slot = free_slot(any_given_ ? last_given_ + 1 : 0, bound);
  if (slot == bound) return -kENOSPC;
  if (!make_room(slot + 1)) return -kENOMEM;
  if (any_given_ && slot <= last_given_) sequence_ = (sequence_ + 1) % kMostSequence;
  last_given_ = slot;
  any_given_ = true;
  return put(std::move(object), slot, sequence_, key, flags);
}

i64 Table::put(Ref<Object> object, u64 slot, u32 sequence, i32 key, u32 flags) {
  if (!make_room(slot + 1)) return -kENOMEM;
  const u32 user = identity().user.effective;
  const u32 group = identity().group.effective;
  Object& added = *object;
  added.id_ = static_cast<i32>(sequence << kSlotBits | slot);
  added.permissions = {.key = key,
                       .uid = user,
                       .gid = group,
                       .creator_uid = user,
                       .creator_gid = group,
                       .mode = flags & kPermissionBits,
                       .sequence = static_cast<u16>(sequence)};
  at(slot) = object.detach();
  ++used_;
  return added.id_;
}

Object* Table::with_key(i32 key) const {
  for (u64 slot = 0; slot < slots(); ++slot) {
    if (at(slot) != nullptr && at(slot)->permissions.key == key) return at(slot);
  }
  return nullptr;
}

Object* Table::with_id(i32 id) const {
  Object* const object = in_slot(id & static_cast<i32>(kSlotMask));
  return id >= 0 && object != nullptr && object->id_ == id ? object : nullptr;
}

Object* Table::in_slot(i32 slot) const {
  return slot >= 0 && static_cast<u64>(slot) < slots() ? at(static_cast<u64>(slot)) : nullptr;
}

void Table::remove(Object& object) {
  at(static_cast<u64>(object.id_) & kSlotMask) = nullptr;
  object.id_ = -1;
  --used_;
  object.release();
}

i32 Table::last_slot() const {
  for (u64 slot = slots(); slot > 0; --slot) {
    if (at(slot - 1) != nullptr) return static_cast<i32>(slot - 1);
  }
  return 0;
}

i64 get(Table& table, i32 key, u32 flags, FunctionRef<i64(Object&)> fits, FunctionRef<i64()> create) {
  if (key == kPrivate) return create();
  Object* const there = table.with_key(key);
  if (there == nullptr) return (flags & kCreate) != 0 ? create() : -kENOENT;
  if ((flags & (kCreate | kExclusive)) == (kCreate | kExclusive)) return -kEEXIST;
  if (const i64 error = fits(*there); error != 0) return error;
  const u32 rights = (flags >> 6 | flags >> 3 | flags) & 7;
  return permitted(*there, rights) ? there->id() : -kEACCES;
}

Found find(const Table& table, i32 id, bool by_slot) {
  Object* const object = by_slot ? table.in_slot(id & ((1 << Table::kSlotBits) - 1)) : table.with_id(id);
  return {.object = object, .error = object == nullptr ? -kEINVAL : 0};
}

i64 set_permissions(Object& object, const Permissions& wanted) {
  if (!may_change(object)) return -kEPERM;
  if (wanted.uid == ~u32{0} || wanted.gid == ~u32{0}) return -kEINVAL;
  object.permissions.uid = wanted.uid;
  object.permissions.gid = wanted.gid;
  object.permissions.mode = (object.permissions.mode & ~kPermissionBits) | (wanted.mode & kPermissionBits);
  return 0;
}

}  // namespace nopte::guest::ipc
