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

  [[nodiscard]] std::string_view name() const { return {name_text, name_bytes}; }
};

// 0, or a negative errno: -kENOENT (empty path, or a missing component that is not the last), -kENOTDIR,
// -kELOOP, -kENAMETOOLONG.
i64 walk_path(ProcessFiles& view, std::string_view path, FinalLink final, Inode* start, PathTarget& target);

}  // namespace nopte::guest::files
