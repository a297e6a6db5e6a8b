// Kernel windows: memory objects mapped into the kernel space, so that the kernel reads and writes them by
// fallible copies (arch::copy_fallible). A window shows an object whole, from its first page; it is opened
// once and kept; the pages appear at the first touch, or ahead when asked.
//
//     KernelWindow window;
//     NOPTE_TRY(window.open(object));               // or grows it when the object grew
//     NOPTE_TRY(arch::copy_fallible(buffer, window.at(offset), bytes));   // kPastEnd, kNoMemory
//
// Concurrency: the kernel's.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "pvops/regions/region_tree.h"

namespace nopte::guest {

// The kernel space's regions, for the backend that asks for them at faults. Constructed at first use.
const RegionSource& kernel_regions();
RegionTree& kernel_window_tree();

class KernelWindow {
 public:
  KernelWindow() = default;
  KernelWindow(const KernelWindow&) = delete;
  KernelWindow& operator=(const KernelWindow&) = delete;
  ~KernelWindow() { close(); }

  // Makes the window show at least the pages that `object` has now (room to grow is added, so that a file
  // that is being written does not move at every page). The window holds no Ref: while it is open its region
  // keeps the object alive. May move the window. Errors: kNoMemory, kLimit; then the window is as before.
  Result<void> open(MemoryObject& object);
  void close();

  [[nodiscard]] bool is_open() const { return !range_.empty(); }
  [[nodiscard]] u64 bytes() const { return range_.bytes(); }
  // Kernel address of a byte of the object. Precondition: offset < bytes().
  [[nodiscard]] char* at(u64 offset_bytes) const {
    return reinterpret_cast<char*>((range_.begin + offset_bytes).value());
  }
  // Installs pages ahead of a transfer, best effort. Worth one call when several pages follow.
  void populate(u64 offset_bytes, u64 bytes, Access access);

 private:
  VaRange range_{};
};

}  // namespace nopte::guest
