// What an input does to a guest of mode shadow (shadow_world.h). The same input again gives the same
// counters.
#include <array>
#include <bit>

#include "tests/fuzz/input.h"
#include "tests/fuzz/shadow_world.h"

namespace nopte::fuzz {
namespace {

class Guest final : public ShadowWorld {
 public:
  using ShadowWorld::ShadowWorld;

  void operation(u8 what, Input& input) {
    const u64 first = input.byte(), count = what & 0x40 ? input.byte() % kRegions : 1;
    switch (what % 16) {
      case 0:
        access(address(first, input.byte()), kKinds[what / 16 % 6]);
        break;
      case 1:
      case 2:
      case 3: {  // an entry
        const u64 n = first % kTables;
        store(n, kSlots[input.byte() % std::size(kSlots)], word(input), what);
        break;
      }
      case 4:
        for_regions(first, count, [&](u64 n) { access(n * kRegion, 4); });  // leaf tables are used
        break;
      case 5: {  // and stored to
        const u64 value = word(input);
        for_regions(first, count, [&](u64 n) { store(kEnd - kRoot + n - 1, 1, value, what); });
        break;
      }
      case 6:  // their regions, by 2 MiB leaves
        for_regions(first, count, [&](u64 n) { access(kDirect + n * kRegion, 2); });
        break;
      case 7:
        for (u64 n = 0; n < count; ++n) access(2 * kGiant + (first + n) % kFillers * kRegion, 4);
        break;
      case 8:  // one more link to the level 3 table, or one less
        store(first % 2, 1 + first / 2 % 4, what & 0x80 ? 0 : kL3 * kPageBytes | kFlags, what);
        break;
      case 9:
        access((first % 5 << 39) + 3 * kGiant + first * kRegion % (kFrames * kPageBytes), 4);
        break;
      case 10:
      case 11:
        load_root(what & 0x80 ? input.raw(8) : table(first % kTables) * kPageBytes);
        break;
      case 12:
      case 13:
        invlpg(address(first, input.byte()));
        break;
      case 14:
        flush();
        break;
      default:
        if (what & 0x80) {
          store_unseen(first, input, what);
        } else {
          invlpg_anywhere(input.raw(8));
        }
    }
  }

 private:
  static constexpr u64 kKinds[] = {0, 2, 4, 6, 16, 20};
  static constexpr u64 kSlots[] = {0, 1, 2, 3, 4, 7, 22, 23};

  template <class Do>
  void for_regions(u64 first, u64 count, Do act) {
    for (u64 n = 0; n < count; ++n) act(1 + (first + n) % (kRegions - 1));
  }
  static u64 address(u64 where, u64 n) {
    const u64 top = where / 8 % 5 << 39;
    switch (where % 8) {
      case 0:
        return kDirect + table(n % kTables) * kPageBytes;
      case 1:
        return kDirect + n % kRegions * kRegion;
      case 2:
        return top + view(n % kTables);
      case 3:
        return top + 3 * kGiant + n * kRegion;
      case 4:
        return top + n % kRegions * kRegion + kPageBytes;
      case 5:
        return top + 2 * kGiant + n % kFillers * kRegion;
      default:
        return top + n % kRegions * kRegion;
    }
  }
  // A value for an entry.
  static u64 word(Input& input) {
    const u8 shape = input.byte(), n = input.byte();
    const u64 less =
        (shape & 8 ? kW : 0) | (shape & 16 ? kU : 0) | (shape & 32 ? kA : 0) | (shape & 64 ? kD : 0);
    const u64 flags = (kFlags & ~less) | (shape & 128 ? kNx : 0);
    switch (shape & 7) {
      case 0:
        return 0;
      case 1:
        return input.raw(8);
      case 2:
        return (n % (kRegions + 1)) * kRegion | flags | kPs;
      case 3:
        return (kFirstFiller + n % kFillers) * kPageBytes | flags;
      case 4:
        return kData * kPageBytes | flags;
      default:
        return table(n % kTables) * kPageBytes | flags;
    }
  }
  // A page is shown, then its leaf table is let go, and its entry changes unseen; then comes what makes the
  // processor forget, or may: a CR3 load, an INVLPG, a fault of a neighbour, a link to the table.
  void store_unseen(u64 first, Input& input, u8 how) {
    const u64 n = 1 + first % (kRegions - 1), table = kEnd - kRoot + n - 1, va = n * kRegion + kPageBytes;
    store(table, 1, kData * kPageBytes | kFlags, how);
    access(va, first & 0x80 ? 6 : 4);
    const u64 value = word(input);
    store(table, 1, value, how & ~kDecodable);
    store(table, 1, value, how & ~kDecodable);
    switch (input.byte() % 5) {
      case 0:
        load_root(kRoot * kPageBytes);
        break;
      case 1:
        load_root(kOtherRoot * kPageBytes);
        break;
      case 2:
        invlpg(va);
        break;
      case 3:
        access(va + kPageBytes, 4);
        break;
      default:
        store(kLeaves - kRoot, n % kRegions, leaf_table(n) * kPageBytes | kFlags, how);
    }
  }
};

using Counts = std::array<u64, sizeof(hv::ShadowCounters) / sizeof(u64)>;

}  // namespace
}  // namespace nopte::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nopte::fuzz;
  if (size > 1024) return 0;
  const auto run = [&](bool checked) {
    Input input(data, size);
    Guest guest(input.byte());
    for (unsigned steps = 0; input.more(); ++steps) {
      const nopte::u8 what = input.byte();
      guest.operation(what, input);
      guest.check(checked && steps % 8 == 0);
    }
    guest.check(checked);
    return std::bit_cast<Counts>(guest.counters());
  };
  const Counts counts = run(true);
  // The same again is the same to the last count; not every time, for speed.
  if (size % 8 == 7) NOPTE_ASSERT(run(false) == counts);
  return 0;
}
