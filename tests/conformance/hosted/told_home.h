// Homes of guests whose tables a hypervisor shadows and is told of, one for each such interface:
//
//   MmOps -> engine -> ToldSink -> the interface's teller -> its calls in the hypervisor -> the shadow MMU
//
// An Interface names Sink, the hypervisor's Calls, and Guest, which holds the sink and what it needs over the
// page that the guest shares with the hypervisor; start() tells the hypervisor of that page.
#pragma once

#include <cstring>

#include "native-fallback/guest/engine_mm_ops.h"
#include "tests/conformance/hosted/engine_slot.h"
#include "tests/conformance/hosted/model_home.h"
#include "tests/conformance/hosted/told_machine.h"

namespace nopte::conformance {

// The machine of the home that lives.
inline ToldMachine* g_told_machine = nullptr;

// The guest's processor as a sink sees it.
class ToldProcessor {
 public:
  void load_root(pt::PhysAddr root) {
    if (root == root_) return;
    root_ = root;
    g_told_machine->load_root(root);
  }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return root == root_; }
  void flush_page(Gva va) { g_told_machine->flush_page(va); }
  void flush_user() { g_told_machine->load_root(root_); }
  void flush_everything() { g_told_machine->flush_everything(); }
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }

 private:
  pt::PhysAddr root_;
};

template <class Interface>
class ToldHome final : public ModelHome {
 public:
  using Sink = typename Interface::Sink;
  using Engine = pt::Engine<Sink>;

  ToldHome() {
    g_told_machine = &machine_;
    current_ = this;
    const auto all = pt::FrameRange::of(pt::Frame(0), ToldMachine::kFrames);
    const auto pool = pt::FrameRange::of(pt::Frame(ToldMachine::kFirstPoolFrame),
                                         ToldMachine::kFrames - ToldMachine::kFirstPoolFrame);
    NOPTE_ASSERT(frames_.init(reinterpret_cast<u64>(machine_.guest.data()), all, {&pool, 1}));
    guest_.emplace(machine_.guest.data() + pages_to_bytes(ToldMachine::kSharedFrame), frames_);
    sink_slot.sink = &guest_->sink;
    engine_ = std::make_unique<Engine>(guest_->sink, frames_);
    engine_slot.engine = engine_.get();
    NOPTE_ASSERT(engine_->init());
    Interface::start(*guest_, calls_, pages_to_bytes(ToldMachine::kSharedFrame));
    NOPTE_ASSERT(engine_->space_activate(SpaceId::kKernel));
  }
  ~ToldHome() override { current_ = nullptr; }

  void set_windows(const RegionSource& windows) override { engine_->set_kernel_regions(windows); }
  const MmOps& ops() override { return kOps; }
  [[nodiscard]] u64 exits() const override { return machine_.exits; }
  const char* broken() override { return machine_.broken(); }

  // What the tellers call with.
  static void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
    ToldHome& home = *current_;
    const u64 root = home.machine_.mmu.guest_root();
    NOPTE_ASSERT(home.calls_.call(number & 0xffff'ffff, {a0, a1, a2, 0, 0, 0}).status == Status::kOk);
    home.machine_.exit_ends();
    if (home.machine_.mmu.guest_root() != root) home.machine_.forget_user();
  }

 private:
  struct SinkSlot {
    Sink* sink = nullptr;
    void fault_begins() { sink->fault_begins(); }
    void settle() { sink->settle(); }
  };
  inline static EngineSlot<Engine> engine_slot;
  inline static SinkSlot sink_slot;
  inline static ToldHome* current_ = nullptr;
  using Mm = pt::EngineMm<engine_slot, sink_slot>;
  static constexpr MmOps kOps = Mm::ops(Interface::kName);

  std::optional<u8*> access(Gva va, Access access, pt::Privilege privilege) override {
    const u64 kind = (access == Access::kWrite  ? hv::kFaultWrite
                      : access == Access::kExec ? hv::kFaultFetch
                                                : 0) |
                     (privilege == pt::Privilege::kUser ? hv::kFaultUser : 0);
    return machine_.access(va, kind, [this] { read_what_waits(); });
  }
  // As the modes do before they look at a fault.
  void read_what_waits() {
    if constexpr (requires { calls_.drain(); }) calls_.drain();
    if constexpr (requires { calls_.ends_guest(); }) NOPTE_ASSERT(calls_.ends_guest() == nullptr);
  }
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    return Mm::fault(va, access, privilege);
  }

  ToldMachine machine_;
  pt::FrameTable frames_;
  typename Interface::Calls calls_{machine_.mmu};
  std::optional<typename Interface::Guest> guest_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace nopte::conformance
