// Files that say and change one thing: /proc/sys, /proc/sysvipc, /sys. A tree of them is a table of rows with
// paths; the directories are what the paths name. Rows of one directory need not stand together.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"

namespace nopte::guest::files {

struct Setting {
  std::string_view path;  // below the root of the tree
  ProcText read;          // made at every read
  // What becomes of what is written, at most a page: 0 or a negative errno. Null: nobody may.
  i64 (*write)(std::string_view text) = nullptr;
};

// What is written may be several numbers with blanks between them; those that are missing stay as they are. A
// number that is none, or not within its bounds, is -EINVAL, and those before it have changed
// (kernel/sysctl.c, proc_dointvec_minmax).
struct NumberReader {
  std::string_view rest;

  // Whether there is another word.
  bool more();
  // The next one. Errors: kInvalid.
  Result<i64> next_signed();
  Result<u64> next_unsigned();
};

// A row of /proc/sys that is a number, or an array of such, of any integer type.
template <auto& value, auto least = 0, auto most = std::numeric_limits<i32>::max()>
struct NumberRow {
  using All = std::remove_reference_t<decltype(value)>;
  using T = std::remove_all_extents_t<All>;

  static auto numbers() {
    if constexpr (std::is_array_v<All>) {
      return std::span<T>(value);
    } else {
      return std::span<T>(&value, 1);
    }
  }
  static void read(TextBuilder& out) {
    bool first = true;
    for (const T n : numbers()) {
      if (!first) out.add('\t');
      first = false;
      out.add(n);
    }
    out.add('\n');
  }
  static i64 write(std::string_view text) {
    NumberReader reader{text};
    for (T& n : numbers()) {
      if (!reader.more()) break;
      if constexpr (std::is_signed_v<T>) {
        const Result<i64> wanted = reader.next_signed();
        if (!wanted || *wanted < i64{least} || i64{most} < *wanted) return -kEINVAL;
        n = static_cast<T>(*wanted);
      } else {
        const Result<u64> wanted = reader.next_unsigned();
        if (!wanted || *wanted < u64{least} || u64{most} < *wanted) return -kEINVAL;
        n = static_cast<T>(*wanted);
      }
    }
    return 0;
  }
};
template <auto& value, auto least = 0, auto most = std::numeric_limits<i32>::max()>
constexpr Setting number(std::string_view path) {
  using Row = NumberRow<value, least, most>;
  return {.path = path, .read = Row::read, .write = Row::write};
}

// A row that is a line of text, without its end; what is too long is cut off (proc_dostring).
template <auto& value>
constexpr Setting line(std::string_view path) {
  return {.path = path,
          .read = [](TextBuilder& out) { out.add(static_cast<const char*>(value), '\n'); },
          .write = [](std::string_view text) -> i64 {
            constexpr u64 kMost = sizeof(value) - 1;
            const u64 bytes =
                text.substr(0, text.find_first_of(std::string_view("\n\0", 2))).copy(value, kMost);
            std::fill(value + bytes, value + sizeof(value), 0);
            return 0;
          }};
}

// A row that says always the same, and cannot be changed.
#define NOPTE_FIXED(path, text)                        \
  Setting {                                            \
    path, [](TextBuilder& out) { out.add(text "\n"); } \
  }

// A tree: its root is `name` in the directory `above`. Its inodes have numbers from `first_number` on, and
// belong to the file system `device`.
struct SettingTree {
  std::string_view name;
  std::span<const Setting> rows;
  u64 first_number;
  u64 device;
};

// Errors: kENOMEM.
ErrnoOr<Ref<Inode>> make_setting_root(const SettingTree& tree, Ref<Inode> above);

// The trees that there are: proc_sys.cc, proc_sysvipc.cc, net/proc_net.cc, sys.cc.
extern const SettingTree kProcSys;
extern const SettingTree kProcSysVIpc;
extern const SettingTree kProcNet;
extern const SettingTree kSys;

}  // namespace nopte::guest::files
