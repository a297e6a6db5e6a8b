// /proc/<pid> and /proc/<pid>/task/<tid>: directories of a process and of a thread.
#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

namespace {

struct ThreadEntry {
  std::string_view name;
  ProcThreadText make;
  u32 permissions = 0444;
  i64 (*write)(Thread& thread, std::string_view text) = nullptr;  // null: nobody may
  bool inspects = false;                                          // is only for who may inspect the thread
  i64 (*ioctl)(const Thread& thread, u32 request, u64 argument) = nullptr;
};

// An open one that may be written or asked more, too: written as long as its process lives, asked as long as
// the thread is in the space that it had then.
class LiveFile final : public TextFile {
 public:
  LiveFile(TextInode& inode, u32 flags, u64 of, const Thread& thread, const ThreadEntry& entry)
      : TextFile(Ref<Inode>(&inode), flags, inode, of),
        tid_(thread.tid),
        started_ns_(thread.process->started_ns),
        serial_(thread.space == nullptr ? 0 : thread.space->serial()),
        entry_(entry) {}
  i64 ioctl(u32 request, u64 argument) override {
    if (entry_.ioctl == nullptr) return TextFile::ioctl(request, argument);
    const Thread* const thread = find_thread(tid_);
    return thread == nullptr || thread->space == nullptr || thread->space->serial() != serial_
               ? -kESRCH
               : entry_.ioctl(*thread, request, argument);
  }
  i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end) override {
    char text[32];
    const u64 looked_at = std::min(bytes, sizeof text);
    if (const IoBuffer::Copied copied = from.get(text, looked_at); copied.status != Status::kOk) {
      return to_errno(copied.status);
    }
    Thread* const thread = find_thread(tid_);
    if (thread == nullptr || thread->process->started_ns != started_ns_) return -kESRCH;
    if (const i64 error = entry_.write(*thread, {text, looked_at}); error != 0) return error;
    if (end != nullptr) *end = offset + bytes;
    return static_cast<i64>(bytes);
  }

 private:
  i32 tid_;
  u64 started_ns_;
  u64 serial_;
  const ThreadEntry& entry_;
};

class ProcThreadFile final : public TextInode {
 public:
  ProcThreadFile(u64 inode_number, i32 tid, ProcScope scope, const ThreadEntry& entry)
      : TextInode(kModeRegular | entry.permissions, inode_number), tid_(tid), scope_(scope), entry_(entry) {}
  i64 truncate(u64 bytes) override { return entry_.write != nullptr ? 0 : ProcInode::truncate(bytes); }
  ErrnoOr<Ref<File>> open(u32 flags) override {
    Thread* const thread = find_thread(tid_);
    if (thread == nullptr) {
      return ErrnoFail(kENOENT);
    }
    if (entry_.inspects && !may_inspect(*thread)) {
      return ErrnoFail(kEACCES);
    }
    const bool written = (flags & kOpenAccessMask) != kOpenReadOnly;
    if (written ? entry_.write == nullptr : entry_.ioctl == nullptr) {
      return open_text(*this, flags, identity(*thread));
    }
    Ref<File> file = make_counted<LiveFile>(*this, flags, identity(*thread), *thread, entry_);
    if (!file) return ErrnoFail(kENOMEM);
    return file;
  }
  i64 tell(TextBuilder& text, u64 of) override {
    Thread* const thread = find_thread(tid_);
    if (thread == nullptr) return -kESRCH;
    if (identity(*thread) == of) {
      entry_.make(text, *thread, scope_);
      return 0;
    }
    return entry_.inspects ? 0 : -kESRCH;
  }

 private:
  // Rights were asked for a program's memory, so that the next program's is not shown; else a number is used
  // again.
  [[nodiscard]] u64 identity(const Thread& thread) const {
    if (!entry_.inspects) return thread.process->started_ns;
    return thread.space != nullptr ? thread.space->serial() : 0;
  }

  i32 tid_;
  ProcScope scope_;
  const ThreadEntry& entry_;
};

