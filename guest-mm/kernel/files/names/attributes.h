// Extended attributes of an inode of tmpfs (fs/xattr.c, simple_xattr of Linux 6.12): names with values, in
// the order of their names.
#pragma once

#include <expected>
#include <string_view>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest::files {

class Attributes {
 public:
  static constexpr u32 kCreate = 1, kReplace = 2;  // XATTR_*

  Attributes() = default;
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes();

  struct Value {
    const char* bytes;
    u64 size;
  };
  // Errors: kENODATA.
  [[nodiscard]] std::expected<Value, Errno> get(std::string_view name) const;
  // -EEXIST, -ENODATA by the flags; -ENOSPC. Unchanged then.
  i64 set(std::string_view name, HeapBuffer value, u32 flags);
  // -ENODATA.
  i64 remove(std::string_view name);
  void for_each(FunctionRef<void(std::string_view name)> visit) const;

 private:
  struct Attribute {
    HeapBuffer name;
    HeapBuffer value;
    TmpfsCharge charge;
    Attribute* next = nullptr;
    [[nodiscard]] std::string_view text() const { return {name.data(), name.bytes()}; }
  };

  // Where it is, or would be.
  Attribute** find(std::string_view name);

  Attribute* first_ = nullptr;
};

}  // namespace nopte::guest::files
