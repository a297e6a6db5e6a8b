#include "guest-mm/kernel/files/proc.h"

#include "guest-mm/kernel/files/directory_file.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/proc_texts.h"
#include "pvops/base/panic.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kProcDevice = device_number(0, 3);
// Inode numbers: the root, its files, and a block of them for each process.
constexpr u64 kRootNumber = 1;
constexpr u64 kFileNumbers = 2;
constexpr u64 kProcessNumbers = 1 << 16;
constexpr u64 kPerProcess = 2048;
constexpr u64 kDescriptorNumbers = 64;

u64 process_number(i32 pid) { return kProcessNumbers + static_cast<u64>(pid) * kPerProcess; }

template <class Base>
class ProcInode : public Base {
 public:
  ProcInode(u32 inode_mode, u64 inode_number) : Base(inode_mode) { Base::number = inode_number; }
  [[nodiscard]] u64 device_of_file_system() const override { return kProcDevice; }
};

// An open file whose text was made when it was opened.
class TextFile final : public File {
 public:
  TextFile(Ref<Inode> inode, u32 flags, TextBuilder text)
      : File(std::move(inode), flags), text_(std::move(text)) {}
  [[nodiscard]] bool seekable() const override { return true; }
  i64 read(IoBuffer to, u64 bytes, u64 offset) override {
    const std::string_view text = text_.text();
    if (offset >= text.size() || bytes == 0) {
      return 0;
    }
    const IoBuffer::Copied copied = to.put(text.data() + offset, std::min(bytes, text.size() - offset));
    return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
  }

 private:
  TextBuilder text_;
};

ErrnoOr<Ref<File>> open_text(Inode& inode, u32 flags, TextBuilder text) {
  if ((flags & kOpenAccessMask) != kOpenReadOnly) {
    return ErrnoFail(kEACCES);
  }
  Ref<File> file =
      text.failed() ? nullptr : make_counted<TextFile>(Ref<Inode>(&inode), flags, std::move(text));
  if (!file) {
    return ErrnoFail(kENOMEM);
  }
  return file;
}

class ProcFile final : public ProcInode<Inode> {
 public:
  ProcFile(u64 inode_number, ProcText make) : ProcInode(kModeRegular | 0444, inode_number), make_(make) {}
  ErrnoOr<Ref<File>> open(u32 flags) override {
    TextBuilder text;
    make_(text);
    return open_text(*this, flags, std::move(text));
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

class ProcProcessFile final : public ProcInode<Inode> {
 public:
  ProcProcessFile(u64 inode_number, i32 pid, ProcProcessText make)
      : ProcInode(kModeRegular | 0444, inode_number), pid_(pid), make_(make) {}
  ErrnoOr<Ref<File>> open(u32 flags) override {
    Process* const process = find_process(pid_);
    if (process == nullptr) {
      return ErrnoFail(kENOENT);
    }
    TextBuilder text;
    make_(text, *process);
    return open_text(*this, flags, std::move(text));
  }

 private:
  i32 pid_;
  ProcProcessText make_;
};

// A link with a text, and for what has no path, straight to the inode.
class ProcLink final : public ProcInode<Inode> {
 public:
  static constexpr u64 kTextBytes = 256;

  ProcLink(u64 inode_number, Ref<Inode> target) : ProcInode(kModeSymlink | 0777, inode_number) {
    set_text(*target);
    target_ = std::move(target);
  }
  ProcLink(u64 inode_number, std::string_view text) : ProcInode(kModeSymlink | 0777, inode_number) {
    bytes_ = std::min<u64>(text.size(), kTextBytes);
    std::memcpy(text_, text.data(), bytes_);
  }
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kELOOP); }
  [[nodiscard]] std::string_view link_text() const override { return {text_, bytes_}; }
  Ref<Inode> follow() const override { return target_; }

