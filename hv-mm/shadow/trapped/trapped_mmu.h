// The shadow MMU of a guest whose tables are write-protected from their first use. When they are looked at,
// beside faults (the synchronisation points):
//   - a store to a leaf table lets it go out of sync: it becomes writable, later stores cost nothing, and the
//     shadow shows what it said before until INVLPG, a CR3 load that reaches it, or a new link to it. That is
//     what the architecture promises of a TLB.
//   - a store to a higher table is executed for the guest (store()), and the shadow follows at once. A store
//     that cannot be decoded releases the table (release()): the processor may execute it, and the shadow
//     shows what the table said until INVLPG or a CR3 load, after which it is shadowed anew when it is used.
//
// Tables of a dead process: a store into a table that only an inactive root reaches, which empties an entry
// or cannot be decoded, drops the whole shadow of that root: its remaining tables are then torn down or
// reused without exits.
#pragma once

#include "hv-mm/shadow/shadow_mmu.h"
#include "hv-mm/shadow/trapped/trapped_tables.h"

namespace nopte::hv {

class TrappedMmu final : public ShadowMmu {
 public:
  TrappedMmu() : ShadowMmu(tables_) {}

  void invlpg(Gva va) override;
  void flush() override;

  // Executes a store of `bytes` (1, 2, 4 or 8) to guest memory where a shadowed table may lie.
  // Errors: kBadAddress (outside guest memory, or not naturally aligned): nothing has changed.
  Result<void> store(Gpa gpa, u64 value, unsigned bytes);
  // The table in this frame is no longer protected: the processor may store to it.
  void release(Gpa gpa);

  // Tests.
  [[nodiscard]] TrappedTables& tables() { return tables_; }

 private:
  // Where a page is linked from, climbing while there is one parent.
  struct Reach {
    enum class Kind : u8 { kActive, kInactive, kShared };
    Kind kind;
    PageIndex top;  // kInactive: the topmost page
  };

  bool let_write(u64 gfn, Gva va) override;
  PageIndex usable_mirror(u64 gfn, unsigned level) override;
  void catch_up(PageIndex index) override;
  void root_loaded() override;

  void entry_stored(PageIndex page, unsigned index, pt::Entry before, pt::Entry after);
  void let_go_out_of_sync(PageIndex page);
  void loosen(u64 gfn);
  void sync(PageIndex page);
  void sync_reachable();
  // Released pages have no use any more; a root in use starts empty.
  void forget_released() {
    if (tables_.first_released() != 0) [[unlikely]]
      zap_released();
  }
  void zap_released();
  [[nodiscard]] Reach reach(PageIndex page) const;

  TrappedTables tables_;
};

}  // namespace nopte::hv
