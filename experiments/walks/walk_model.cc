#include "experiments/walks/walk_model.h"

#include <algorithm>

namespace walks {
namespace {

constexpr unsigned kRootLevel = 4;
// The hypervisor maps memory for itself by 2 MiB (hv-mm/boot/linear_map.h).
constexpr Leaf kHypervisorLeaf = Leaf::k2M;
// Tells the address of a table from that of the page beside which it is taken to lie: a bit of the offset in
// the page.
constexpr uint64_t kTableBit = uint64_t{1} << 11;

constexpr unsigned level_of(Leaf leaf) { return leaf == Leaf::k4K ? 1 : 2; }

constexpr Kind leaf_kind(Leaf leaf, bool nested) {
  if (nested) return leaf == Leaf::k4K ? Kind::kNestedLeaf4K : Kind::kNestedLeaf2M;
  return leaf == Leaf::k4K ? Kind::kLeaf4K : Kind::kLeaf2M;
}

// The upper entry of `level` (2 to 4).
constexpr Kind upper_kind(unsigned level, bool nested) {
  const Kind lowest = nested ? Kind::kNestedLevel2 : Kind::kLevel2;
  return static_cast<Kind>(static_cast<unsigned>(lowest) + level - 2);
}

constexpr bool is_upper(Kind kind) {
  return (kind >= Kind::kLevel2 && kind <= Kind::kLevel4) || kind >= Kind::kNestedLevel2;
}

}  // namespace

WalkModel::WalkModel(Dimensions dimensions, Leaf guest, Leaf nested)
    : dimensions_(dimensions), guest_(guest), nested_(nested) {}

Leaf WalkModel::guest_leaf(uint8_t asid) const { return asid == 0 ? kHypervisorLeaf : guest_; }

// A TLB's entry is as large as the smaller of the two leaves.
Leaf WalkModel::entry_leaf(uint8_t asid) const {
  return is_nested_space(asid) ? std::min(guest_leaf(asid), nested_) : guest_leaf(asid);
}

void WalkModel::access(const Access& access) {
  const Owner owner = owner_of(access.asid, access.address);
  Counts& counts = counts_[static_cast<size_t>(owner)][static_cast<size_t>(access.stream)];
  Tlb& first = access.stream == Stream::kData ? data_first_ : code_first_;
  Tlb& second = access.stream == Stream::kData ? data_second_ : code_second_;
  const Key key(access.asid, leaf_kind(entry_leaf(access.asid), false), access.address);
  if (first.find(key)) return;
  ++counts.first_level_misses;
  if (!second.find(key)) {
    ++counts.walks;
    walk(access, counts);
    second.insert(key);
  }
  first.insert(key);
}

void WalkModel::walk(const Access& access, Counts& counts) {
  const unsigned leaf_level = level_of(guest_leaf(access.asid));
  const bool two = is_nested_space(access.asid);
  for (unsigned level = start_level(access.asid, access.address, false, leaf_level); level >= leaf_level;
       --level) {
    if (two) translate_guest_physical(access, table_address(access, level), counts);
    ++counts.references;
    if (level > leaf_level) keep_upper(access.asid, access.address, false, level);
  }
  if (two) translate_guest_physical(access, access.physical & ~(kTableBit * 2 - 1), counts);
}

// The level of the first entry that must be read from memory: below the lowest one that is kept.
unsigned WalkModel::start_level(uint8_t asid, uint64_t address, bool nested, unsigned leaf_level) {
  for (unsigned level = leaf_level + 1; level <= kRootLevel; ++level) {
    Tlb& cache = level == 2 ? data_second_ : directories_;
    if (cache.find(Key(asid, upper_kind(level, nested), address))) return level - 1;
  }
  return kRootLevel;
}

void WalkModel::keep_upper(uint8_t asid, uint64_t address, bool nested, unsigned level) {
  Tlb& cache = level == 2 ? data_second_ : directories_;
  cache.insert(Key(asid, upper_kind(level, nested), address));
}

void WalkModel::translate_guest_physical(const Access& access, uint64_t guest_physical, Counts& counts) {
  // A table's page is not the page beside which it is taken to lie.
  const uint64_t page = guest_physical | (guest_physical & kTableBit) << 36;
  const uint64_t address = nested_ == Leaf::k4K ? page : guest_physical;
  const Key key(access.asid, leaf_kind(nested_, true), address);
  if (nested_tlb_.find(key)) return;
  const unsigned leaf_level = level_of(nested_);
  for (unsigned level = start_level(access.asid, guest_physical, true, leaf_level); level >= leaf_level;
       --level) {
    ++counts.references;
    ++counts.nested_references;
    if (level > leaf_level) keep_upper(access.asid, guest_physical, true, level);
  }
  nested_tlb_.insert(key);
}

// Where the guest's table of `level` lies is not seen. It is taken to lie in the 2 MiB of the page that was
// first walked to through it, where an allocator that gives out memory in order has put it.
uint64_t WalkModel::table_address(const Access& access, unsigned level) {
  const uint64_t prefix = access.address << 16 >> 16 >> (12 + 9 * level);
  const uint64_t name = prefix | uint64_t{level} << 48 | uint64_t{access.asid} << 56;
  const uint64_t place = (access.physical & ~(kTableBit * 2 - 1)) | kTableBit;
  const uint64_t apart = uint64_t{level - 1} << 12;  // tables of several levels that come with one page
  return tables_.try_emplace(name, place ^ apart).first->second;
}

template <typename Condemned>
void WalkModel::remove_everywhere(Condemned condemned) {
  for (Tlb* tlb : {&data_first_, &data_second_, &code_first_, &code_second_, &directories_, &nested_tlb_})
    tlb->remove_if(condemned);
}

void WalkModel::flush_lower_half(uint8_t asid) {
  remove_everywhere([asid](Key key) {
    return key.asid() == asid && !is_nested(key.kind()) && (is_upper(key.kind()) || !key.upper_half());
  });
}

void WalkModel::flush_asid(uint8_t asid) {
  remove_everywhere([asid](Key key) { return key.asid() == asid; });
}

void WalkModel::flush_all() {
  remove_everywhere([](Key) { return true; });
}

void WalkModel::flush_upper_entries(uint8_t asid) {
  remove_everywhere(
      [asid](Key key) { return key.asid() == asid && !is_nested(key.kind()) && is_upper(key.kind()); });
}

void WalkModel::flush_page(uint8_t asid, uint64_t address) {
  const Key small(asid, Kind::kLeaf4K, address);
  const Key large(asid, Kind::kLeaf2M, address);
  remove_everywhere([=](Key key) { return key == small || key == large; });
}

}  // namespace walks