 private:
  void set_text(const Inode& target) {
    const i64 bytes = path_of(target, text_, kTextBytes);
    if (bytes > 0) {
      bytes_ = static_cast<u64>(bytes);
      return;
    }
    TextBuilder text;
    if (target.type() == kModeFifo) {
      text.add("pipe:[", target.number, ']');
    } else {
      text.add("/#", target.number, " (deleted)");
    }
    bytes_ = text.size();
    std::memcpy(text_, text.text().data(), bytes_);
  }

  Ref<Inode> target_;
  u64 bytes_ = 0;
  char text_[kTextBytes];
};

template <class T, class... Args>
ErrnoOr<Ref<Inode>> made(Args&&... args) {
  Ref<Inode> inode = make_counted<T>(std::forward<Args>(args)...);
  if (!inode) {
    return ErrnoFail(kENOMEM);
  }
  return inode;
}

class ProcDirectory : public ProcInode<Directory> {
 public:
  // `above` is held: a path may lead back up through it.
  ProcDirectory(u64 inode_number, Ref<Inode> above, std::string_view name)
      : ProcInode(kModeDirectory | 0555, inode_number), above_(std::move(above)), name_bytes_(name.size()) {
    links = 2;
    parent = above_ ? above_->as_directory() : nullptr;
    NOPTE_ASSERT(name.size() <= sizeof name_);
    std::memcpy(name_, name.data(), name.size());
  }
  ErrnoOr<Ref<File>> open(u32 flags) override { return open_directory(*this, flags); }
  bool entry_name(const Inode& inode, std::string_view& name) const override {
    // Only directories of this kind have one as their parent.
    const auto& child = static_cast<const ProcDirectory&>(inode);
    name = {child.name_, child.name_bytes_};
    return true;
  }

 private:
  Ref<Inode> above_;
  u64 name_bytes_;
  char name_[12];
};

// /proc/<pid>/fd
class DescriptorDirectory final : public ProcDirectory {
 public:
  DescriptorDirectory(i32 pid, Ref<Inode> above)
      : ProcDirectory(process_number(pid) + kDescriptorNumbers - 1, std::move(above), "fd"), pid_(pid) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    const Process* const process = find_process(pid_);
    const std::optional<u32> descriptor = parse_decimal<u32>(name);
    File* const file = process == nullptr || process->leader().files == nullptr || !descriptor
                           ? nullptr
                           : process->leader().files->table.get(*descriptor);
    if (file == nullptr) {
      return ErrnoFail(kENOENT);
    }
    return made<ProcLink>(number + 1 + *descriptor, Ref<Inode>(file->inode()));
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    const Process* const process = find_process(pid_);
    if (process == nullptr || process->leader().files == nullptr) {
      return;
    }
    const FileTable& table = process->leader().files->table;
    for (u64 descriptor = cookie - 2; descriptor < table.bound(); ++descriptor) {
      if (table.get(descriptor) != nullptr &&
          !visit(Digits(descriptor).text(), number + 1 + descriptor, kModeSymlink, descriptor + 3)) {
        return;
      }
    }
  }

 private:
  i32 pid_;
};

struct ProcessEntry {
  std::string_view name;
  ProcProcessText make;
};
constexpr ProcessEntry kProcessFiles[] = {
    {"maps", proc_process_maps},
    {"stat", proc_process_stat},
    {"statm", proc_process_statm},
    {"status", proc_process_status},
    {"comm", proc_process_comm},
    {"cmdline", proc_process_cmdline},
    {"mounts", [](TextBuilder& out, Process&) { proc_mounts(out); }},
    {"smaps", proc_process_smaps},
};
enum class ProcessLink : u8 { kExe, kCwd, kRoot };
constexpr std::string_view kProcessLinks[] = {"exe", "cwd", "root"};

