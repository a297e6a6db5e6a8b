// The kind of world of mode vma: the hypervisor's own last step, from the engine's sink to the control block,
// and a processor that forgets what the block says (entry.h).
#pragma once

#include "hv-mm/vma/vcpu_processor.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/model/entry.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"

namespace nopte::model {

struct PlainPages {
  static void zero(u8* page) { std::memset(page, 0, kPageBytes); }
  static void copy(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
};

struct VmaInHypervisor : KindBase {
  static constexpr const char* kName = "vma in hypervisor";
  static constexpr bool kDirectMap = false;
  using Processor = hv::VcpuProcessor<PlainPages>;
  using Sink = pt::StoreSink<Processor>;

  // A pool far up in the host's memory that its guest has no map of.
  VmaInHypervisor(u64 frames_count, unsigned) : KindBase(0x12'3400, frames_count) {
    vmcb.asid = hv::Vcpu::kAsid;
  }

  // The guest is left; what `handle` answers; the guest goes on.
  template <class Handle>
  auto exit(Handle handle) {
    vcpu.collect_events();
    const auto answer = handle();
    if (vmcb.cr3 != 0) enter(machine, vmcb);
    return answer;
  }

  hv::Vmcb vmcb{};
  hv::Vcpu vcpu{vmcb, 0};
  LongModeWalker walker{memory, [](Frame frame) { return frame; }};
  Machine machine{memory, walker, 1};
  Processor processor{vcpu};
  Sink sink{frames, processor};
};

static_assert(pt::PageTableSink<VmaInHypervisor::Sink>);

}  // namespace nopte::model
