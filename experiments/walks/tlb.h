// A set-associative cache of translations with least-recently-used replacement. It holds keys only: what is
// asked of it is whether the processor would have found them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "experiments/walks/processor.h"

namespace walks {

// What an entry translates, in the order of the walk. The nested ones are looked up by guest-physical
// address.
enum class Kind : uint8_t {
  kLeaf4K,
  kLeaf2M,
  kLevel2,  // an entry of a page directory: covers 2 MiB
  kLevel3,
  kLevel4,
  kNestedLeaf4K,
  kNestedLeaf2M,
  kNestedLevel2,
  kNestedLevel3,
  kNestedLevel4,
};

inline constexpr unsigned shift_of(Kind kind) {
  constexpr std::array<unsigned, 10> kShifts{12, 21, 21, 30, 39, 12, 21, 21, 30, 39};
  return kShifts[static_cast<size_t>(kind)];
}
inline constexpr bool is_nested(Kind kind) { return kind >= Kind::kNestedLeaf4K; }

// The address space identifier, what is translated, and the address without the bits below its shift.
class Key {
 public:
  constexpr Key() = default;
  constexpr Key(uint8_t asid, Kind kind, uint64_t address)
      : word_((address << 16 >> 16 >> shift_of(kind)) | uint64_t{static_cast<uint8_t>(kind)} << 48 |
              uint64_t{asid} << 56) {}
  [[nodiscard]] constexpr uint8_t asid() const { return static_cast<uint8_t>(word_ >> 56); }
  [[nodiscard]] constexpr Kind kind() const { return static_cast<Kind>(word_ >> 48 & 0xff); }
  [[nodiscard]] constexpr uint64_t number() const { return word_ & ((uint64_t{1} << 48) - 1); }
  // In the upper half of the address space, whose translations are global here.
  [[nodiscard]] constexpr bool upper_half() const { return (number() << shift_of(kind()) >> 47 & 1) != 0; }
  friend constexpr bool operator==(Key, Key) = default;

 private:
  uint64_t word_ = ~uint64_t{0};  // no key: no kind is 0xff
};

class Tlb {
 public:
  explicit Tlb(TlbShape shape)
      : ways_(shape.ways), sets_(shape.entries / shape.ways), keys_(shape.entries), used_(shape.entries, 0) {}

  // True if `key` is there; it is then the most recently used of its set.
  bool find(Key key) {
    const size_t first = set_of(key) * ways_;
    size_t& hint = hints_[key.number() % kHints];
    if (hint < keys_.size() && keys_[hint] == key) {
      used_[hint] = ++clock_;
      return true;
    }
    for (size_t at = first; at < first + ways_; ++at) {
      if (keys_[at] == key) {
        used_[at] = ++clock_;
        hint = at;
        return true;
      }
    }
    return false;
  }

  // In place of the least recently used one of its set. `key` is not there yet.
  void insert(Key key) {
    const size_t first = set_of(key) * ways_;
    size_t victim = first;
    for (size_t at = first + 1; at < first + ways_; ++at) {
      if (used_[at] < used_[victim]) victim = at;
    }
    keys_[victim] = key;
    used_[victim] = ++clock_;
    hints_[key.number() % kHints] = victim;
  }

  template <typename Condemned>
  void remove_if(Condemned condemned) {
    for (size_t at = 0; at < keys_.size(); ++at) {
      if (!(keys_[at] == Key()) && condemned(keys_[at])) {
        keys_[at] = Key();
        used_[at] = 0;
      }
    }
  }

 private:
  static constexpr size_t kHints = 256;  // where a key was found last: only makes find() faster

  [[nodiscard]] size_t set_of(Key key) const { return key.number() % sets_; }

  size_t ways_;
  size_t sets_;
  std::vector<Key> keys_;
  std::vector<uint64_t> used_;  // 0: empty
  uint64_t clock_ = 0;
  std::array<size_t, kHints> hints_{};
};

}  // namespace walks
