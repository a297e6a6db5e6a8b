#include "tests/model/walkers.h"

#include "pvops/base/panic.h"

namespace nopte::model {
namespace {

constexpr u64 bits(unsigned high, unsigned low) { return (~u64{0} >> (63 - high)) & (~u64{0} << low); }

constexpr u64 kP = 1 << 0;
constexpr u64 kRw = 1 << 1;
constexpr u64 kUs = 1 << 2;
constexpr u64 kA = 1 << 5;
constexpr u64 kD = 1 << 6;
constexpr u64 kPs = 1 << 7;
constexpr u64 kG = 1 << 8;

// Bits that a processor faults for.
void expect_clear(u64 word, u64 reserved) { NOPTE_ASSERT((word & reserved) == 0); }

constexpr Walk kEverything{.frame = {}, .perm = kPermRWX, .user = true, .global = false, .dirty = false};

}  // namespace

void TableWalker::descend(Walk& walk, u64 word, bool no_execute) {
  if (!(word & kRw)) walk.perm = walk.perm & kPermRX;
  if (no_execute) walk.perm = walk.perm & kPermRW;
  if (!(word & kUs)) walk.user = false;
}

TableWalker::Found TableWalker::finish(Walk walk, u64 physical, u64 at, u64 leaf) const {
  walk.frame = decode_(Frame(physical >> 12));
  walk.global = leaf & kG;
  walk.dirty = leaf & kD;
  return {walk, at, leaf};
}

std::optional<Walk> TableWalker::walk(const Root& root, Gva va, Access access, Privilege privilege,
                                      Ways& ways) {
  auto found = find(root, va, ways);
  if (!found) return std::nullopt;
  if (permits(found->walk, access, privilege)) {
    const u64 marked = found->leaf | kA | (access == Access::kWrite ? kD : 0);
    if (marked != found->leaf) {
      if (entry_bytes() == kShortEntry) {
        store_word(found->at, static_cast<u32>(marked));
      } else {
        store_word(found->at, marked);
      }
    }
    found->walk.dirty = marked & kD;
  }
  return found->walk;
}

std::optional<Walk> TableWalker::look(const Root& root, Gva va, Ways& ways) {
  const auto found = find(root, va, ways);
  if (!found) return std::nullopt;
  return found->walk;
}

auto LongModeWalker::find(const Root& root, Gva va, Ways& ways) -> std::optional<Found> {
  const u64 address = va.value();
  Walk walk = kEverything;
  u64 table = root.address.value();
  unsigned level = levels_;
  if (const unsigned known = ways.lowest(); known != 0) {
    const Way& way = *ways.at[known];
    table = way.table, walk.perm = way.perm, walk.user = way.user;
    level = known - 1;
  }
  for (;; --level) {
    const unsigned low = 12 + 9 * (level - 1);  // bits 20:12, 29:21, 38:30, 47:39, 56:48
    const u64 at = table + 8 * (address >> low & 0x1ff);
    const u64 word = load_word<u64>(at);
    if (!(word & kP)) return std::nullopt;
    const bool leaf = level == 1 || (word & kPs);
    if (level > 3) expect_clear(word, kPs);  // PML4E, PML5E
    if (leaf && level > 1) expect_clear(word, bits(low - 1, 13));
    descend(walk, word, word >> 63);
    walk.large = leaf && level > 1;
    if (leaf) return finish(walk, (word & bits(51, low)) | (address & bits(low - 1, 0)), at, word);
    table = word & bits(51, 12);
    ways.at[level] = Way{table, walk.perm, walk.user};
  }
}

Walker::Root PaeWalker::load(PhysAddr root) {
  expect_clear(root.value(), ~bits(31, 5));
  Root loaded{root, {}};
  for (unsigned i = 0; i < 4; ++i) {
    loaded.registers[i] = load_word<u64>(root.value() + 8 * i);
    // A MOV to CR3 that meets these faults (table 4-8).
    if (loaded.registers[i] & kP) expect_clear(loaded.registers[i], bits(2, 1) | bits(8, 5) | bits(63, 52));
  }
  return loaded;
}

auto PaeWalker::find(const Root& root, Gva va, Ways& ways) -> std::optional<Found> {
  expect_clear(va.value(), bits(63, 32));
  const u64 address = va.value();
  Walk walk = kEverything;
  std::optional<Way>& way = ways.at[2];
  if (way) {
    walk.perm = way->perm, walk.user = way->user;
  } else {
    const u64 pointer = root.registers[address >> 30];
    if (!(pointer & kP)) return std::nullopt;
    const u64 at = (pointer & bits(51, 12)) + 8 * (address >> 21 & 0x1ff);
    const u64 directory = load_word<u64>(at);
    if (!(directory & kP)) return std::nullopt;
    expect_clear(directory, bits(62, 52));
    descend(walk, directory, directory >> 63);
    if (directory & kPs) {
      expect_clear(directory, bits(20, 13));
      walk.large = true;
      return finish(walk, (directory & bits(51, 21)) | (address & bits(20, 0)), at, directory);
    }
    way = Way{directory & bits(51, 12), walk.perm, walk.user};
  }
  const u64 at = way->table + 8 * (address >> 12 & 0x1ff);
  const u64 page = load_word<u64>(at);
  if (!(page & kP)) return std::nullopt;
  expect_clear(page, bits(62, 52));
  descend(walk, page, page >> 63);
  return finish(walk, (page & bits(51, 12)) | (address & 0xfff), at, page);
}

auto TwoLevelWalker::find(const Root& root, Gva va, Ways& ways) -> std::optional<Found> {
  expect_clear(va.value(), bits(63, 32));
  expect_clear(root.address.value(), ~bits(31, 12));
  const u64 address = va.value();
  Walk walk = kEverything;
  std::optional<Way>& way = ways.at[2];
  if (way) {
    walk.perm = way->perm, walk.user = way->user;
  } else {
    const u64 at = root.address.value() + 4 * (address >> 22);
    const u32 directory = load_word<u32>(at);
    if (!(directory & kP)) return std::nullopt;
    descend(walk, directory, false);
    if (directory & kPs) {
      // Address bits 39:32 are bits 20:13 (tables 4-4); 40 bits are this processor's width.
      expect_clear(directory, u64{1} << 21);
      walk.large = true;
      const u64 first = (directory & bits(31, 22)) | (u64{directory} & bits(20, 13)) << (32 - 13);
      return finish(walk, first | (address & bits(21, 0)), at, directory);
    }
    way = Way{directory & bits(31, 12), walk.perm, walk.user};
  }
  const u64 at = way->table + 4 * (address >> 12 & 0x3ff);
  const u32 page = load_word<u32>(at);
  if (!(page & kP)) return std::nullopt;
  descend(walk, page, false);
  return finish(walk, (page & bits(31, 12)) | (address & 0xfff), at, page);
}

}  // namespace nopte::model
