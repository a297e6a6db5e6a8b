// From a path to an inode: components, "..", symbolic links (iteratively, at most 40), and the directory that
// holds the last component, for calls that create, remove or rename.
#pragma once

#include "guest-mm/kernel/files/files.h"

namespace nopte::guest::files {

// Where a walk ended.
struct PathTarget {
  enum class Last : u8 { kName, kDot, kDotDot, kRoot };

  Ref<Inode> inode;      // what the path leads to; null when only its last component is missing
  Ref<Inode> directory;  // where the last component is looked up; null unless last == kName
  Last last = Last::kRoot;
  bool trailing_slash = false;
  u8 name_bytes = 0;
  char name_text[kNameBytes + 1];

  // For those who need what is there, and not its name: -kENOTDIR.
  [[nodiscard]] bool slash_after_file() const { return trailing_slash && inode && !inode->is_directory(); }
  [[nodiscard]] std::string_view name() const { return {name_text, name_bytes}; }
};

// 0, or a negative errno: -kENOENT (empty path, or a missing component that is not the last), -kENOTDIR,
// -kELOOP, -kENAMETOOLONG.
i64 walk_path(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start, PathTarget& target);

// openat2's rules for a walk (uapi/linux/openat2.h).
inline constexpr u32 kResolveNoXdev = 1;        // -kEXDEV: into another file system
inline constexpr u32 kResolveNoMagicLinks = 2;  // -kELOOP
inline constexpr u32 kResolveNoSymlinks = 4;    // -kELOOP
inline constexpr u32 kResolveBeneath = 8;       // -kEXDEV: out of the start
inline constexpr u32 kResolveInRoot = 16;       // the start is the root; -kEXDEV: a link that jumps
inline constexpr u32 kResolveCached = 32;       // all is
// As walk_path, under these rules.
i64 walk_restricted(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start, u32 resolve,
                    PathTarget& target);

}  // namespace nopte::guest::files
