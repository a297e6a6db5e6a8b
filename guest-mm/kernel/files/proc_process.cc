// /proc/<pid> and /proc/<pid>/task/<tid>: directories of a process and of a thread.
#include "guest-mm/kernel/files/proc_inodes.h"
#include "guest-mm/kernel/files/proc_texts.h"

namespace nopte::guest::files {

namespace {

class ProcThreadFile final : public ProcInode<Inode> {
 public:
  ProcThreadFile(u64 inode_number, i32 tid, ProcScope scope, ProcThreadText make)
      : ProcInode(kModeRegular | 0444, inode_number), tid_(tid), scope_(scope), make_(make) {}
  ErrnoOr<Ref<File>> open(u32 flags) override {
    Thread* const thread = find_thread(tid_);
    if (thread == nullptr) {
      return ErrnoFail(kENOENT);
    }
    TextBuilder text;
    make_(text, *thread, scope_);
    return open_text(*this, flags, std::move(text));
  }

 private:
  i32 tid_;
  ProcScope scope_;
  ProcThreadText make_;
};

// /proc/<pid>/fd
class DescriptorDirectory final : public ProcDirectory {
 public:
  DescriptorDirectory(i32 tid, u64 inode_number, Ref<Inode> above)
      : ProcDirectory(inode_number, std::move(above), "fd"), tid_(tid) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    const Thread* const thread = find_thread(tid_);
    const std::optional<u32> descriptor = parse_decimal<u32>(name);
    File* const file = thread == nullptr || thread->files == nullptr || !descriptor
                           ? nullptr
                           : thread->files->table.get(*descriptor);
    if (file == nullptr) {
      return ErrnoFail(kENOENT);
    }
    return made<ProcLink>(number + 1 + *descriptor, Ref<Inode>(file->inode()));
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    const Thread* const thread = find_thread(tid_);
    if (thread == nullptr || thread->files == nullptr) {
      return;
    }
    const FileTable& table = thread->files->table;
    for (u64 descriptor = cookie - 2; descriptor < table.bound(); ++descriptor) {
      if (table.get(descriptor) != nullptr &&
          !visit(Digits(descriptor).text(), number + 1 + descriptor, kModeSymlink, descriptor + 3)) {
        return;
      }
    }
  }

 private:
  i32 tid_;
};

struct ThreadEntry {
  std::string_view name;
  ProcThreadText make;
};
constexpr ThreadEntry kThreadFiles[] = {
    {"maps", proc_process_maps},
    {"limits", proc_process_limits},
    {"stat", proc_process_stat},
    {"statm", proc_process_statm},
    {"status", proc_process_status},
    {"comm", proc_process_comm},
    {"cmdline", proc_process_cmdline},
    {"mounts", [](TextBuilder& out, Thread&, ProcScope) { proc_mounts(out); }},
    {"smaps", proc_process_smaps},
    {"smaps_rollup", proc_process_smaps_rollup},
};
constexpr std::string_view kMemoryFiles[] = {"mem", "pagemap", "clear_refs"};  // as MemoryFileKind
enum class ThreadLink : u8 { kExe, kCwd, kRoot };
constexpr std::string_view kThreadLinks[] = {"exe", "cwd", "root"};

// /proc/<pid> or one of its threads.
class ThreadDirectory final : public ProcDirectory {
 public:
  ThreadDirectory(i32 tid, ProcScope scope, std::string_view name, Ref<Inode> above)
      : ProcDirectory((scope == ProcScope::kThread ? kThreadNumbers : 0) + process_number(tid),
                      std::move(above), name),
        tid_(tid),
        scope_(scope) {}

  [[nodiscard]] i32 process_id() const override { return scope_ == ProcScope::kProcess ? tid_ : 0; }
  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override;
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    constexpr u64 kTexts = std::size(kThreadFiles);
    constexpr u64 kFiles = kTexts + std::size(kMemoryFiles);
    constexpr u64 kLinks = kFiles + std::size(kThreadLinks);
    const u64 all = kLinks + (scope_ == ProcScope::kProcess ? 2 : 1);
    for (u64 index = cookie - 2; index < all; ++index) {
      const bool listed =
          index == kLinks       ? visit("fd", descriptors_number(), kModeDirectory, index + 3)
          : index == kLinks + 1 ? visit("task", descriptors_number() - 1, kModeDirectory, index + 3)
          : index < kFiles ? visit(index < kTexts ? kThreadFiles[index].name : kMemoryFiles[index - kTexts],
                                   number + 1 + index, kModeRegular, index + 3)
                           : visit(kThreadLinks[index - kFiles], number + 1 + index, kModeSymlink, index + 3);
      if (!listed) {
        return;
      }
    }
  }

