// A guest of mode vmi that says anything to it, by calls and in the queue.
#include <optional>

#include "hv-mm/told/vmi_calls.h"
#include "tests/fuzz/told_world.h"

namespace nopte::fuzz {
namespace {

using namespace abi::vmi;

class VmiGuest {
 public:
  explicit VmiGuest(ToldWorld& world) : world_(world), calls_(world.mmu()) {
    NOPTE_ASSERT(calls_.call(kSetQueue, {kQueue}).status == Status::kOk);
    NOPTE_ASSERT(calls_.call(kSetLinearMapping, {0, kLinear, ToldWorld::kGuestFrames, 0}).status ==
                 Status::kOk);
  }

  void call(u8 what, Input& input) {
    switch (what % 16) {
      case 0:
      case 1:
      case 2: {  // as a good guest: writes an entry and queues it
        const u64 gpa = ToldWorld::entry_address(input);
        world_.write(gpa, ToldWorld::word(input));
        queue((kLinear + gpa) | (1 + what / 16 % 4));
        break;
      }
      case 3:
      case 4: {
        const u64 gpa = ToldWorld::entry_address(input);
        const u64 va = what & 16 ? ToldWorld::virtual_address(input) & ~kUpdateFlagBits : 0;
        set_pxe(ToldWorld::word(input), kLinear + gpa,
                page_type(1 + what / 32 % 4) | va | (what & 16 ? kCurrentAs : 0));
        break;
      }
      case 5: {  // whole tables
        const u64 table = ToldWorld::table(input);
        drain();
        for (u64 slot = 0; slot < pt::kEntriesPerTable; slot += 2) queue((kLinear + table + slot * 8) | 1);
        break;
      }
      case 6: {  // a root, from another
        const u64 page = ToldWorld::table(input) / kPageBytes;
        const u64 from = ToldWorld::table(input) / kPageBytes;
        const u64 first = ToldWorld::kSlots[input.byte() % 4];
        queue(page << kWordPageShift | (kPagePml4 | kPagePae | kPageClone) << kWordFlagsShift |
              kWordAllocate);
        queue(from << kWordCloneShift | first << kWordFirstShift | (pt::kEntriesPerTable - first));
        break;
      }
      case 7:
        queue(ToldWorld::table(input) | (page_type(1 + what / 16 % 4) | kPagePae) << kWordFlagsShift |
              kWordRelease);
        break;
      case 8:  // nonsense in the queue
        world_.write(kQueue + input.byte() % 8 * 8, ToldWorld::nasty(input));
        break;
      case 9:
        plain(kSetCr3, {what & 16 ? ToldWorld::nasty(input) : ToldWorld::table(input)});
        break;
      case 10: {
        const u64 page = what & 16 ? ToldWorld::nasty(input) : ToldWorld::table(input) / kPageBytes;
        pages(what & 32 ? kAllocatePage : kReleasePage, {page, ToldWorld::nasty(input) ^ kPagePae});
        break;
      }
      case 11: {
        const u64 page = ToldWorld::nasty(input);
        const u64 from = ToldWorld::nasty(input);
        const u64 first = ToldWorld::nasty(input);
        pages(kAllocatePage, {page, kPagePml4 | kPagePae | kPageClone, from, first, ToldWorld::nasty(input)});
        break;
      }
      case 12: {
        const u64 pointer = ToldWorld::nasty(input) + (what & 16 ? kLinear : 0);
        if (what & 32) {
          update_pxe(pointer, ToldWorld::nasty(input));
        } else {
          set_pxe(ToldWorld::word(input), pointer, ToldWorld::nasty(input));
        }
        break;
      }
      case 13:
        plain(what & 16 ? kInvalPage : what & 32 ? kFlushTlb : kSetLazyMode, {ToldWorld::nasty(input)});
        break;
      case 14:
        map(what, input);
        break;
      default: {
        static constexpr u32 kOthers[] = {kGetCr3, 0, 38, 40, 42, 43, 0x1001, ~u32{0}};
        const u32 number = kOthers[what / 16 % 8];
        NOPTE_ASSERT(plain(number, {1, 2, 3}) == (number == kGetCr3));
      }
    }
    world_.adopt_root();
  }
  // The hypervisor is about to look at the guest's tables.
  void before_look() { drain(); }

 private:
  static constexpr u64 kQueue = 600 * kPageBytes;
  static constexpr u64 kLinear = 0xffff'8000'0000'0000;

