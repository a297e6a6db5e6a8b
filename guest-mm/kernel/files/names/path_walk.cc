#include "guest-mm/kernel/files/names/path_walk.h"

#include <cstring>

#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/names/permission.h"

namespace nopte::guest::files {

namespace {

// What remains of the paths that symbolic links interrupted, each with the link that the current text belongs
// to. Plain storage: only what is used is touched.
class PendingPaths {
 public:
  ~PendingPaths() {
    if (holder_ != nullptr) {
      holder_->release();
    }
    while (depth_ > 0) {
      drop(entries_[--depth_].holder);
    }
  }

  // The text walked now belongs to `link` (one reference is taken over); `rest` comes after it.
  void enter(Inode* link, std::string_view rest) {
    if (rest.empty()) {
      drop(holder_);
    } else {
      entries_[depth_++] = {holder_, rest.data(), rest.size()};
    }
    holder_ = link;
  }
  // Back to what the last link interrupted; false when there is nothing.
  bool leave(std::string_view& rest) {
    if (depth_ == 0) {
      return false;
    }
    drop(holder_);
    const Entry& entry = entries_[--depth_];
    holder_ = entry.holder;
    rest = {entry.text, entry.bytes};
    return true;
  }
  [[nodiscard]] bool empty() const { return depth_ == 0; }

 private:
  struct Entry {
    Inode* holder;
    const char* text;
    u64 bytes;
  };
  static void drop(Inode* inode) {
    if (inode != nullptr) {
      inode->release();
    }
  }

