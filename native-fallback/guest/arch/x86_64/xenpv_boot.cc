// The guest's main on Xen itself: makes the boot block of kind kMachine, and what a domain builder of ours
// would have made (pvops/abi/boot_block.h): the direct map, in frames behind those that Xen mapped.
//
//   frames:  | image, initramfs, list, start info, Xen's tables, stack, room | leaf tables | upper tables |
//   free ...
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "native-fallback/arch/x86_64/pvh.h"
#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/guest/arch/x86_64/xenpv.h"
#include "native-fallback/guest/native_backend.h"
#include "pvops/arch/x86_64/debug_ports.h"
#include "pvops/arch/x86_64/xen_call.h"
#include "pvops/base/digits.h"
#include "pvops/base/panic.h"
#include "pvops/interfaces/xen.h"

extern "C" {
[[noreturn]] void start_guest_at_ring3(const nopte::abi::BootBlock* block);
extern char ask_xen[];
extern const char ask_xen_itself[];
}

namespace nopte::pt {
namespace {

using abi::xen_pv::StartInfo;
constexpr u8 kRefusedStatus = 125;

constinit abi::BootBlock g_xen_block;
u64 g_shared_info = 0;  // machine address

// A page of the image that shows one table after the other while it is filled.
alignas(kPageBytes) constinit u64 g_pen[kEntriesPerTable];

void say(std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    xen_call(abi::xen_pv::kConsoleIo, abi::xen_pv::kConsoleWrite, part.size(),
             reinterpret_cast<u64>(part.data()));
  }
}

[[noreturn]] void refuse(std::string_view why) {
  say({"nopte guest: cannot boot: ", why, "\n"});
  debugcon_write("{\"event\":\"power_off\",\"status\":125}\n");
  debug_exit(kRefusedStatus);
}

// All calls of the tables go to Xen. The text can be written: these are Xen's boot tables.
void patch_calls() {
  char code[5] = {'\xe9'};
  const auto displacement =
      static_cast<i32>(reinterpret_cast<u64>(ask_xen_itself) - reinterpret_cast<u64>(ask_xen) - sizeof(code));
  std::memcpy(code + 1, &displacement, sizeof(displacement));
  std::memcpy(ask_xen, code, sizeof(code));
}

// Of calls that cannot fail.
void must(i64 answer, const char* what) {
  if (answer != 0) refuse(what);
}

void show(const volatile void* at, u64 word) {
  must(xen_call(abi::xen::kUpdateVaMapping, reinterpret_cast<u64>(at), word,
                abi::xen::kFlushPage | abi::xen::kFlushLocal),
       "Xen refused a mapping");
}

// Kernel leaves are never global: Xen lets user mode see what is.
u64 leaf(u64 machine_frame, Perm perm) {
  return Entry::kernel_leaf(Frame(machine_frame), perm).without(Entry::kGlobal).word();
}

u64 frame_at(u64 image_address) { return (image_address - kImageOffset) >> kPageShift; }

class DirectMap {
 public:
  DirectMap(const StartInfo& info, u64 first)
      : info_(info), list_(reinterpret_cast<const u64*>(info.machine_list)), leaves_(first) {}

  // The first frame behind what it takes.
  [[nodiscard]] u64 end() const { return user_roots() + abi::kUserRoots; }
  [[nodiscard]] u64 leaves() const { return leaves_; }
  [[nodiscard]] u64 top() const { return upper() + tables_of(tables_of(info_.pages)); }
  [[nodiscard]] u64 user_roots() const { return top() + 1; }

  void build() const {
    const u64 frames = info_.pages, tables = tables_of(frames);
    for (u64 table = 0; table < tables; ++table) {
      fill(leaves_ + table, [&](u64 i) -> u64 {
        const u64 frame = table * kEntriesPerTable + i;
        if (frame >= frames || list_[frame] == abi::xen_pv::kNoMachineFrame) return 0;
        return leaf(list_[frame], is_table(frame) ? kPermR : kPermRW);
      });
    }
    const auto link_all = [&](u64 table, u64 first, u64 count) {
      fill(table, [&](u64 i) {
        return i < count ? Entry::table(Frame(list_[first + i]), Privilege::kKernel).word() : 0;
      });
    };
    const u64 upper_tables = tables_of(tables);
    for (u64 table = 0; table < upper_tables; ++table) {
      const u64 first = table * kEntriesPerTable, left = tables - first;
      link_all(upper() + table, leaves_ + first, left < kEntriesPerTable ? left : kEntriesPerTable);
    }
    link_all(top(), upper(), upper_tables);
    for (u64 i = 0; i < abi::kUserRoots; ++i) fill(user_roots() + i, [](u64) -> u64 { return 0; });
    show(g_pen, leaf(list_[frame_at(reinterpret_cast<u64>(g_pen))], kPermRW));
    constexpr u64 kSlot = abi::kMachineDirectBase >> 39 & 511;
    const abi::xen::MmuUpdate link{pages_to_bytes(list_[frame_at(info_.root)]) + kSlot * sizeof(u64),
                                   Entry::table(Frame(list_[top()]), Privilege::kKernel).word()};
    must(xen_call(abi::xen::kMmuUpdate, xen_argument(link), 1, 0, abi::xen::kDomainSelf),
         "Xen refused the direct map");
    abi::xen::MmuextOp load[abi::kUserRoots + 1];
    for (u64 i = 0; i < abi::kUserRoots; ++i) {
      load[i] = {static_cast<u32>(abi::xen::Mmuext::kPinL4), 0, list_[user_roots() + i], 0};
    }
    load[abi::kUserRoots] = {static_cast<u32>(abi::xen::Mmuext::kNewUserBaseptr), 0, list_[user_roots()], 0};
    must(xen_call(abi::xen::kMmuextOp, xen_argument(load), std::size(load), 0, abi::xen::kDomainSelf),
         "Xen refused a root for user mode");
  }

