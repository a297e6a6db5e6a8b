// The machine model: memory, processors that walk page tables, and TLBs that keep what they know until they
// are told to forget (tlb.h). Real processors (and QEMU) forget early; this one never does, so a missing
// flush shows.
//
// A guest runs under its ASID, and there what tlb_control and INVLPGA do not take stays, whatever the
// hypervisor did meanwhile: enter() is VMRUN, leave() the exit.
#pragma once

#include <array>
#include <cstring>
#include <expected>
#include <map>
#include <optional>
#include <vector>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/frames/frame_table.h"
#include "pvops/base/function_ref.h"
#include "tests/model/tlb.h"

namespace nopte::model {

using pt::Entry;
using pt::PhysAddr;
using pt::Privilege;

// Memory that frames lie in: frame numbers [first, first + frames). `page` is the kernel's view, by
// its direct map. `alias` is a second view of the same memory, a hypervisor's own and the processor's, so
// that the first can be closed or made read-only page by page. `spare` frames lie behind the range, for what
// is nobody's.
class Memory {
 public:
  Memory(u64 first_frame, u64 frames, u64 spare = 0);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] pt::FrameRange range() const { return pt::FrameRange::of(Frame(first_), frames_); }
  [[nodiscard]] u64 frames_with_spare() const { return frames_ + spare_; }
  [[nodiscard]] u64 direct_base() const {
    return reinterpret_cast<u64>(views_.view) - (first_ << kPageShift);
  }
  [[nodiscard]] u8* page(Frame frame) const {
    return views_.view + ((frame.number() - first_) << kPageShift);
  }
  [[nodiscard]] u8* alias(Frame frame) const {
    return views_.alias + ((frame.number() - first_) << kPageShift);
  }
  enum class Allowed : u8 { kNothing, kLoads, kAll };
  // What the first view allows.
  void set_access(pt::FrameRange frames, Allowed allowed);
  // A third view, of the range alone, whose page place(n) is frame first + n. Called once.
  u8* map_in_order(FunctionRef<u64(u64)> place);

  struct Views {
    u64 bytes;
    int file;
    u8* view;
    u8* alias;
  };

 private:
  u64 first_;
  u64 frames_;
  u64 spare_;
  Views views_;
  u8* ordered_ = nullptr;
};

// Who knows the tables: hardware over memory (walkers.h), or a host that keeps its own (lguest).
class Walker {
 public:
  // What a CPU keeps of a root that it has loaded: with PAE, what the root's four entries were.
  struct Root {
    PhysAddr address;
    std::array<u64, 4> registers;
    friend bool operator==(const Root&, const Root&) = default;
  };

  virtual ~Walker() = default;
  virtual Root load(PhysAddr root) = 0;
  // `ways`, in: where the walk may begin; out: what it has read. Sets A, and D for a write that the rights
  // allow.
  virtual std::optional<Walk> walk(const Root& root, Gva va, Access access, Privilege privilege,
                                   Ways& ways) = 0;
  // What is there for va, without an access: nothing is marked.
  virtual std::optional<Walk> look(const Root& root, Gva va, Ways& ways) = 0;
  // The frame of a table that an entry leads to, where the tables are those of whom the machine watches.
  [[nodiscard]] virtual std::optional<Frame> table_frame(u64) const { return std::nullopt; }
  // Which addresses one leaf table maps: those equal above this bit.
  [[nodiscard]] virtual unsigned leaf_table_shift() const = 0;
};

// True when a translation with these rights lets the access through.
inline bool permits(const Walk& walk, Access access, Privilege privilege) {
  return allows(walk.perm, access) && (walk.user || privilege == Privilege::kKernel);
}

// Who takes page faults before the guest does: a hypervisor.
class FaultIntercept {
 public:
  // With the error code of vector 14. True: the access is tried again; false: the fault is the guest's.
  virtual bool on_page_fault(Gva va, u64 error_code) = 0;

 protected:
  ~FaultIntercept() = default;
};

class Machine {
 public:
  Machine(const Memory& memory, Walker& walker, unsigned cpus)
      : memory_(memory), walker_(walker), cpus_(cpus) {}

  // The byte at va as CPU `cpu` sees it, or nothing: a page fault.
  std::optional<u8*> access(unsigned cpu, Gva va, Access access, Privilege privilege);

  // Everything that a CPU may still use must be what the tables say: a translation the same frame and no more
  // rights, an entry above the same table; and what was read with a root must still be there. Returns the
  // number that are not, and of those whose frame or table was free when they were forgotten: too late.
  u64 stale_translations();
  // Where the tables' owner runs on this machine, so that it must not free what a CPU still goes through.
  void watch(const pt::FrameTable& frames) { frames_ = &frames; }

  // CPUs take turns: what runs on the current one is the engine.
  void set_current(unsigned cpu) { current_ = cpu; }
  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] unsigned cpus() const { return static_cast<unsigned>(cpus_.size()); }

  // --- what a hypervisor does on the current CPU ---
  // VMRUN. Of what is known under this ASID, tlb_control decides (APM vol. 2, 15.16): 0 nothing, 1 everything
  // of all ASIDs, 3 everything of this one, 7 all but its global pages is forgotten.
  void enter(u32 asid, PhysAddr root, u8 tlb_control);
  // The guest exits: nothing is forgotten.
  void leave() { cpus_[current_].in_guest = false; }
  void invlpga(Gva va, u32 asid);
  void intercept_page_faults(FaultIntercept& by) { intercept_ = &by; }

  // --- pt::Processor ---
  void load_root(PhysAddr root);
  [[nodiscard]] bool runs(PhysAddr root) const;
  void flush_page(Gva va);
  void flush_user();
  void flush_everything();
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }

  u64 page_flushes = 0;
  u64 full_flushes = 0;
  u64 entry_flushes = 0;  // those that tlb_control asked for
  u64 walks = 0;          // accesses that found nothing that is known
  // Tests that the tests notice: flushes do nothing.
  bool ignore_flushes = false;

 private:
  struct Cpu {
    u32 asid = 0;
    bool in_guest = true;  // or on a machine without guests
    Walker::Root root;
    std::map<u32, Tlb> tlbs;  // by ASID
  };
  // The byte, or the error code of a page fault.
  std::expected<u8*, u64> translate(Cpu& cpu, Gva va, Access access, Privilege privilege);
  Tlb& tlb(Cpu& cpu, u32 asid) {
    return cpu.tlbs.try_emplace(asid, walker_.leaf_table_shift()).first->second;
  }
  Tlb& tlb(Cpu& cpu) { return tlb(cpu, cpu.asid); }
  // `way`: what the tables say of the way there, as far as that has been looked up.
  [[nodiscard]] bool is_stale(const Cpu& cpu, Gva va, const Walk& known, Ways& way);
  [[nodiscard]] bool is_stale(const Cpu& cpu, Gva va, unsigned level, const Way& known, Ways& way);
  // Before a CPU forgets what it has of one address, or of all.
  void note_late(Cpu& cpu, std::optional<Gva> of = std::nullopt);

  const Memory& memory_;
  Walker& walker_;
  std::vector<Cpu> cpus_;
  unsigned current_ = 0;
  const pt::FrameTable* frames_ = nullptr;
  u64 too_late_ = 0;
  FaultIntercept* intercept_ = nullptr;
};

}  // namespace nopte::model
