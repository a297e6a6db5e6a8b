// A file's kernel window (core/kernel_windows.h), opened at first use and kept, with pages installed ahead of
// a transfer by one call when the transfer needs several that the window has not shown yet.
#pragma once

#include "guest-mm/core/kernel_windows.h"
#include "guest-mm/kernel/files/tmpfs/window_plan.h"

namespace nopte::guest::files {

class ObjectWindow {
 public:
  // Where byte `offset` of the object can be read and written, for `bytes` > 0 bytes inside the object. The
  // copy itself may still fail (arch's fallible copies). Errors: kNoMemory; the window is then as before.
  Result<char*> prepare(MemoryObject& object, u64 offset, u64 bytes, Access access) {
    if (window_.bytes() < offset + bytes) [[unlikely]] {
      shown_.reset();
      NOPTE_TRY(window_.open(object));
    }
    const u64 first = offset >> kPageShift;
    const PageRun run{first, bytes_to_pages(offset + bytes) - first};
    if (const PageRun missing = shown_.to_install(run); missing.pages != 0) {
      window_.populate(pages_to_bytes(missing.first), pages_to_bytes(missing.pages), access);
    }
    shown_.note(run);
    return window_.at(offset);
  }
  void close() {
    shown_.reset();
    window_.close();
  }
  // Pages from `pages` on have left the object.
  void cut(u64 pages) { shown_.cut(pages); }

 private:
  KernelWindow window_;
  ShownPages shown_;
};

}  // namespace nopte::guest::files