// /proc/<pid>/fdinfo/<descriptor>
class DescriptorInfo final : public TextInode {
 public:
  DescriptorInfo(u64 inode_number, i32 tid, u32 descriptor)
      : TextInode(kModeRegular | 0444, inode_number), tid_(tid), descriptor_(descriptor) {}
  ErrnoOr<Ref<File>> open(u32 flags) override {
    const Thread* const thread = find_thread(tid_);
    if (described(thread) == nullptr) return ErrnoFail(kENOENT);
    if (!may_inspect(*thread)) return ErrnoFail(kEACCES);
    return open_text(*this, flags, thread->process->started_ns);
  }
  i64 tell(TextBuilder& text, u64 of) override {
    constexpr u32 kLargeFile = 0100000, kCloseOnExec = 02000000;  // Linux sets the first for every file
    const Thread* const thread = find_thread(tid_);
    File* const file = described(thread);
    if (file == nullptr || thread->process->started_ns != of) return -kENOENT;
    const u32 told = (file->flags() & ~kCloseOnExec) | kLargeFile |
                     (thread->files->table.close_on_exec(descriptor_) ? kCloseOnExec : 0);
    text.add("pos:\t", file->position, "\nflags:\t0", TextBuilder::Octal{told, 1}, "\nmnt_id:\t1\nino:\t",
             file->inode() == nullptr ? 0 : file->inode()->number, '\n');
    file->add_info(text);
    return 0;
  }

 private:
  [[nodiscard]] File* described(const Thread* thread) const {
    return thread == nullptr || thread->files == nullptr ? nullptr : thread->files->table.get(descriptor_);
  }

  i32 tid_;
  u32 descriptor_;
};

enum class DescriptorView : u8 { kLinks, kInfo };

// /proc/<pid>/fd and fdinfo
class DescriptorDirectory final : public ProcDirectory {
 public:
  DescriptorDirectory(DescriptorView view, i32 tid, u64 inode_number, Ref<Inode> above)
      : ProcDirectory(inode_number, std::move(above), view == DescriptorView::kLinks ? "fd" : "fdinfo",
                      view == DescriptorView::kLinks ? 0500 : 0555),
        view_(view),
        tid_(tid) {}

  ErrnoOr<Ref<File>> open(u32 flags) override {
    const Thread* const thread = find_thread(tid_);
    return thread != nullptr && !may_inspect(*thread) ? ErrnoFail(kEACCES) : ProcDirectory::open(flags);
  }
  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    const Thread* const thread = find_thread(tid_);
    const std::optional<u32> descriptor = parse_decimal<u32>(name);
    File* const file = thread == nullptr || thread->files == nullptr || !descriptor
                           ? nullptr
                           : thread->files->table.get(*descriptor);
    if (file == nullptr) {
      return ErrnoFail(kENOENT);
    }
    const u64 its = number + 1 + *descriptor;
    return view_ == DescriptorView::kLinks ? made<ProcLink>(its, Ref<Inode>(file->inode()), tid_)
                                           : made<DescriptorInfo>(its, tid_, *descriptor);
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    const Thread* const thread = find_thread(tid_);
    if (thread == nullptr || thread->files == nullptr) {
      return;
    }
    const FileTable& table = thread->files->table;
    for (u64 descriptor = cookie - 2; descriptor < table.bound(); ++descriptor) {
      if (table.get(descriptor) != nullptr &&
          !visit(Digits(descriptor).text(), number + 1 + descriptor,
                 view_ == DescriptorView::kLinks ? kModeSymlink : kModeRegular, descriptor + 3)) {
        return;
      }
    }
  }

 private:
  DescriptorView view_;
  i32 tid_;
};