 private:
  [[nodiscard]] u64 descriptors_number() const { return number + kDescriptorNumbers - 1; }
  static Ref<Inode> link_target(const Thread& thread, ThreadLink link) {
    if (link == ThreadLink::kExe) {
      return Ref<Inode>(thread.process->executable);
    }
    if (thread.directories == nullptr) {
      return nullptr;
    }
    return link == ThreadLink::kCwd ? thread.directories->cwd : thread.directories->root;
  }

  i32 tid_;
  ProcScope scope_;
};

// /proc/<pid>/task
class TaskDirectory final : public ProcDirectory {
 public:
  TaskDirectory(i32 tid, u64 inode_number, Ref<Inode> above)
      : ProcDirectory(inode_number, std::move(above), "task"), tid_(tid) {}

  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    const Thread* const group = find_thread(tid_);
    const std::optional<u32> tid = parse_decimal<u32>(name);
    const Thread* const thread = tid ? find_thread(static_cast<i32>(*tid)) : nullptr;
    if (group == nullptr || thread == nullptr || thread->process != group->process) {
      return ErrnoFail(kENOENT);
    }
    return made<ThreadDirectory>(thread->tid, ProcScope::kThread, name, Ref<Inode>(this));
  }
  // In the order of their coming, which is that of their numbers until those wrap.
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    const Thread* const group = find_thread(tid_);
    if (group == nullptr) {
      return;
    }
    for (const Thread* thread = &group->process->leader(); thread != nullptr;
         thread = thread->next_in_group) {
      const u64 next = static_cast<u64>(thread->tid) + 3;
      if (next > cookie && !visit(Digits(thread->tid).text(), kThreadNumbers + process_number(thread->tid),
                                  kModeDirectory, next)) {
        return;
      }
    }
  }

 private:
  i32 tid_;
};

ErrnoOr<Ref<Inode>> ThreadDirectory::lookup(std::string_view name) {
  const Thread* const thread = find_thread(tid_);
  if (thread == nullptr) {
    return ErrnoFail(kENOENT);
  }
  u64 index = number + 1;
  for (const ThreadEntry& entry : kThreadFiles) {
    if (entry.name == name) {
      return made<ProcThreadFile>(index, tid_, scope_, entry.make);
    }
    ++index;
  }
  for (u8 kind = 0; kind < std::size(kMemoryFiles); ++kind, ++index) {
    if (kMemoryFiles[kind] == name) {
      return make_memory_file(MemoryFileKind{kind}, index, tid_);
    }
  }
  for (u8 link = 0; link < std::size(kThreadLinks); ++link, ++index) {
    if (kThreadLinks[link] == name) {
      Ref<Inode> target = link_target(*thread, ThreadLink{link});
      return target ? made<ProcLink>(index, std::move(target)) : ErrnoFail(kENOENT);
    }
  }
  if (name == "fd") {
    return made<DescriptorDirectory>(tid_, descriptors_number(), Ref<Inode>(this));
  }
  if (name == "task" && scope_ == ProcScope::kProcess) {
    return made<TaskDirectory>(tid_, descriptors_number() - 1, Ref<Inode>(this));
  }
  return ErrnoFail(kENOENT);
}

}  // namespace

ErrnoOr<Ref<Inode>> make_process_directory(std::string_view name, Ref<Inode> above) {
  const std::optional<u32> tid = parse_decimal<u32>(name);
  const Thread* const thread = tid ? find_thread(static_cast<i32>(*tid)) : nullptr;
  if (thread == nullptr) {
    return ErrnoFail(kENOENT);
  }
  return made<ThreadDirectory>(thread->tid, ProcScope::kProcess, name, std::move(above));
}

}  // namespace nopte::guest::files
