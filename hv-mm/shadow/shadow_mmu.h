// The shadow MMU: runs a guest that keeps its own page tables on tables that the hypervisor keeps, by showing
// the processor what the guest's tables said when they were last looked at. A fault looks at the path of its
// address; when else they are looked at is the policy's, a derived class:
//
//   TrappedMmu (trapped/)  the guest's tables are write-protected, and its stores there are seen
//   ToldMmu (told/)        the guest says what it has written
//
// Entries are installed ahead of faults only where the guest's A is set, and writable only where D is: the
// guest's A and D never lie.
//
// Nothing that a guest does trips an assertion or takes unbounded time; an exhausted pool recycles the oldest
// pages. Concurrency: one vCPU, stopped. Hosted: all but the modes.
// Source: AMD64 APM vol. 2, 15.25 (shadow paging), 5.5 (TLB); the technique is that of KVM's shadow MMU.
#pragma once

#include <optional>

#include "hv-mm/shadow/guest_walk.h"
#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

class ShadowMmu {
 public:
  // Errors: ShadowTables::init().
  Result<void> init(const GuestMemory& guest, const ShadowPool& pool, GuestProcessor processor);

  struct Fault {
    enum class Outcome : u8 {
      kResolved,      // the access works now
      kReflect,       // the guest takes #PF with error_code
      kEmulateStore,  // the access stores to a protected table at gpa: it is for the policy to execute
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
  virtual void invlpg(Gva va) = 0;
  // A flush of everything (CR4.PGE and the like).
  virtual void flush() = 0;

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

 protected:
  // `tables` are the derived class's.
  explicit ShadowMmu(ShadowTables& tables) : tables_(tables) {}
  ~ShadowMmu() = default;

  // --- the policy ---
  // The guest may store to this protected frame, at va. False: the store is to be executed for it.
  virtual bool let_write(u64 gfn, Gva va) = 0;
  // The mirror of a guest table, true to it, about to be linked; 0 when there is none.
  virtual PageIndex usable_mirror(u64 gfn, unsigned level) = 0;
  // What a table that is linked shows, with all below, becomes reachable in more ways than before: it is made
  // true to the guest's.
  virtual void catch_up(PageIndex index) = 0;
  // The guest has loaded this root.
  virtual void root_loaded() = 0;

  PageIndex mirror_for_use(u64 gfn, unsigned level) {
    const PageIndex usable = usable_mirror(gfn, level);
    return usable != 0 ? usable : tables_.new_mirror(gfn, level);
  }
  // The link of a higher table stays, `shown`, with the rights that the guest's entry has now.
  void relink(PageIndex index, unsigned slot, pt::Entry shown, pt::Entry guest) {
    if ((shown.word() ^ guest.word()) & ShadowTables::kRights) change_rights(index, slot, shown, guest);
  }
  // Links what `to` has of these entries in common with `from`, so that a new root does not fault its way
  // there. What the shadow shows decides, not the guest's older table, which may say something else by now.
  void copy_entries(PageIndex from, PageIndex to, unsigned first, unsigned count);
  // The guest has linked a table, after a fault that it took: what it maps there is likely what it faulted
  // on, and is shown. Gives the guest's table whose leaf that is, if one is.
  std::optional<u64> speculate();
  // Whether the guest's entry in a table of this level can be shown as a link to `child`.
  [[nodiscard]] bool links(pt::Entry guest, unsigned level, PageIndex child) const {
    const ShadowPage& below = tables_.page(child);
    return guest.present() && guest.accessed() && !guest.large() && !reserved_.set_in(guest, level) &&
           below.kind == ShadowKind::kMirror && below.gfn == guest.frame().number();
  }
  // The mirror of the table of this level that is shown for va; 0 when none is.
  [[nodiscard]] PageIndex mirror_on_path(PageIndex root, Gva va, unsigned level) const;

  GuestMemory guest_;
  ReservedBits reserved_;
  PageIndex root_ = 0;
  u64 root_gfn_ = 0;
  bool reflected_valid_ = false;

 private:
  void change_rights(PageIndex index, unsigned slot, pt::Entry shown, pt::Entry guest);
  void set_accessed_dirty(GuestWalk& walk, Gva va, bool write);
  void install(Gva va, const GuestWalk& walk);
  PageIndex descend(PageIndex parent, unsigned level, Gva va, pt::Entry guest);
  unsigned refresh_around(PageIndex page, unsigned index, bool was_installed);

  ShadowTables& tables_;
  u64 root_cr3_ = 0;
  bool smep_ = false;
  Gva reflected_;  // address of the last reflected fault: what the guest is about to map
};

}  // namespace nopte::hv
