// A tmpfs directory: its entries by name, for lookups, and by cookie (the order of creation), for readdir.
// Boost.Intrusive trees: no allocation beyond the entry itself.
#pragma once

#include <boost/intrusive/set.hpp>

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"

namespace nopte::guest::files {

class TmpfsDirectory final : public Directory {
 public:
  explicit TmpfsDirectory(u32 permissions) : Directory(kModeDirectory | permissions) { links = 2; }
  ~TmpfsDirectory() override;

  ErrnoOr<Ref<File>> open(u32 flags) override;
  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override;
  void iterate(u64 cookie, DirectoryVisitor visit) override;
  i64 link(std::string_view name, Ref<Inode> inode) override;
  i64 unlink(std::string_view name) override;
  i64 rename(std::string_view name, Directory& to, std::string_view new_name) override;
  i64 exchange(std::string_view name, Directory& to, std::string_view new_name) override;
  ErrnoOr<Ref<Inode>> create(u32 inode_mode, u64 device_node, std::string_view link_target) override;
  [[nodiscard]] bool empty() const override { return by_name_.empty(); }
  bool entry_name(const Inode& inode, std::string_view& name) const override;
  [[nodiscard]] bool is_tmpfs() const override { return true; }
  [[nodiscard]] u64 size_bytes() const override { return entries_ * 20 + 40; }

 private:
  // Takes all out; directories that nobody else holds join the chain and are the caller's to release.
  void empty_into(TmpfsDirectory*& doomed);

  struct Entry {
    boost::intrusive::set_member_hook<> name_hook;
    boost::intrusive::set_member_hook<> cookie_hook;
    u64 cookie = 0;
    u32 hash = 0;
    u32 bytes = 0;
    Ref<Inode> inode;
    TmpfsCharge charge;
    [[nodiscard]] std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), bytes}; }
  };
  struct Key {
    u32 hash;
    std::string_view name;
  };
  struct NameOrder {
    bool operator()(const Key& a, const Key& b) const {
      return a.hash != b.hash ? a.hash < b.hash : a.name < b.name;
    }
  };
  struct NameOf {
    using type = Key;
    Key operator()(const Entry& entry) const { return {entry.hash, entry.name()}; }
  };
  struct CookieOf {
    using type = u64;
    u64 operator()(const Entry& entry) const { return entry.cookie; }
  };
  using NameSet = boost::intrusive::set<
      Entry, boost::intrusive::member_hook<Entry, boost::intrusive::set_member_hook<>, &Entry::name_hook>,
      boost::intrusive::key_of_value<NameOf>, boost::intrusive::compare<NameOrder>>;
  using CookieSet = boost::intrusive::set<
      Entry, boost::intrusive::member_hook<Entry, boost::intrusive::set_member_hook<>, &Entry::cookie_hook>,
      boost::intrusive::key_of_value<CookieOf>>;

  static Key key(std::string_view name);
  [[nodiscard]] static Entry* make_entry(std::string_view name, Ref<Inode> inode, TmpfsCharge charge);
  static void free_entry(Entry* entry);
  void insert(Entry& entry);
  void erase(Entry& entry);  // and frees it

  NameSet by_name_;
  CookieSet by_cookie_;
  u64 entries_ = 0;
  u64 next_cookie_ = 3;  // 1 and 2 are "." and ".."
};

}  // namespace nopte::guest::files
