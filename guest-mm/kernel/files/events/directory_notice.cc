#include "guest-mm/kernel/files/events/directory_notice.h"

#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/system/system_settings.h"

namespace nopte::guest::files {

void DirectoryNotice::tell(u32 event, u32, std::string_view) {
  signal_owner(*file.owner, descriptor, kIoMessage);
  if (!repeats) {
    mask &= ~event;
    if (mask == 0) {
      file.owner->notice.reset();
    }
  }
}

i64 notice_directory(File& file, u64 descriptor, u32 what) {
  // DN_*, uapi/linux/fcntl.h.
  constexpr u32 kRepeats = 0x8000'0000;
  constexpr struct {
    u32 asked, events;
  } kMeanings[] = {{0x1, kAccessed},           {0x2, kModified},
                   {0x4, kCreated | kMovedTo}, {0x8, kDeleted | kMovedFrom},
                   {0x10, kRenamed},           {0x20, kAttributes}};
  if (SystemSettings::dir_notify_enable == 0) {
    return -kEINVAL;
  }
  if ((what & ~kRepeats) == 0) {
    if (file.owner) {
      file.owner->notice.reset();
    }
    return 0;
  }
  if (!file.inode()->is_directory()) {
    return -kENOTDIR;
  }
  u32 events = 0;
  for (const auto& meaning : kMeanings) {
    events |= (what & meaning.asked) != 0 ? meaning.events : 0;
  }
  if (const i64 error = set_owner(file, OwnerKind::kProcess, current_process().pid); error != 0) {
    return error;
  }
  UniquePtr<DirectoryNotice>& notice = file.owner->notice;
  const bool repeats = (what & kRepeats) != 0;
  if (!notice) {
    notice = make_unique<DirectoryNotice>(file, events, static_cast<i32>(descriptor), repeats);
    return notice ? 0 : -kENOMEM;
  }
  notice->mask |= events;
  notice->repeats = notice->repeats || repeats;
  return 0;
}

}  // namespace nopte::guest::files
