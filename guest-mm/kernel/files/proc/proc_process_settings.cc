// What /proc/<pid> lets a process set of itself that a system call does not, or does otherwise.
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

// As prctl(PR_SET_TIMERSLACK), for others of whom it is as well.
void proc_process_timer_slack(TextBuilder& out, Thread& thread, ProcScope) {
  out.add(thread.timer_slack_ns, '\n');
}

i64 set_proc_timer_slack(Thread& thread, std::string_view text) {
  if (&thread != &current() && !capable(Capability::kSysNice)) return -kEPERM;
  NumberReader reader{text};
  const Result<u64> ns = reader.more() ? reader.next_unsigned() : Fail(Status::kInvalid);
  if (!ns || reader.more()) return -kEINVAL;
  thread.timer_slack_ns = *ns != 0 ? *ns : thread.usual_timer_slack_ns;
  return 0;
}

void proc_process_core_filter(TextBuilder& out, Thread& thread, ProcScope) {
  out.add(TextBuilder::Hex{thread.process->core_filter, 8}, '\n');
}

i64 set_proc_core_filter(Thread& thread, std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  u64 value = 0;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    if (text.empty() || text.size() > 8) return -kEINVAL;
    for (const char c : text) {
      const char low = static_cast<char>(c | 0x20);
      if (!('0' <= c && c <= '9') && !('a' <= low && low <= 'f')) return -kEINVAL;
      value = value << 4 | static_cast<u64>(c <= '9' ? c - '0' : low - 'a' + 10);
    }
  } else {
    NumberReader reader{text};
    const Result<u64> decimal = reader.more() ? reader.next_unsigned() : Fail(Status::kInvalid);
    if (!decimal || reader.more()) return -kEINVAL;
    value = *decimal;
  }
  thread.process->core_filter = static_cast<u16>(value & kCoreKnown);
  return 0;
}

}  // namespace nopte::guest::files
