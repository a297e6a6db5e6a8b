#include "guest-mm/kernel/files/tmpfs/tmpfs_directory.h"

#include <cstring>

#include "guest-mm/kernel/files/names/directory_file.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest::files {

namespace {
// A name with its inode, generously.
constexpr u64 kChargeForName = 1024;
}  // namespace

ErrnoOr<Ref<File>> TmpfsDirectory::open(u32 flags) { return open_directory(*this, flags); }

TmpfsDirectory::Key TmpfsDirectory::key(std::string_view name) {
  u32 hash = 0x811c9dc5;  // FNV-1a
  for (const char c : name) {
    hash = (hash ^ static_cast<u8>(c)) * 0x01000193;
  }
  return {hash, name};
}

TmpfsDirectory::Entry* TmpfsDirectory::make_entry(std::string_view name, Ref<Inode> inode,
                                                  TmpfsCharge charge) {
  void* memory = heap_alloc(sizeof(Entry) + name.size());
  if (memory == nullptr) {
    return nullptr;
  }
  auto* entry = new (memory) Entry;
  entry->hash = key(name).hash;
  entry->bytes = static_cast<u32>(name.size());
  entry->inode = std::move(inode);
  entry->charge = std::move(charge);
  std::memcpy(static_cast<void*>(entry + 1), name.data(), name.size());
  return entry;
}

void TmpfsDirectory::free_entry(Entry* entry) {
  const u64 bytes = sizeof(Entry) + entry->bytes;
  entry->~Entry();
  heap_free(entry, bytes);
}

void TmpfsDirectory::insert(Entry& entry) {
  entry.cookie = next_cookie_++;
  by_name_.insert(entry);
  ++entries_;
  by_cookie_.insert(by_cookie_.end(), entry);
  if (entry.inode->is_directory()) {
    ++links;
  }
  entry.inode->parent = this;
  touch_modified();
}

void TmpfsDirectory::erase(Entry& entry) {
  by_name_.erase(by_name_.iterator_to(entry));
  by_cookie_.erase(by_cookie_.iterator_to(entry));
  --entries_;
  if (entry.inode->is_directory()) {
    --links;
  }
  if (entry.inode->parent == this) {
    entry.inode->parent = nullptr;
  }
  touch_modified();
  free_entry(&entry);
}

ErrnoOr<Ref<Inode>> TmpfsDirectory::lookup(std::string_view name) {
  const auto found = by_name_.find(key(name));
  if (found == by_name_.end()) {
    return ErrnoFail(kENOENT);
  }
  return found->inode;
}

void TmpfsDirectory::iterate(u64 cookie, DirectoryVisitor visit) {
  for (auto at = by_cookie_.upper_bound(cookie); at != by_cookie_.end(); ++at) {
    if (!visit(at->name(), at->inode->number, at->inode->mode, at->cookie)) {
      return;
    }
  }
}

i64 TmpfsDirectory::link(std::string_view name, Ref<Inode> inode) {
  Inode& linked = *inode;
  TmpfsCharge charge;
  if (!charge.raise(kChargeForName)) {
    return -kENOSPC;
  }
  Entry* entry = make_entry(name, std::move(inode), std::move(charge));
  if (entry == nullptr) {
    return -kENOSPC;
  }
  const bool is_new = linked.is_directory() || (linked.links == 0 && !linked.nameless);
  if (!linked.is_directory()) {
    ++linked.links;
  }
  insert(*entry);
  if (!is_new) {
    linked.changed_ns = modified_ns;
  }
  return 0;
}

i64 TmpfsDirectory::unlink(std::string_view name) {
  const auto found = by_name_.find(key(name));
  if (found == by_name_.end()) {
    return -kENOENT;
  }
  Inode& inode = *found->inode;
  inode.links = inode.is_directory() ? 0 : inode.links - 1;
  erase(*found);
  return 0;
}

i64 TmpfsDirectory::rename(std::string_view name, Directory& to, std::string_view new_name) {
  if (!to.is_tmpfs()) {
    return -kEXDEV;
  }
  auto& target = static_cast<TmpfsDirectory&>(to);
  const auto found = by_name_.find(key(name));
  if (found == by_name_.end()) {
    return -kENOENT;
  }
  Entry& entry = *found;
  const auto old = target.by_name_.find(key(new_name));
  if (old != target.by_name_.end() && old->inode == entry.inode) {
    return 0;  // two names of one file: nothing happens
  }
  Entry* moved = make_entry(new_name, entry.inode, {});
  if (moved == nullptr) {
    return -kENOSPC;
  }
  moved->charge = std::move(entry.charge);
  if (old != target.by_name_.end()) {
    target.unlink(new_name);
  }
  erase(entry);
  target.insert(*moved);
  moved->inode->changed_ns = modified_ns;
  return 0;
}

i64 TmpfsDirectory::exchange(std::string_view name, Directory& to, std::string_view new_name) {
  if (!to.is_tmpfs()) {
    return -kEXDEV;
  }
  auto& target = static_cast<TmpfsDirectory&>(to);
  const auto one = by_name_.find(key(name));
  const auto other = target.by_name_.find(key(new_name));
  if (one == by_name_.end() || other == target.by_name_.end()) {
    return -kENOENT;
  }
  links -= one->inode->is_directory() ? 1 : 0;
  target.links -= other->inode->is_directory() ? 1 : 0;
  std::swap(one->inode, other->inode);
  links += one->inode->is_directory() ? 1 : 0;
  target.links += other->inode->is_directory() ? 1 : 0;
  one->inode->parent = this;
  other->inode->parent = &target;
  touch_modified();
  target.touch_modified();
  one->inode->changed_ns = other->inode->changed_ns = modified_ns;
  return 0;
}

ErrnoOr<Ref<Inode>> TmpfsDirectory::create(u32 inode_mode, u64 device_node, std::string_view link_target) {
  ErrnoOr<Ref<Inode>> made = tmpfs_create(inode_mode, device_node, link_target);
  if (made && instance) [[unlikely]] {
    (*made)->instance = instance;
  }
  return made;
}

bool TmpfsDirectory::entry_name(const Inode& inode, std::string_view& name) const {
  for (const Entry& entry : by_name_) {
    if (entry.inode.get() == &inode) {
      name = entry.name();
      return true;
    }
  }
  return false;
}

TmpfsDirectory::~TmpfsDirectory() {
  // How deep a tree is, programs decide: directories that nobody else holds wait in a chain, by `parent`.
  TmpfsDirectory* doomed = nullptr;
  empty_into(doomed);
  while (doomed != nullptr) {
    TmpfsDirectory& next = *std::exchange(doomed, static_cast<TmpfsDirectory*>(doomed->parent));
    next.parent = nullptr;
    next.empty_into(doomed);
    next.release();
  }
}

void TmpfsDirectory::empty_into(TmpfsDirectory*& doomed) {
  while (!by_name_.empty()) {
    Ref<Inode> inode = by_name_.begin()->inode;
    erase(*by_name_.begin());
    Directory* const directory = inode->as_directory();
    if (directory != nullptr && directory->is_tmpfs() && !inode->shared()) {
      directory->parent = doomed;
      doomed = static_cast<TmpfsDirectory*>(directory);
      (void)inode.detach();
    }
  }
}

}  // namespace nopte::guest::files
