// The shadow MMU of a guest that says what it does to its tables (the interfaces: hv-mm/told). The guest's
// tables stay the truth: what is told only says where to look. What a guest does not tell is shown as it was
// until a fault or INVLPG looks at it.
#pragma once

#include "hv-mm/shadow/shadow_mmu.h"
#include "hv-mm/shadow/told/told_tables.h"

namespace nopte::hv {

class ToldMmu final : public ShadowMmu {
 public:
  ToldMmu() : ShadowMmu(tables_) {}

  void invlpg(Gva va) override;
  void flush() override {}  // nothing lags behind what was told

  // The guest has written the entry at this address: what is shown of it follows the guest's table as it is
  // now. Nothing happens where no shadowed table lies. Precondition: entry_address(gpa).
  void entry_told(Gpa gpa) { block_told(block_of(gpa), block_bit(gpa)); }
  // The same for gpa_of(first) ... gpa_of(end - 1), in this order. Those in a row that lie in one block of 64
  // are looked at together.
  template <class GpaOf>
  void entries_told(u64 first, u64 end, GpaOf gpa_of) {
    u64 block = 0, which = 0;
    for (; first < end; ++first) {
      const Gpa gpa = gpa_of(first);
      if (block_of(gpa) != block) {
        if (which != 0) block_told(block, which);
        block = block_of(gpa);
        which = 0;
      }
      which |= block_bit(gpa);
    }
    if (which != 0) block_told(block, which);
  }
  // The same, and first writes it for the guest.
  void entry_set(Gpa gpa, pt::Entry value);
  [[nodiscard]] bool entry_address(Gpa gpa) const {
    return gpa.value() % sizeof(u64) == 0 && guest_.contains(gpa.page());
  }
  // After what was told since the last exit: the page that the guest faulted on last is shown, if it is
  // mapped now.
  void told_all();
  // The frame is no table any more: its shadow goes, and what only it linked. The root in use starts empty.
  // Precondition: in guest memory.
  void table_released(u64 gfn);
  // The frame is a new root: of [first, first + count) it shows at once what the root in from_gfn shows and
  // the guest's entries agree on. Precondition: in guest memory, first + count <= 512.
  void root_cloned(u64 gfn, u64 from_gfn, unsigned first, unsigned count);
  // The same by root and address (told_by_address.cc); an address of the kernel's half is every root's.
  // Preconditions: root_gfn in guest memory, va canonical.
  // The leaf entry for va is this one now: that is what is shown. Precondition: present only with a frame in
  // guest memory.
  void leaf_told(u64 root_gfn, Gva va, pt::Entry entry);
  // The entry of this level, 2 to 4, for va is another now: what it led to is not shown any more.
  void table_told(u64 root_gfn, Gva va, unsigned level);
  enum class Forget : u8 { kUser, kEverything };
  // Nothing is shown any more of the user addresses of the root in use, or of anything, before the guest
  // faults there.
  void forget(Forget what);

  // Tests.
  [[nodiscard]] ToldTables& tables() { return tables_; }

 private:
  bool let_write(u64, Gva) override { return true; }  // no frame is protected
  PageIndex usable_mirror(u64 gfn, unsigned level) override;
  void catch_up(PageIndex) override {}
  void root_loaded() override {}

  [[nodiscard]] static u64 block_of(Gpa gpa) { return gpa.value() / (64 * sizeof(u64)); }
  [[nodiscard]] static u64 block_bit(Gpa gpa) { return u64{1} << gpa.value() / sizeof(u64) % 64; }
  // Those of a block's entries whose bit is in `which`.
  void block_told(u64 block, u64 which);
  void link_told(PageIndex page, unsigned slot, pt::Entry guest);
  template <class Visit>
  void for_each_root_of(u64 root_gfn, Gva va, unsigned level, Visit visit);

  ToldTables tables_;
  bool unseen_ = false;  // an entry was told of a table that has no shadow, or that links one
};

}  // namespace nopte::hv
