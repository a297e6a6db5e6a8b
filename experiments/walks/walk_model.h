// What a processor's TLBs and paging-structure caches make of a stream of accesses: misses and references of
// page walks, for one choice of dimensions and leaf sizes.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "experiments/walks/tlb.h"

namespace walks {

enum class Leaf : uint8_t { k4K, k2M };
enum class Dimensions : uint8_t { kOne, kTwo };
enum class Stream : uint8_t { kData, kCode };

// Whose access it is: the hypervisor's, the guest kernel's or a program's (by the half of the address space).
enum class Owner : uint8_t { kHypervisor, kKernel, kProgram };
inline constexpr size_t kOwners = 3;

struct Counts {
  uint64_t first_level_misses = 0;
  uint64_t walks = 0;              // missed the second level, too
  uint64_t references = 0;         // of these walks, to page tables of either dimension
  uint64_t nested_references = 0;  // of these, to the nested tables
};

struct Access {
  uint8_t asid = 0;  // 0: the hypervisor's, which is not nested
  Stream stream = Stream::kData;
  uint64_t address = 0;
  uint64_t physical = 0;  // taken for the guest-physical address: they differ by a constant number of 2 MiB
};

[[nodiscard]] constexpr Owner owner_of(uint8_t asid, uint64_t address) {
  if (asid == 0) return Owner::kHypervisor;
  return (address >> 47 & 1) != 0 ? Owner::kKernel : Owner::kProgram;
}

class WalkModel {
 public:
  // `guest`: the leaves of the tables that the program's addresses go through first; `nested`: of the second
  // ones.
  WalkModel(Dimensions dimensions, Leaf guest, Leaf nested);

  void access(const Access& access);

  // MOV to CR3: what is not global, with all upper entries.
  void flush_lower_half(uint8_t asid);
  // TLB_CONTROL, MOV to CR4: all of one space identifier.
  void flush_asid(uint8_t asid);
  void flush_all();
  // INVLPG takes all upper entries along (APM vol. 2, 5.5.2: EFER.TCE is clear).
  void flush_upper_entries(uint8_t asid);
  // One page is not where it was.
  void flush_page(uint8_t asid, uint64_t address);

  [[nodiscard]] const Counts& counts(Owner owner, Stream stream) const {
    return counts_[static_cast<size_t>(owner)][static_cast<size_t>(stream)];
  }

 private:
  [[nodiscard]] Leaf guest_leaf(uint8_t asid) const;
  [[nodiscard]] bool is_nested_space(uint8_t asid) const {
    return dimensions_ == Dimensions::kTwo && asid != 0;
  }
  [[nodiscard]] Leaf entry_leaf(uint8_t asid) const;
  void walk(const Access& access, Counts& counts);
  unsigned start_level(uint8_t asid, uint64_t address, bool nested, unsigned leaf_level);
  void keep_upper(uint8_t asid, uint64_t address, bool nested, unsigned level);
  void translate_guest_physical(const Access& access, uint64_t guest_physical, Counts& counts);
  uint64_t table_address(const Access& access, unsigned level);
  template <typename Condemned>
  void remove_everywhere(Condemned condemned);

  Dimensions dimensions_;
  Leaf guest_;
  Leaf nested_;
  Tlb data_first_{kDataFirst};
  Tlb data_second_{kDataSecond};
  Tlb code_first_{kCodeFirst};
  Tlb code_second_{kCodeSecond};
  Tlb directories_{kDirectoryCache};
  Tlb nested_tlb_{kNestedTlb};
  std::unordered_map<uint64_t, uint64_t> tables_;  // where each of the guest's tables lies
  Counts counts_[kOwners][2];
};

}  // namespace walks
