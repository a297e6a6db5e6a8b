#include "experiments/walks/observer.h"

namespace walks {
namespace {

constexpr unsigned kPageShift = 12;
constexpr uint64_t kPagesOf2M = 512;

// TLB_CONTROL (APM vol. 2, 15.16.2).
constexpr uint8_t kFlushAll = 1;
constexpr uint8_t kFlushAsid = 3;
constexpr uint8_t kFlushAsidNotGlobal = 7;

// Exit codes (APM vol. 2, appendix C) that say that the last instruction was not executed.
constexpr uint64_t kExitWriteCr0 = 0x10;
constexpr uint64_t kExitWriteCr15 = 0x1f;
constexpr uint64_t kExitWriteCr0Selective = 0x65;
constexpr uint64_t kExitInvlpg = 0x79;

bool stopped(Special special, uint64_t exit_code) {
  if (special == Special::kInvlpg) return exit_code == kExitInvlpg;
  if (special == Special::kWriteCr3 || special == Special::kWriteCr0OrCr4) {
    // QEMU 10 gives writes the codes of reads, which are below.
    return exit_code <= kExitWriteCr15 || exit_code == kExitWriteCr0Selective;
  }
  return false;
}

}  // namespace

Observer::Observer(Machine machine) : frames_(kFrames), asid_(machine == Machine::kBare ? 1 : 0) {
  constexpr const char* k4K = "4 KiB";
  constexpr const char* k2M = "2 MiB";
  models_.push_back({"one", k4K, "", WalkModel(Dimensions::kOne, Leaf::k4K, Leaf::k4K)});
  models_.push_back({"one", k2M, "", WalkModel(Dimensions::kOne, Leaf::k2M, Leaf::k4K)});
  models_.push_back({"two", k4K, k4K, WalkModel(Dimensions::kTwo, Leaf::k4K, Leaf::k4K)});
  models_.push_back({"two", k4K, k2M, WalkModel(Dimensions::kTwo, Leaf::k4K, Leaf::k2M)});
  models_.push_back({"two", k2M, k4K, WalkModel(Dimensions::kTwo, Leaf::k2M, Leaf::k4K)});
  models_.push_back({"two", k2M, k2M, WalkModel(Dimensions::kTwo, Leaf::k2M, Leaf::k2M)});
}

// Whatever changes, the last page may have to be found again.
template <typename Action>
void Observer::each(Action action) {
  last_page_.fill(~uint64_t{0});
  for (Named& named : models_) action(named.model);
}

void Observer::enter_block(bool after_vmrun, const ControlBlock* block) {
  const Special pending = pending_;
  if (pending == Special::kNone && !after_vmrun) return;
  pending_ = Special::kNone;
  const bool ended = after_vmrun && block != nullptr;
  if (pending != Special::kNone && !(ended && stopped(pending, block->exit_code))) apply(pending, block);
  if (!ended) return;
  ++events_.exits;
  asid_ = 0;
  last_page_.fill(~uint64_t{0});
}

void Observer::apply(Special special, const ControlBlock* block) {
  switch (special) {
    case Special::kWriteCr3:
      ++events_.cr3_writes;
      each([this](WalkModel& model) { model.flush_lower_half(asid_); });
      break;
    case Special::kWriteCr0OrCr4:
      each([this](WalkModel& model) { model.flush_asid(asid_); });
      break;
    case Special::kInvlpg:
      ++events_.page_flushes;
      each([this](WalkModel& model) { model.flush_upper_entries(asid_); });
      break;
    case Special::kInvlpga:
      ++events_.page_flushes;
      each([this](WalkModel& model) { model.flush_upper_entries(guest_asid_); });
      break;
    case Special::kVmrun:
      if (block != nullptr) enter_guest(*block);
      break;
    case Special::kVmloadOrVmsave:
    case Special::kNone:
      break;
  }
}

void Observer::enter_guest(const ControlBlock& block) {
  ++events_.entries;
  nested_ = block.nested;
  guest_asid_ = asid_ = static_cast<uint8_t>(block.asid);
  if (block.tlb_control != 0) ++events_.flushes_at_entry;
  if (block.tlb_control == kFlushAll) each([](WalkModel& model) { model.flush_all(); });
  if (block.tlb_control == kFlushAsid) each([this](WalkModel& model) { model.flush_asid(asid_); });
  if (block.tlb_control == kFlushAsidNotGlobal) {
    each([this](WalkModel& model) { model.flush_lower_half(asid_); });
  }
  last_page_.fill(~uint64_t{0});
}

void Observer::access(Stream stream, uint64_t address, uint64_t physical) {
  ++accesses_[static_cast<size_t>(owner_of(asid_, address))][static_cast<size_t>(stream)];
  look_at_frame(address >> kPageShift, physical >> kPageShift);
  last_page_[static_cast<size_t>(stream)] = address >> kPageShift;
  for (Named& named : models_) named.model.access({asid_, stream, address, physical});
}

void Observer::look_at_frame(uint64_t page, uint64_t frame) {
  Seen& seen = frames_[(page ^ page >> 18 ^ uint64_t{asid_} << 10) % kFrames];
  const uint64_t name = page << 8 | asid_;
  if (seen.page == name && seen.frame == frame) return;
  if (seen.page == name) {
    ++events_.moved_pages;
    each([&](WalkModel& model) { model.flush_page(asid_, page << kPageShift); });
  }
  if (asid_ != 0 && (page << kPageShift >> 47 & 1) == 0) {
    ++events_.pages;
    if ((page ^ frame) % kPagesOf2M != 0) ++events_.small_pages;
  }
  seen = {name, frame};
}

}  // namespace walks
