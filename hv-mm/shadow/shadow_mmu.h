// The shadow MMU: runs a guest that keeps its own page tables on tables that the hypervisor keeps, by showing
// the processor what the guest's tables said when they were last looked at.
//
// When they are looked at (the synchronisation points):
//   - tables of levels 2 to 4, and leaf tables, are write-protected from their first use. A store to a leaf
//     table lets it go out of sync: it becomes writable, later stores cost nothing, and the shadow shows what
//     it said before until INVLPG, a CR3 load that reaches it, or a new link to it. That is what the
//     architecture promises of a TLB.
//   - a store to a higher table is executed for the guest (store()), and the shadow follows at once. A store
//   that
//     cannot be decoded releases the table (release()): the processor may execute it, and the shadow shows
//     what the table said until INVLPG or a CR3 load, after which it is shadowed anew when it is used.
//   - a fault looks at the path of its address.
// Entries are installed ahead of faults only where the guest's A is set, and writable only where D is: the
// guest's A and D never lie.
//
// Tables of a dead process: a store into a table that only an inactive root reaches, which empties an entry
// or cannot be decoded, drops the whole shadow of that root: its remaining tables are then torn down or
// reused without exits.
//
// Nothing that a guest does trips an assertion or takes unbounded time; an exhausted pool recycles the oldest
// pages. Concurrency: one vCPU, stopped. Hosted: all but shadow_mode.cc.
// Source: AMD64 APM vol. 2, 15.25 (shadow paging), 5.5 (TLB); the technique is that of KVM's shadow MMU.
#pragma once

#include "hv-mm/shadow/guest_walk.h"
#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

class ShadowMmu {
 public:
  // Errors: ShadowTables::init().
  Result<void> init(const GuestMemory& guest, const ShadowPool& pool, GuestProcessor processor,
                    Tracking tracking = Tracking::kTrapped);

  struct Fault {
    enum class Outcome : u8 {
      kResolved,      // the access works now
      kReflect,       // the guest takes #PF with error_code
      kEmulateStore,  // the access stores to a shadowed table at gpa: execute it with store(), or release()
                      // it
      kOutside,       // the guest's tables name memory that it does not have
    };
    Outcome outcome = Outcome::kResolved;
    u64 error_code = 0;
    Gpa gpa;
  };
  // The processor faulted at va in the current root with this error code. A and D are set in the guest's
  // entries when the access is allowed (also for kEmulateStore).
  Fault on_page_fault(Gva va, u64 error_code);

  // CR4.SMEP of the guest.
  void set_smep(bool smep) { smep_ = smep; }

  // The guest loads CR3: the host-physical root to run on. Errors: kBadAddress (not in guest memory): nothing
  // has changed.
  Result<pt::PhysAddr> set_root(u64 cr3);
  [[nodiscard]] u64 guest_root() const { return root_cr3_; }
  [[nodiscard]] pt::PhysAddr host_root() const { return tables_.host_address(root_); }
  // INVLPG, any address.
  void invlpg(Gva va);
  // A flush of everything (CR4.PGE and the like).
  void flush();

  // Executes a store of `bytes` (1, 2, 4 or 8) to guest memory where a shadowed table may lie.
  // Errors: kBadAddress (outside guest memory, or not naturally aligned): nothing has changed.
  Result<void> store(Gpa gpa, u64 value, unsigned bytes);
  // The table in this frame is no longer protected: the processor may store to it.
  void release(Gpa gpa);

  // --- Tracking::kTold (shadow_told.cc) ---
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
  // The same by root and address (shadow_told_va.cc); an address of the kernel's half is every root's.
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

