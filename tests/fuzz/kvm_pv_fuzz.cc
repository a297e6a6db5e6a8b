// A guest of mode kvmpv that says anything to it.
#include <optional>

#include "hv-mm/told/kvm_pv_calls.h"
#include "tests/fuzz/told_world.h"

namespace nopte::fuzz {
namespace {

using namespace abi::kvmpv;

class KvmPvGuest {
 public:
  explicit KvmPvGuest(ToldWorld& world) : world_(world), calls_(world.mmu()) {
    NOPTE_ASSERT(calls_.set_buffer(kBuffer | kBufferEnable));
    buffer_ = kBuffer;
  }

  void call(u8 what, Input& input) {
    switch (what % 8) {
      case 0:
      case 1:
      case 2: {  // as a good guest: writes an entry and tells it
        const u64 gpa = ToldWorld::entry_address(input);
        world_.write(gpa, ToldWorld::word(input));
        put(what % kSlots, gpa);
        set_ptes(what % kSlots, 1, what & 64 ? kTlbFlushCurrent : 0);
        break;
      }
      case 3: {  // whole tables
        const u64 table = ToldWorld::table(input);
        for (u64 slot = 0; slot < kSlots; ++slot) put(slot, table + slot * 8);
        set_ptes(0, kSlots, kTlbFlush);
        break;
      }
      case 4:  // nonsense in the buffer
        put(ToldWorld::kSlots[input.byte() % 4], ToldWorld::nasty(input));
        break;
      case 5: {
        const u64 first = ToldWorld::nasty(input);
        const u64 count = ToldWorld::nasty(input);
        set_ptes(first, count, ToldWorld::nasty(input));
        break;
      }
      case 6:
        release_pt(what & 64 ? ToldWorld::nasty(input) : ToldWorld::table(input));
        break;
      default:
        if (what & 64) {
          const u64 value = ToldWorld::nasty(input) ^ (what & 32 ? kBufferEnable : 0);
          if (calls_.set_buffer(value)) {
            buffer_ = value == 0 ? std::nullopt : std::optional(value & ~kBufferEnable);
          }
        } else {
          const u64 number = ToldWorld::nasty(input);
          if (number == kSetPtes || number == kReleasePt) break;
          const auto before = world_.before();
          answered(calls_.call(number, {1, 2, 3}), kErrorNoSuchCall);
          world_.refused(before);
        }
    }
  }

 private:
  static constexpr u64 kBuffer = 600 * kPageBytes;

  void put(u64 index, u64 gpa) { world_.write(kBuffer + index * 8, gpa); }
  static bool answered(const hv::CallResult& result, u64 error) {
    if (result.status == Status::kOk) return true;
    NOPTE_ASSERT(result.value == error || result.value == kErrorInvalid || result.value == kErrorFault);
    return false;
  }
  void set_ptes(u64 first, u64 count, u64 flags) {
    const auto before = world_.before();
    if (!answered(calls_.call(kSetPtes, {first, count, flags}), kErrorInvalid)) {
      world_.refused(before);
      return;
    }
    NOPTE_ASSERT(first + count <= kSlots && (count == 0 || buffer_));
    for (u64 i = first; i < first + count; ++i) world_.told(ToldWorld::guest().read(*buffer_ + i * 8));
  }
  void release_pt(u64 gpa) {
    const auto before = world_.before();
    if (answered(calls_.call(kReleasePt, {gpa}), kErrorInvalid)) {
      world_.table_gone(gpa / kPageBytes);
    } else {
      world_.refused(before);
    }
  }

  ToldWorld& world_;
  hv::KvmPvCalls calls_;
  std::optional<u64> buffer_;
};

}  // namespace
}  // namespace nopte::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 1024) nopte::fuzz::fuzz_told<nopte::fuzz::KvmPvGuest>(data, size);
  return 0;
}
