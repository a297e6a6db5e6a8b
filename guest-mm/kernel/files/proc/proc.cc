#include "guest-mm/kernel/files/proc/proc.h"

#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

namespace {

class ProcFile final : public TextInode {
 public:
  ProcFile(u64 inode_number, ProcText make) : TextInode(kModeRegular | 0444, inode_number), make_(make) {}
  ErrnoOr<Ref<File>> open(u32 flags) override { return open_text(*this, flags); }
  i64 tell(TextBuilder& text, u64) override {
    make_(text);
    return 0;
  }

 private:
  ProcText make_;
};

// /proc/sysrq-trigger: writing "c" ends the kernel as one of its own bugs would, to see what that prints.
class SysrqFile final : public File {
 public:
  using File::File;
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    char command = 0;
    if (const IoBuffer::Copied copied = from.get(&command, bytes != 0); copied.status != Status::kOk) {
      return to_errno(copied.status);
    }
    if (command == 'c') {
      NOPTE_PANIC("a crash was asked for by /proc/sysrq-trigger");
    }
    return static_cast<i64>(bytes);
  }
};

class SysrqTrigger final : public ProcInode<Inode> {
 public:
  explicit SysrqTrigger(u64 inode_number) : ProcInode(kModeRegular | 0200, inode_number) {}
  i64 truncate(u64) override { return 0; }  // a shell's redirection asks for it
  ErrnoOr<Ref<File>> open(u32 flags) override {
    Ref<File> file = make_counted<SysrqFile>(Ref<Inode>(this), flags);
    if (!file) {
      return ErrnoFail(kENOMEM);
    }
    return file;
  }
};

struct SystemEntry {
  std::string_view name;
  ProcText make;
};
constexpr const SettingTree* kTrees[] = {&kProcSys, &kProcSysVIpc, &kProcNet};
constexpr std::string_view kLinks[] = {"self", "thread-self"};
constexpr SystemEntry kSystemFiles[] = {
    {"meminfo", proc_meminfo}, {"uptime", proc_uptime},
    {"loadavg", proc_loadavg}, {"mounts", proc_mounts},
    {"version", proc_version}, {"cpuinfo", proc_cpuinfo},
    {"stat", proc_stat},       {"filesystems", proc_filesystems},
    {"locks", proc_locks},     {"cmdline", proc_command_line},
};

// /proc
class ProcRoot final : public ProcDirectory {
 public:
  ProcRoot() : ProcDirectory(kRootNumber, nullptr, {}) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    if (parse_decimal<u32>(name)) {
      return make_process_directory(name, Ref<Inode>(this));
    }
    u64 index = kFileNumbers;
    for (const SystemEntry& entry : kSystemFiles) {
      if (entry.name == name) {
        return made<ProcFile>(index, entry.make);
      }
      ++index;
    }
    if (name == kLinks[0]) {
      return made<ProcLink>(index, Digits(current_process().pid).text());
    }
    if (name == kLinks[1]) {
      TextBuilder text;
      text.add(current_process().pid, "/task/", current().tid);
      return text.failed() ? ErrnoFail(kENOMEM) : made<ProcLink>(index + 1, text.text());
    }
    for (const SettingTree* tree : kTrees) {
      if (tree->name == name) {
        return make_setting_root(*tree, Ref<Inode>(this));
      }
    }
    // Not listed: nothing that reads all of /proc comes across it.
    if (name == "sysrq-trigger") {
      return made<SysrqTrigger>(index + 2);
    }
    if (name == "nopte") {
      return made<ProcFile>(index + 3, proc_nopte);
    }
    return ErrnoFail(kENOENT);
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    constexpr u64 kFiles = std::size(kSystemFiles);
    constexpr u64 kTreesFrom = kFiles + std::size(kLinks);
    constexpr u64 kFixed = kTreesFrom + std::size(kTrees);
    u64 index = cookie - 2;
    for (; index < kFiles; ++index) {
      if (!visit(kSystemFiles[index].name, kFileNumbers + index, kModeRegular, index + 3)) {
        return;
      }
    }
    for (; index < kTreesFrom; ++index) {
      if (!visit(kLinks[index - kFiles], kFileNumbers + index, kModeSymlink, index + 3)) {
        return;
      }
    }
    for (; index < kFixed; ++index) {
      const SettingTree& tree = *kTrees[index - kTreesFrom];
      if (!visit(tree.name, tree.first_number + tree.rows.size(), kModeDirectory, index + 3)) {
        return;
      }
    }
    // Processes in the order of their ids, so that those that come and go between two calls do not shift it.
    for (i32 after = static_cast<i32>(index - kFixed);;) {
      i32 next = 0;
      for_each_process([&](Process& process) {
        if (process.pid > after && (next == 0 || process.pid < next)) {
          next = process.pid;
        }
      });
      if (next == 0) {
        return;
      }
      if (!visit(Digits(next).text(), process_number(next), kModeDirectory,
                 kFixed + static_cast<u64>(next) + 2)) {
        return;
      }
      after = next;
    }
  }
};

}  // namespace

ErrnoOr<Ref<File>> open_text(TextInode& inode, u32 flags, u64 of) {
  if ((flags & kOpenAccessMask) != kOpenReadOnly) {
    return ErrnoFail(kEACCES);
  }
  Ref<File> file = make_counted<TextFile>(Ref<Inode>(&inode), flags, inode, of);
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

i64 ProcLink::may_see_target() const {
  const Thread* const thread = tid_ != 0 ? find_thread(tid_) : nullptr;
  return tid_ == 0 || (thread != nullptr && may_inspect(*thread)) ? 0 : -kEACCES;
}

// Seen from the reader's root; what is not below it is seen from the system's (d_path).
bool ProcLink::set_path(const Inode& target) {
  constexpr std::string_view kOutside = "(unreachable)";
  const Inode* const root = current_directories().root.get();
  i64 bytes = path_of(target, text_, kTextBytes, root);
  if (bytes == -kERANGE) {
    long_ = HeapBuffer(kPathBytes + kOutside.size());
    bytes = long_ ? path_of(target, long_.data(), long_.bytes() - 1, root) : bytes;
  }
  if (bytes < 0) {
    return bytes == -kERANGE;
  }
  char* const text = long_ ? long_.data() : text_;
  bytes_ = static_cast<u64>(bytes);
  if (std::string_view(text, bytes_).starts_with(kOutside)) {
    bytes_ -= kOutside.size();
    std::memmove(text, text + kOutside.size(), bytes_);
  }
  bytes_ = bytes_ < kPathBytes ? bytes_ : 0;
  return true;
}

void ProcLink::set_text(const Inode& target) {
  if (set_path(target)) {
    return;
  }
  TextBuilder text;
  if (const AnonymousInode* const anonymous = target.as_anonymous()) {
    text.add("anon_inode:[", anonymous->name(), ']');
  } else if (target.type() == kModeFifo) {
    text.add("pipe:[", target.number, ']');
  } else if (target.type() == kModeSocket) {
    text.add("socket:[", target.number, ']');
  } else if (!target.given_name().empty()) {
    text.add(target.given_name());
  } else {
    text.add("/#", target.number, " (deleted)");
  }
  bytes_ = text.size();
  std::memcpy(text_, text.text().data(), bytes_);
}

Ref<Inode> make_proc_root() { return make_counted<ProcRoot>(); }

}  // namespace nopte::guest::files
