// pidfd_open, pidfd_send_signal, pidfd_getfd.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_frame.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// uapi/linux/pidfd.h
constexpr u32 kNonBlock = kOpenNonBlock, kOfThread = kOpenExclusive;
constexpr u64 kToThread = 1, kToProcess = 2, kToGroup = 4;

// That of pidfd_open, or the process's directory in /proc.
Meant meant(File* file) {
  if (file == nullptr || file->path_only()) {
    return {.error = -kEBADF};
  }
  if (const Pidfd* const pidfd = file->as_pidfd(); pidfd != nullptr) {
    Thread* const thread = pidfd->thread();
    return {.error = thread == nullptr ? -kESRCH : 0, .thread = thread, .of = pidfd->of()};
  }
  const i32 pid = file->inode()->process_id();
  if (pid == 0) {
    return {.error = -kEBADF};
  }
  Thread* const thread = find_thread(pid);
  return {.error = thread == nullptr ? -kESRCH : 0, .thread = thread};
}

// What the caller says of itself; of others only the kernel may speak so.
i64 load_info(u64 address, i32 signal, bool to_itself, SignalInfo& info) {
  UserSigInfo given;
  if (const i64 error = get_user(given, address); error != 0) {
    return error;
  }
  if (given.signal != signal) {
    return -kEINVAL;
  }
  if (!to_itself && (given.code >= 0 || given.code == kSiTkill)) {
    return -kEPERM;
  }
  info = {.code = given.code,
          .pid = given.from.pid,
          .value = given.words[1],
          .uid = given.from.uid,
          .error = given.error};
  return 0;
}

}  // namespace

files::Meant files::meant_by(u64 descriptor) {
  File* const file = file_of(descriptor);
  return file != nullptr && file->as_pidfd() != nullptr ? meant(file) : Meant{.error = -kEBADF};
}

i64 sys_pidfd_open(const SyscallArgs& args) {
  const auto pid = static_cast<i32>(args.a0);
  const auto flags = static_cast<u32>(args.a1);
  if ((flags & ~(kNonBlock | kOfThread)) != 0 || pid <= 0) {
    return -kEINVAL;
  }
  Thread* const thread = find_thread(pid);
  if (thread == nullptr) {
    return -kESRCH;
  }
  const Pidfd::Of of = (flags & kOfThread) != 0 ? Pidfd::Of::kThread : Pidfd::Of::kProcess;
  if (of == Pidfd::Of::kProcess && thread != &thread->process->leader()) {
    return -kEINVAL;
  }
  Ref<File> file = make_pidfd(*thread, of, flags);
  return file ? current_files().table.insert(std::move(file), CloseOnExec::kYes) : -kENOMEM;
}

i64 sys_pidfd_send_signal(const SyscallArgs& args) {
  const auto signal = static_cast<i32>(args.a1);
  const u64 flags = args.a3 & 0xffff'ffff;
  if ((flags & ~(kToThread | kToProcess | kToGroup)) != 0 || (flags & (flags - 1)) != 0) {
    return -kEINVAL;
  }
  const Meant target = meant(file_of(args.a0));
  if (target.error != 0 && target.error != -kESRCH) {
    return target.error;
  }
  const u64 to = flags != 0 ? flags : target.of == Pidfd::Of::kThread ? kToThread : kToProcess;
  SignalInfo info{.code = to == kToThread ? kSiTkill : kSiUser,
                  .pid = current_process().pid,
                  .uid = identity().user.real};
  if (args.a2 != 0) {
    const bool to_itself = target.thread == &current() && to != kToGroup;
    if (const i64 error = load_info(args.a2, signal, to_itself, info); error != 0) {
      return error;
    }
  }
  if (signal < 0 || signal > kSignals) {
    return -kEINVAL;
  }
  if (target.error != 0) {
    return target.error;
  }
  return to == kToGroup    ? send_to_group(target.thread->tid, signal, info)
         : to == kToThread ? send_checked(target.thread, signal, info)
                           : send_checked(target.thread->process, signal, info);
}

i64 sys_pidfd_getfd(const SyscallArgs& args) {
  if ((args.a2 & 0xffff'ffff) != 0) {
    return -kEINVAL;
  }
  File* const file = file_of(args.a0);
  const Pidfd* const pidfd = file != nullptr ? file->as_pidfd() : nullptr;
  if (pidfd == nullptr) {
    return -kEBADF;
  }
  const Thread* const thread = pidfd->thread();
  if (thread == nullptr || thread->files == nullptr) {
    return -kESRCH;
  }
  if (!may_inspect(*thread)) {
    return -kEPERM;
  }
  File* const wanted = thread->files->table.get(static_cast<u32>(args.a1));
  return wanted != nullptr ? current_files().table.insert(Ref<File>(wanted), CloseOnExec::kYes) : -kEBADF;
}

}  // namespace nopte::guest