 private:
  static constexpr u64 tables_of(u64 entries) { return (entries + kEntriesPerTable - 1) / kEntriesPerTable; }
  [[nodiscard]] u64 upper() const { return leaves_ + tables_of(info_.pages); }
  [[nodiscard]] bool is_table(u64 frame) const {
    return (frame >= leaves_ && frame < end()) || frame - frame_at(info_.root) < info_.tables;
  }
  template <class WordAt>
  void fill(u64 table, WordAt word_at) const {
    show(g_pen, leaf(list_[table], kPermRW));
    for (u64 i = 0; i < kEntriesPerTable; ++i) g_pen[i] = word_at(i);
  }

  const StartInfo& info_;
  const u64* list_;
  u64 leaves_;
};

// One past the last frame that Xen mapped: 4 MiB boundaries, with half a MiB of room behind its stack.
u64 mapped_end(const StartInfo& info) {
  constexpr u64 kGrain = u64{4} << 20 >> kPageShift, kRoom = u64{512} << 10 >> kPageShift;
  const u64 stack_end = frame_at(info.root) + info.tables + 1;
  const u64 end = (stack_end + kGrain - 1) / kGrain * kGrain;
  return end - stack_end < kRoom ? end + kGrain : end;
}

}  // namespace

void map_shared_page() { show(&xen_shared_page, leaf(g_shared_info >> kPageShift, kPermRW)); }

}  // namespace nopte::pt

extern "C" [[noreturn]] void stop_refused(nopte::u64 number, nopte::i64 answer) {
  using namespace nopte;
  pt::say({"\nXen answers hypercall ", Digits(number).text(), " with ", Digits(answer).text()});
  NOPTE_PANIC("Xen has refused a call");
}

extern "C" [[noreturn]] void boot_on_xen(const nopte::abi::xen_pv::StartInfo* start) {
  using namespace nopte;
  using namespace nopte::pt;
  g_on_xen = true;
  patch_calls();
  const u32 iopl = 1;  // ports are ours, and instructions that change the interrupt flag do nothing
  must(xen_call(abi::xen_pv::kPhysdevOp, abi::xen_pv::kSetIopl, xen_argument(iopl)), "Xen refused the ports");
  const StartInfo& info = *start;
  constexpr std::string_view kMagic = "xen-3.0-x86_64";
  if (std::memcmp(info.magic, kMagic.data(), kMagic.size()) != 0) refuse("Xen's start info is malformed");
  g_shared_info = info.shared_info;
  map_shared_page();
  const DirectMap direct(info, mapped_end(info));
  if (direct.end() >= info.pages) refuse("there is too little memory for the kernel and its tables");
  direct.build();

  g_xen_block.kind = abi::BootKind::kMachine;
  g_xen_block.under_hypervisor = abi::kXenHypervisor;
  g_xen_block.memory_bytes = pages_to_bytes(info.pages);
  if (info.module_bytes != 0) g_xen_block.initramfs_physical = info.module - kImageOffset;
  g_xen_block.initramfs_bytes = info.module_bytes;
  g_xen_block.machine_list = abi::kMachineDirectBase + (info.machine_list - kImageOffset);
  g_xen_block.built_end = direct.end();
  g_xen_block.boot_root = frame_at(info.root);
  g_xen_block.direct_table = direct.top();
  g_xen_block.direct_leaves = direct.leaves();
  g_xen_block.user_roots = direct.user_roots();
  while (g_xen_block.command_line_bytes < sizeof(info.command_line) &&
         info.command_line[g_xen_block.command_line_bytes] != 0) {
    ++g_xen_block.command_line_bytes;
  }
  std::memcpy(g_xen_block.command_line, info.command_line, g_xen_block.command_line_bytes);
  start_guest_at_ring3(&g_xen_block);
}
