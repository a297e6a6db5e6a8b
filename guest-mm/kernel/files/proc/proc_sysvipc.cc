// /proc/sysvipc: a line for every segment, set and queue (ipc/shm.c, sem.c, msg.c of Linux).
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/ipc/msg.h"
#include "guest-mm/kernel/ipc/sem.h"
#include "guest-mm/kernel/ipc/shm.h"

namespace nopte::guest::files {

namespace {

// A number in a column, after a blank.
struct Column {
  TextBuilder& out;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Column& add(auto value, u32 width, u32 base = 10) {
    const u64 begin = out.size();
    const std::string_view digits = Digits(value, base).text();
    if (digits.size() < width) out.pad_to(begin, width - digits.size());
    out.add(digits, ' ');
    return *this;
  }
};

void begin_line(TextBuilder& out, const ipc::Object& object) {
  const ipc::Permissions& has = object.permissions;
  const auto signed_column = [&](i32 value) {
    const u64 begin = out.size();
    const Digits digits(value);
    out.pad_to(begin, 10 - std::min<u64>(10, digits.text().size()));
    out.add(digits.text(), ' ');
  };
  signed_column(has.key);
  signed_column(object.id());
  out.add(' ');
  Column{out}.add(u64{has.mode}, 4, 8);
}

Column owners(TextBuilder& out, const ipc::Object& object) {
  const ipc::Permissions& has = object.permissions;
  return Column{out}
      .add(u64{has.uid}, 5)
      .add(u64{has.gid}, 5)
      .add(u64{has.creator_uid}, 5)
      .add(u64{has.creator_gid}, 5);
}

u64 positive(i64 value) { return static_cast<u64>(value); }

void shm(TextBuilder& out) {
  out.add(
      "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      "
      "atime"
      "      dtime      ctime                   rss                  swap\n");
  ipc::segments().for_each([&](ipc::Object& object) {
    const auto& segment = static_cast<const ipc::Segment&>(object);
    begin_line(out, object);
    Column{out}
        .add(segment.bytes(), 21)
        .add(positive(segment.creator_pid), 5)
        .add(positive(segment.last_pid), 5);
    out.add(' ');
    Column{out}.add(segment.attached(), 5);
    owners(out, object)
        .add(positive(segment.attached_at), 10)
        .add(positive(segment.detached_at), 10)
        .add(positive(segment.changed_at), 10)
        .add(pages_to_bytes(segment.memory().pages()), 21);
    out.add(TextBuilder::Padded{0, 21}, '\n');
  });
}

void sem(TextBuilder& out) {
  out.add("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
  ipc::semaphore_sets().for_each([&](ipc::Object& object) {
    const auto& set = static_cast<const ipc::SemaphoreSet&>(object);
    begin_line(out, object);
    Column{out}.add(u64{set.all().size()}, 10);
    owners(out, object).add(positive(set.operated_at), 10);
    out.add(TextBuilder::Padded{positive(set.changed_at), 10}, '\n');
  });
}

void msg(TextBuilder& out) {
  out.add(
      "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime"
      "      rtime      ctime\n");
  ipc::message_queues().for_each([&](ipc::Object& object) {
    const auto& queue = static_cast<const ipc::MessageQueue&>(object);
    begin_line(out, object);
    out.add(' ');
    Column{out}
        .add(queue.used_bytes(), 10)
        .add(queue.messages(), 10)
        .add(positive(queue.last_sender), 5)
        .add(positive(queue.last_receiver), 5);
    owners(out, object).add(positive(queue.sent_at), 10).add(positive(queue.received_at), 10);
    out.add(TextBuilder::Padded{positive(queue.changed_at), 10}, '\n');
  });
}

constexpr Setting kRows[] = {
    {.path = "msg", .read = msg}, {.path = "sem", .read = sem}, {.path = "shm", .read = shm}};

}  // namespace

constexpr SettingTree kProcSysVIpc{
    .name = "sysvipc", .rows = kRows, .first_number = kSysvipcNumbers, .device = kProcDevice};

}  // namespace nopte::guest::files
