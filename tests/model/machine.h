// The machine model: memory, processors that walk page tables, and TLBs that keep what they know until they
// are told to forget. Real processors (and QEMU) forget early; this one never does, so a missing flush shows.
//
// Each CPU also caches which leaf table serves an address (AMD APM vol. 2, 5.5.3: INVLPG and CR3 loads drop
// those). A page fault drops the translation of the faulting address, as hardware does.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <vector>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/tables/entry.h"
#include "pvops/base/function_ref.h"
#include "pvops/mm_ops.h"

namespace nopte::model {

using pt::Entry;
using pt::Frame;
using pt::PhysAddr;
using pt::Privilege;

// Memory that frames are windows of: frame numbers [first, first + frames). `page` is the kernel's view, by
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
  [[nodiscard]] u64 direct_base() const { return reinterpret_cast<u64>(view_) - (first_ << kPageShift); }
  [[nodiscard]] u8* page(Frame frame) const { return view_ + ((frame.number() - first_) << kPageShift); }
  [[nodiscard]] u8* alias(Frame frame) const { return alias_ + ((frame.number() - first_) << kPageShift); }
  enum class Allowed : u8 { kNothing, kLoads, kAll };
  // What the first view allows.
  void set_access(pt::FrameRange frames, Allowed allowed);
  // A third view, of the range alone, whose page place(n) is frame first + n. Called once.
  u8* map_in_order(FunctionRef<u64(u64)> place);

 private:
  [[nodiscard]] u64 mapped_bytes() const { return pages_to_bytes(frames_ + spare_); }

  u64 first_;
  u64 frames_;
  u64 spare_;
  int file_;
  u8* view_;
  u8* alias_;
  u8* ordered_ = nullptr;
};

// A finished walk.
struct Walk {
  Frame frame;
  Perm perm;
  bool user;
  bool global;
  bool dirty;
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
  // `leaf_table`: address of the cached table that maps what one leaf table maps, in and out; 0 is none. Sets
  // A, and D for a write that the rights allow.
  virtual std::optional<Walk> walk(const Root& root, Gva va, Access access, Privilege privilege,
                                   u64& leaf_table) = 0;
  // What is there for va, without an access. Nothing is marked that a TLB's entry has not marked already.
  virtual std::optional<Walk> look(const Root& root, Gva va) {
    u64 none = 0;
    return walk(root, va, Access::kRead, Privilege::kKernel, none);
  }
  // What a CPU knows refuses an access: a page fault, though the tables may allow it by now. Or they are
  // walked before anything faults, as where a fault is a hypervisor's and counted.
  [[nodiscard]] virtual bool faults_at_once() const { return true; }
  // Which addresses one leaf table maps: those equal above this bit.
  [[nodiscard]] virtual unsigned leaf_table_shift() const = 0;
};

// True when a translation with these rights lets the access through.
inline bool permits(const Walk& walk, Access access, Privilege privilege) {
  return allows(walk.perm, access) && (walk.user || privilege == Privilege::kKernel);
}

class Machine {
 public:
  Machine(const Memory& memory, Walker& walker, unsigned cpus)
      : memory_(memory), walker_(walker), cpus_(cpus) {}

  // The byte at va as CPU `cpu` sees it, or nothing: a page fault.
  std::optional<u8*> access(unsigned cpu, Gva va, Access access, Privilege privilege);

  // Every translation that some TLB holds must still be what the tables say: the same frame, no more rights;
  // and what was read with a root must still be there. Returns the number that are not.
  u64 stale_translations();

  // Some CPU still goes through this leaf table, by the number that entries name it by.
  [[nodiscard]] bool caches_table(Frame table) const;

  // CPUs take turns: what runs on the current one is the engine.
  void set_current(unsigned cpu) { current_ = cpu; }
  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] unsigned cpus() const { return static_cast<unsigned>(cpus_.size()); }

  // --- pt::Processor ---
  void load_root(PhysAddr root);
  // The root that a hypervisor lets the current CPU go on with: by itself nothing is forgotten.
  void run_on(PhysAddr root) { cpus_[current_].root = walker_.load(root); }
  [[nodiscard]] bool runs(PhysAddr root) const;
  void flush_page(Gva va);
  void flush_user();
  void flush_everything();
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }

  u64 page_flushes = 0;
  u64 full_flushes = 0;
  // Tests that the tests notice: flushes do nothing.
  bool ignore_flushes = false;

 private:
  struct Cpu {
    Walker::Root root;
    std::unordered_map<u64, Walk> tlb;         // by page number
    std::unordered_map<u64, u64> leaf_tables;  // by va >> leaf_table_shift()
  };
  const Memory& memory_;
  Walker& walker_;
  std::vector<Cpu> cpus_;
  unsigned current_ = 0;
};

}  // namespace nopte::model