  // --- what the guest has queued ---
  [[nodiscard]] static u64 read(u64 gpa) { return ToldWorld::guest().read(gpa); }
  void queue(u64 word) {
    if (!queue_at_) return;
    const u64 count = read(*queue_at_);
    if (count >= kQueueWords) return;
    world_.write(*queue_at_ + 8 + count * 8, word);
    world_.write(*queue_at_, count + 1);
  }
  // What the words are about, before they are done; the queue's own count changes with it.
  struct Word {
    u64 word;
    u64 second;
  };
  [[nodiscard]] std::vector<Word> queued() const {
    std::vector<Word> words;
    if (!queue_at_) return words;
    const u64 count = read(*queue_at_);
    if (count > kQueueWords) return words;
    for (u64 i = 0; i < count; ++i) {
      const u64 word = read(*queue_at_ + 8 + i * 8);
      const bool two = (word & kWordOp) == kWordAllocate && i + 1 < count;
      words.push_back({word, two ? read(*queue_at_ + 16 + i * 8) : 0});
      if (two) ++i;
    }
    return words;
  }
  // Around whatever empties the queue; work() gives true when the queue was done.
  template <class Work>
  bool draining(Work work) {
    const std::vector<Word> words = queued();
    const bool waits = queue_at_ && read(*queue_at_) != 0;
    if (queue_at_) world_.said(*queue_at_, read(*queue_at_));  // it may lie in a table
    const std::optional<u64> at = queue_at_;
    const bool done = work();
    if (at && waits) {
      NOPTE_ASSERT(read(*at) == 0);
      world_.write(*at, 0);
    }
    if (!done) return false;
    for (const Word& word : words) {
      if (const u64 op = word.word & kWordOp; op <= pt::kLevels) {
        world_.told(entry_at(word.word & ~kWordOp));
      } else {
        world_.table_gone(word.word >> kWordPageShift);
      }
    }
    return true;
  }
  void drain() {
    const auto before = world_.before();
    if (!draining([this] { return calls_.drain(); })) world_.refused(before);
    world_.adopt_root();
  }
  // A pointer that was taken, as the linear mappings are now.
  [[nodiscard]] u64 entry_at(u64 pointer) const {
    for (const Mapping& mapping : linear_) {
      if (pointer >= mapping.va && pointer - mapping.va < mapping.bytes)
        return mapping.to + (pointer - mapping.va);
    }
    NOPTE_PANIC("a pointer outside the linear mappings was taken");
  }

  // --- calls ---
  // True when it was done. A refused call has changed nothing but the queue, which was done unless it is what
  // was refused; so that the two can be told apart, the queue goes first.
  bool plain(u32 number, const abi::Registers& arguments) {
    drain();
    const auto before = world_.before();
    const hv::CallResult result = calls_.call(number, arguments);
    if (result.status == Status::kOk) return true;
    NOPTE_ASSERT(result.value >= kErrorNoSuchCall && result.value < kErrorQueue);
    world_.refused(before);
    return false;
  }
  void pages(u32 number, const abi::Registers& arguments) {
    if (!plain(number, arguments)) return;
    NOPTE_ASSERT(arguments[0] < ToldWorld::kGuestFrames);
    world_.table_gone(arguments[0]);
  }
  void set_pxe(u64 entry, u64 pointer, u64 flags) {
    if (!plain(kSetPxELong, {entry, pointer, flags})) return;
    const u64 gpa = entry_at(pointer);
    NOPTE_ASSERT(read(gpa) == entry);
    world_.write(gpa, entry);
    world_.told(gpa);
  }
  void update_pxe(u64 pointer, u64 flags) {
    if (plain(kUpdatePxELong, {pointer, flags})) world_.told(entry_at(pointer));
  }
  void map(u8 what, Input& input) {
    if (what & 16) {
      const u64 at = ToldWorld::nasty(input);
      if (plain(kSetQueue, {at})) queue_at_ = at == 0 ? std::nullopt : std::optional(at);
      return;
    }
    const u64 slot = what & 32 ? 1 : ToldWorld::nasty(input);
    const u64 va = ToldWorld::nasty(input), pages = ToldWorld::nasty(input), page = ToldWorld::nasty(input);
    if (plain(kSetLinearMapping, {slot, va, pages, page})) {
      NOPTE_ASSERT(page + pages <= ToldWorld::kGuestFrames && pages <= ToldWorld::kGuestFrames);
      linear_[slot] = {va, pages * kPageBytes, page * kPageBytes};
    }
  }

  ToldWorld& world_;
  hv::VmiCalls calls_;
  std::optional<u64> queue_at_ = kQueue;
  struct Mapping {
    u64 va, bytes, to;
  };
  Mapping linear_[kLinearSlots] = {{kLinear, ToldWorld::kGuestFrames* kPageBytes, 0}, {}, {}, {}};
};

}  // namespace
}  // namespace nopte::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 1024) nopte::fuzz::fuzz_told<nopte::fuzz::VmiGuest>(data, size);
  return 0;
}
