// The kind of world of mode xen: the guest's real sink, over the hypervisor's real side (xen_host.h). One
// CPU, as the hypervisor gives a guest.
#pragma once

#include "native-fallback/sinks/either_sink.h"
#include "native-fallback/sinks/xen_tables.h"
#include "tests/model/kind.h"
#include "tests/model/xen_host.h"

namespace nopte::model {

// What the guest's processor does for the sink; roots and flushes are asked for.
struct XenProcessor {
  void load_root(PhysAddr) { NOPTE_PANIC("CR3"); }
  [[nodiscard]] bool runs(PhysAddr) const { NOPTE_PANIC("CR3"); }
  void flush_page(Gva) { NOPTE_PANIC("INVLPG"); }
  void flush_user() { NOPTE_PANIC("a flush by CR3"); }
  void flush_everything() { NOPTE_PANIC("a flush by CR4"); }
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
};

struct Xen : KindBase {
  static constexpr const char* kName = "xen";
  static constexpr bool kDirectMap = false;  // made by the domain builder
  static constexpr u64 kEntriesPerExit = pt::XenQueueMemory::kUpdates;

  Xen(u64 frames_count, unsigned) : KindBase(0, frames_count), host(memory) {
    current = this;
    machine.watch(frames);
    host.start(machine);
    tables.start({reinterpret_cast<const u64*>(host.block.machine_list - abi::kMachineDirectBase +
                                               memory.direct_base()),
                  host.to_physical(), direct_table(), Frame(host.block.direct_leaves), Frame()});
  }

  // What sinks and queues call with.
  static pt::HypercallAnswer hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64 a3) {
    return current->call(number & 0xffff'ffff, a0, a1, a2, a3);
  }

  // --- as KindBase says ---
  [[nodiscard]] pt::FrameRange pool() const { return {Frame(host.block.built_end), memory.range().end}; }
  static constexpr u64 kAdopted = 1;  // the direct map's table below the root
  template <class Engine>
  Result<void> init(Engine& engine) {
    return engine.init(direct_table());
  }
  void booted() { tables.unpin_foreign(Frame(host.block.boot_root)); }
  void ends(Frame kernel_root) {
    sink.complete();
    host.end(kernel_root);
    frames.free(direct_table());
  }
  static constexpr bool is_foreign(unsigned level, unsigned index) {
    return level == pt::kLevels && abi::xen::is_reserved_slot(index);
  }
  [[nodiscard]] u64 exits() const { return host.exits; }
  void check() { host.check(); }

  using Sink = pt::EitherSink<XenProcessor>;
  inline static Xen* current = nullptr;

  XenHost host;
  LongModeWalker walker{memory, [](Frame frame) { return current->host.guest_frame(frame); }};
  Machine machine{memory, walker, 1};
  XenProcessor processor;
  pt::XenTables<hypercall> tables{frames, queue_memory()};
  Sink sink{frames, processor, tables};

 private:
  static_assert(KindBase::kOutside == XenHost::kImageFrames);
  static_assert(sizeof(pt::XenQueueMemory) <= XenHost::kSharedFrames * kPageBytes);
  pt::XenQueueMemory& queue_memory() {
    return *reinterpret_cast<pt::XenQueueMemory*>(memory.page(Frame(XenHost::kImageFrames)));
  }
  [[nodiscard]] Frame direct_table() const { return Frame(host.block.direct_table); }
  // The kernel's pointers are the model's; its addresses are the direct map's.
  [[nodiscard]] u64 address(u64 pointer) const {
    return pointer == 0 ? 0 : pointer - memory.direct_base() + abi::kMachineDirectBase;
  }
  pt::HypercallAnswer call(u64 number, u64 a0, u64 a1, u64 a2, u64 a3) {
    if (number == abi::xen::kMulticall) {
      for (u64 i = 0; i < a1; ++i) {
        auto& entry = reinterpret_cast<abi::xen::MulticallEntry*>(a0)[i];
        entry.args[0] = address(entry.args[0]);
        entry.args[2] = address(entry.args[2]);
      }
    }
    if (number != abi::xen::kUpdateVaMapping) a0 = address(a0), a2 = address(a2);
    const hv::CallResult result = host.call(number, {a0, a1, a2, a3});
    return {result.status, result.value};
  }
};

static_assert(pt::PageTableSink<Xen::Sink>);

}  // namespace nopte::model