  u32 depth_ = 0;
  Inode* holder_ = nullptr;
  Entry entries_[kSymlinkLimit];  // each holds a non-empty rest: at most one per link followed
};

std::string_view without_slashes(std::string_view text) {
  while (!text.empty() && text.front() == '/') {
    text.remove_prefix(1);
  }
  return text;
}

u64 component_bytes(std::string_view text) {
  u64 bytes = 0;
  while (bytes < text.size() && text[bytes] != '/') {
    ++bytes;
  }
  return bytes;
}

// 0, or why the rules forbid to follow the link; `straight`, where it jumps to, may be null.
i64 may_follow(const Inode& link, const Inode* straight, u32 resolve) {
  if ((resolve & kResolveNoSymlinks) != 0 || (straight != nullptr && (resolve & kResolveNoMagicLinks) != 0)) {
    return -kELOOP;
  }
  if (straight == nullptr) {
    return 0;
  }
  const bool crosses = straight->device_of_file_system() != link.device_of_file_system();
  return (crosses && (resolve & kResolveNoXdev) != 0) || (resolve & (kResolveBeneath | kResolveInRoot)) != 0
             ? -kEXDEV
             : 0;
}

// With the rules (openat2) or, as nearly always, without.
template <bool kRules>
i64 walk(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start,
         [[maybe_unused]] u32 resolve, PathTarget& target) {
  if (path.empty()) {
    return -kENOENT;
  }
  Inode* root = view.root.get();
  if constexpr (kRules) {
    if ((resolve & (kResolveBeneath | kResolveInRoot)) != 0) {
      root = start != nullptr ? start : view.cwd.get();
    }
    if ((resolve & kResolveBeneath) != 0 && path.front() == '/') {
      return -kEXDEV;
    }
  }
  // Whether a step from one to the other leaves the file system, and must not.
  const auto leaves = [&](const Inode& from, const Inode& to) {
    return kRules && (resolve & kResolveNoXdev) != 0 &&
           from.device_of_file_system() != to.device_of_file_system();
  };
  PendingPaths pending;
  u32 links = 0;
  Ref<Inode> here = path.front() == '/' ? Ref<Inode>(root) : start != nullptr ? Ref<Inode>(start) : view.cwd;
  target.last = PathTarget::Last::kRoot;
  std::string_view rest = path;
  for (;;) {
    rest = without_slashes(rest);
    if (rest.empty()) {
      if (pending.leave(rest)) {
        continue;
      }
      target.inode = std::move(here);
      target.directory = nullptr;
      return 0;
    }
    const u64 bytes = component_bytes(rest);
    const std::string_view name = rest.substr(0, bytes);
    const bool slash = bytes < rest.size();
    rest = without_slashes(rest.substr(bytes));
    const bool last = rest.empty() && pending.empty();
    target.trailing_slash = last ? slash : target.trailing_slash;

    Directory* const directory = here->as_directory();
    if (directory == nullptr) {
      return -kENOTDIR;
    }
    if (!may_search(*directory)) {
      return -kEACCES;
    }
    if (name == ".") {
      target.last = PathTarget::Last::kDot;
      continue;
    }
    if (name == "..") {
      target.last = PathTarget::Last::kDotDot;
      if (here.get() == root) {
        if (kRules && (resolve & kResolveBeneath) != 0) {
          return -kEXDEV;
        }
        continue;
      }
      Directory* const parent = directory->parent;
      if (parent == nullptr) {
        return -kENOENT;
      }
      if (leaves(*here, *parent)) {
        return -kEXDEV;
      }
      here = Ref<Inode>(parent);
      continue;
    }
    if (bytes > kNameBytes) {
      return -kENAMETOOLONG;
    }

    ErrnoOr<Ref<Inode>> child = directory->lookup(name);
    if (!child && (child.error() != kENOENT || !last)) {
      return -child.error();
    }
    if (child && g_mounts != nullptr) [[unlikely]] {
      *child = over_mounts(std::move(*child));
    }
    if (child && (*child)->is_symlink() &&
        (!last || final == FinalLink::kFollow || (slash && final == FinalLink::kStay))) {
      if (++links > kSymlinkLimit) {
        return -kELOOP;
      }
      if (const i64 error = (*child)->may_see_target(); error != 0) [[unlikely]] {
        return error;
      }
      Ref<Inode> straight = (*child)->follow();
      if constexpr (kRules) {
        if (const i64 error = may_follow(**child, straight.get(), resolve); error != 0) {
          return error;
        }
      }
      if (straight) {
        here = std::move(straight);
        target.last = PathTarget::Last::kRoot;
        continue;
      }
      const std::string_view text = (*child)->link_text();
      if (text.empty()) {
        return -kENOENT;
      }
      if (text.front() == '/') {
        if (kRules && ((resolve & kResolveBeneath) != 0 || leaves(*here, *root))) {
          return -kEXDEV;
        }
        here = Ref<Inode>(root);
      }
      // A slash after the link asks for a directory, as "." does.
      pending.enter(child->detach(), slash && last ? std::string_view(".") : rest);
      rest = text;
      continue;
    }
    if (child && leaves(*here, **child)) {
      return -kEXDEV;
    }
    if (!last) {
      here = std::move(*child);
      continue;
    }
    target.last = PathTarget::Last::kName;
    target.name_bytes = static_cast<u8>(bytes);
    std::memcpy(target.name_text, name.data(), bytes);
    target.name_text[bytes] = 0;
    if (child) {
      target.inode = std::move(*child);
    } else {
      target.inode = nullptr;
    }
    target.directory = std::move(here);
    return 0;
  }
}

}  // namespace

i64 walk_path(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start, PathTarget& target) {
  return walk<false>(view, path, final, start, 0, target);
}

i64 walk_restricted(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start, u32 resolve,
                    PathTarget& target) {
  return walk<true>(view, path, final, start, resolve, target);
}

ErrnoOr<Ref<Inode>> lookup(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start) {
  PathTarget target;
  if (const i64 error = walk_path(view, path, final, start, target); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  if (!target.inode) {
    return ErrnoFail(kENOENT);
  }
  if (target.slash_after_file()) {
    return ErrnoFail(kENOTDIR);
  }
  return std::move(target.inode);
}

}  // namespace nopte::guest::files