// /proc/<pid>
class ProcessDirectory final : public ProcDirectory {
 public:
  ProcessDirectory(i32 pid, std::string_view name, Ref<Inode> above)
      : ProcDirectory(process_number(pid), std::move(above), name), pid_(pid) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    Process* const process = find_process(pid_);
    if (process == nullptr) {
      return ErrnoFail(kENOENT);
    }
    u64 index = number + 1;
    for (const ProcessEntry& entry : kProcessFiles) {
      if (entry.name == name) {
        return made<ProcProcessFile>(index, pid_, entry.make);
      }
      ++index;
    }
    for (u8 link = 0; link < std::size(kProcessLinks); ++link, ++index) {
      if (kProcessLinks[link] == name) {
        Ref<Inode> target = link_target(*process, ProcessLink{link});
        return target ? made<ProcLink>(index, std::move(target)) : ErrnoFail(kENOENT);
      }
    }
    if (name == "fd") {
      return made<DescriptorDirectory>(pid_, Ref<Inode>(this));
    }
    return ErrnoFail(kENOENT);
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    constexpr u64 kFiles = std::size(kProcessFiles);
    constexpr u64 kAll = kFiles + std::size(kProcessLinks);
    for (u64 index = cookie - 2; index <= kAll; ++index) {
      const bool listed =
          index == kAll ? visit("fd", number + kDescriptorNumbers - 1, kModeDirectory, index + 3)
          : index < kFiles
              ? visit(kProcessFiles[index].name, number + 1 + index, kModeRegular, index + 3)
              : visit(kProcessLinks[index - kFiles], number + 1 + index, kModeSymlink, index + 3);
      if (!listed) {
        return;
      }
    }
  }

 private:
  static Ref<Inode> link_target(const Process& process, ProcessLink link) {
    if (link == ProcessLink::kExe) {
      return Ref<Inode>(process.executable);
    }
    const ProcessFiles* const directories = process.leader().directories;
    if (directories == nullptr) {
      return nullptr;
    }
    return link == ProcessLink::kCwd ? directories->cwd : directories->root;
  }

  i32 pid_;
};

struct SystemEntry {
  std::string_view name;
  ProcText make;
};
constexpr SystemEntry kSystemFiles[] = {
    {"meminfo", proc_meminfo}, {"uptime", proc_uptime},           {"loadavg", proc_loadavg},
    {"mounts", proc_mounts},   {"version", proc_version},         {"cpuinfo", proc_cpuinfo},
    {"stat", proc_stat},       {"filesystems", proc_filesystems},
};

// /proc
class ProcRoot final : public ProcDirectory {
 public:
  ProcRoot() : ProcDirectory(kRootNumber, nullptr, {}) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    if (const std::optional<u32> pid = parse_decimal<u32>(name)) {
      if (find_process(static_cast<i32>(*pid)) == nullptr) {
        return ErrnoFail(kENOENT);
      }
      return made<ProcessDirectory>(static_cast<i32>(*pid), name, Ref<Inode>(this));
    }
    u64 index = kFileNumbers;
    for (const SystemEntry& entry : kSystemFiles) {
      if (entry.name == name) {
        return made<ProcFile>(index, entry.make);
      }
      ++index;
    }
    if (name == "self") {
      return made<ProcLink>(index, Digits(current_process().pid).text());
    }
    // Not listed: nothing that reads all of /proc comes across it.
    if (name == "sysrq-trigger") {
      return made<SysrqTrigger>(index + 1);
    }
    if (name == "nopte") {
      return made<ProcFile>(index + 2, proc_nopte);
    }
    return ErrnoFail(kENOENT);
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    constexpr u64 kFiles = std::size(kSystemFiles);
    u64 index = cookie - 2;
    for (; index < kFiles; ++index) {
      if (!visit(kSystemFiles[index].name, kFileNumbers + index, kModeRegular, index + 3)) {
        return;
      }
    }
    if (index == kFiles) {
      if (!visit("self", kFileNumbers + index, kModeSymlink, index + 3)) {
        return;
      }
      ++index;
    }
    // Processes in the order of their ids, so that those that come and go between two calls do not shift it.
    for (i32 after = static_cast<i32>(index - kFiles - 1);;) {
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
                 kFiles + 1 + static_cast<u64>(next) + 2)) {
        return;
      }
      after = next;
    }
  }
};

}  // namespace

Ref<Inode> make_proc_root() { return make_counted<ProcRoot>(); }

}  // namespace nopte::guest::files