  // Guest-virtual to guest-physical by the guest's tables as they are now; rights are not looked at.
  // Errors: kBadAddress.
  [[nodiscard]] Result<Gpa> translate(Gva va) const {
    if (!pt::canonical(va)) return Fail(Status::kBadAddress);
    const GuestWalk walk = walk_guest_entries(guest_, reserved_, root_gfn_, va, 0);
    if (walk.outcome != GuestWalk::Outcome::kTranslated || !guest_.contains(walk.gfn(va))) {
      return Fail(Status::kBadAddress);
    }
    return Gpa(pages_to_bytes(walk.gfn(va)) | va.page_offset());
  }

  // Ends an exit.
  void end_exit() { tables_.end_exit(); }
  // Then: what the processor must forget before the guest runs; and that it did.
  [[nodiscard]] const ShadowLosses& losses() const { return tables_.losses(); }
  void forgive_losses() { tables_.forgive_losses(); }

  [[nodiscard]] const ShadowCounters& counters() const { return tables_.counters(); }
  [[nodiscard]] const GuestMemory& guest() const { return guest_; }
  // Tests.
  [[nodiscard]] bool take_flush() {
    end_exit();
    const bool any = losses().any();
    forgive_losses();
    return any;
  }
  [[nodiscard]] ShadowTables& tables() { return tables_; }
  [[nodiscard]] PageIndex root() const { return root_; }

 private:
  // Where a page is linked from, climbing while there is one parent.
  struct Reach {
    enum class Kind : u8 { kActive, kInactive, kShared };
    Kind kind;
    PageIndex top;  // kInactive: the topmost page
  };

  void set_accessed_dirty(GuestWalk& walk, Gva va, bool write);
  void install(Gva va, const GuestWalk& walk);
  PageIndex descend(PageIndex parent, unsigned level, Gva va, pt::Entry guest);
  void relink(PageIndex index, unsigned slot, pt::Entry guest);
  PageIndex mirror_for_use(u64 gfn, unsigned level);
  [[nodiscard]] static u64 block_of(Gpa gpa) { return gpa.value() / (64 * sizeof(u64)); }
  [[nodiscard]] static u64 block_bit(Gpa gpa) { return u64{1} << gpa.value() / sizeof(u64) % 64; }
  // Those of a block's entries whose bit is in `which`.
  void block_told(u64 block, u64 which);
  void link_told(PageIndex page, unsigned slot, pt::Entry guest);
  // Whether the guest's entry in a table of this level can be shown as a link to `child`.
  [[nodiscard]] bool links(pt::Entry guest, unsigned level, PageIndex child) const {
    const ShadowPage& below = tables_.page(child);
    return guest.present() && guest.accessed() && !guest.large() && !reserved_.set_in(guest, level) &&
           below.kind == ShadowKind::kMirror && below.gfn == guest.frame().number();
  }
  bool make_writable(u64 gfn, Gva va);
  void let_go_out_of_sync(PageIndex page);
  void entry_stored(PageIndex page, unsigned index, pt::Entry before, pt::Entry after);
  void speculate();
  void loosen(u64 gfn);

  void refresh_around(PageIndex page, unsigned index, bool was_installed);
  void sync(PageIndex page);
  void sync_reachable();
  void forget_detached();
  [[nodiscard]] Reach reach(PageIndex page) const;
  void copy_entries(PageIndex from, PageIndex to, unsigned first, unsigned count);
  [[nodiscard]] PageIndex mirror_on_path(PageIndex root, Gva va, unsigned level) const;
  template <class Visit>
  void for_each_root_of(u64 root_gfn, Gva va, unsigned level, Visit visit);
  void drop_all(PageIndex page, unsigned first, unsigned last);

  GuestMemory guest_;
  ReservedBits reserved_;
  ShadowTables tables_;
  PageIndex root_ = 0;
  u64 root_gfn_ = 0;
  u64 root_cr3_ = 0;
  bool smep_ = false;
  bool reflected_valid_ = false;
  bool unseen_ = false;  // an entry was told of a table that has no shadow, or that links one
  Gva reflected_;        // address of the last reflected fault: what the guest is about to map
};

}  // namespace nopte::hv