constexpr ThreadEntry kThreadFiles[] = {
    {.name = "maps", .make = proc_process_maps, .inspects = true, .ioctl = query_mapping},
    {"limits", proc_process_limits},
    {"stat", proc_process_stat},
    {"statm", proc_process_statm},
    {"status", proc_process_status},
    {"comm", proc_process_comm, 0644, set_proc_comm},
    {"cmdline", proc_process_cmdline},
    {.name = "auxv", .make = proc_process_auxv, .permissions = 0400, .inspects = true},
    {.name = "syscall", .make = proc_process_syscall, .permissions = 0400, .inspects = true},
    {.name = "environ", .make = proc_process_environ, .permissions = 0400, .inspects = true},
    {.name = "io", .make = proc_process_io, .permissions = 0400, .inspects = true},
    {"oom_score_adj", proc_process_oom_score_adj, 0644, set_proc_oom_score_adj},
    {"timerslack_ns", proc_process_timer_slack, 0666, set_proc_timer_slack, true},
    {"coredump_filter", proc_process_core_filter, 0644, set_proc_core_filter},
    {"mountinfo", [](TextBuilder& out, Thread&, ProcScope) { proc_mountinfo(out); }},
    {"mounts", [](TextBuilder& out, Thread&, ProcScope) { proc_mounts(out); }},
    // What nobody may see, or who does not sleep.
    {"wchan", [](TextBuilder& out, Thread&, ProcScope) { out.add('0'); }},
    {.name = "smaps", .make = proc_process_smaps, .inspects = true},
    {.name = "smaps_rollup", .make = proc_process_smaps_rollup, .inspects = true},
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
  // All is the user's whose thread it is, or root's when others may not look into it.
  ErrnoOr<Ref<Inode>> lookup(std::string_view name) override {
    ErrnoOr<Ref<Inode>> found = find(name);
    const Thread* const thread = find_thread(tid_);
    if (found && thread != nullptr && thread->process->dumpable) {
      (*found)->uid = identity_of(*thread).user.effective;
      (*found)->gid = identity_of(*thread).group.effective;
    }
    return found;
  }
  void iterate(u64 cookie, DirectoryVisitor visit) override {
    constexpr u64 kTexts = std::size(kThreadFiles);
    constexpr u64 kFiles = kTexts + std::size(kMemoryFiles);
    constexpr u64 kLinks = kFiles + std::size(kThreadLinks);
    const u64 all = kLinks + (scope_ == ProcScope::kProcess ? 3 : 2);
    for (u64 index = cookie - 2; index < all; ++index) {
      const bool listed =
          index == kLinks ? visit("fd", descriptors_number(), kModeDirectory, index + 3)
          : index == kLinks + 1
              ? visit("fdinfo", descriptors_number() + kInfoNumbers, kModeDirectory, index + 3)
          : index == kLinks + 2 ? visit("task", descriptors_number() - 1, kModeDirectory, index + 3)
          : index < kFiles ? visit(index < kTexts ? kThreadFiles[index].name : kMemoryFiles[index - kTexts],
                                   number + 1 + index, kModeRegular, index + 3)
                           : visit(kThreadLinks[index - kFiles], number + 1 + index, kModeSymlink, index + 3);
      if (!listed) {
        return;
      }
    }
  }

 private:
  static constexpr u64 kInfoNumbers = 1024;
  ErrnoOr<Ref<Inode>> find(std::string_view name);
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

ErrnoOr<Ref<Inode>> ThreadDirectory::find(std::string_view name) {
  const Thread* const thread = find_thread(tid_);
  if (thread == nullptr) {
    return ErrnoFail(kENOENT);
  }
  u64 index = number + 1;
  for (const ThreadEntry& entry : kThreadFiles) {
    if (entry.name == name) {
      return made<ProcThreadFile>(index, tid_, scope_, entry);
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
      return target ? made<ProcLink>(index, std::move(target), tid_) : ErrnoFail(kENOENT);
    }
  }
  if (name == "fd") {
    return made<DescriptorDirectory>(DescriptorView::kLinks, tid_, descriptors_number(), Ref<Inode>(this));
  }
  if (name == "fdinfo") {
    return made<DescriptorDirectory>(DescriptorView::kInfo, tid_, descriptors_number() + kInfoNumbers,
                                     Ref<Inode>(this));
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
