#include "tests/model/machine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "pvops/base/panic.h"

namespace nopte::model {
namespace {

// Of a page fault's error code. SDM vol. 3A, 4.7.
constexpr u64 kPresent = 1, kWrite = 2, kUser = 4, kFetch = 16;

u8* map_file(int file, u64 bytes) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (address == MAP_FAILED) std::abort();
  return static_cast<u8*>(address);
}

void forget(const Memory::Views& views) {
  munmap(views.view, views.bytes);
  munmap(views.alias, views.bytes);
  close(views.file);
}

// What the last machines had, the latest at the end: the next of that size takes it, as page faults of the
// tests' own were half of their time.
struct Kept {
  static constexpr u64 kMost = 4;
  ~Kept() {
    for (const Memory::Views& views : list) forget(views);
  }
  std::vector<Memory::Views> list;
};
Kept kept;

Memory::Views views_of(u64 bytes) {
  for (auto it = kept.list.begin(); it != kept.list.end(); ++it) {
    if (it->bytes != bytes) continue;
    const Memory::Views found = *it;
    kept.list.erase(it);
    return found;
  }
  const int file = memfd_create("model", 0);
  if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) std::abort();
  return {bytes, file, map_file(file, bytes), map_file(file, bytes)};
}

}  // namespace

Memory::Memory(u64 first_frame, u64 frames, u64 spare)
    : first_(first_frame), frames_(frames), spare_(spare), views_(views_of(pages_to_bytes(frames + spare))) {
  // Memory is not zero when a machine starts.
  std::memset(views_.view, 0xa5, views_.bytes);
}

Memory::~Memory() {
  if (ordered_ != nullptr) munmap(ordered_, pages_to_bytes(frames_));
  if (mprotect(views_.view, views_.bytes, PROT_READ | PROT_WRITE) != 0) std::abort();
  if (kept.list.size() == Kept::kMost) {
    forget(kept.list.front());
    kept.list.erase(kept.list.begin());
  }
  kept.list.push_back(views_);
}

u8* Memory::map_in_order(FunctionRef<u64(u64)> place) {
  ordered_ = map_file(views_.file, pages_to_bytes(frames_));
  for (u64 n = 0; n < frames_; ++n) {
    void* const at = ordered_ + pages_to_bytes(place(n));
    if (mmap(at, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, views_.file,
             static_cast<off_t>(pages_to_bytes(n))) != at) {
      std::abort();
    }
  }
  return ordered_;
}

void Memory::set_access(pt::FrameRange frames, Allowed allowed) {
  static constexpr int kProtections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
  if (mprotect(page(frames.begin), pages_to_bytes(frames.frames()),
               kProtections[static_cast<unsigned>(allowed)]) != 0) {
    std::abort();
  }
}

std::optional<u8*> Machine::access(unsigned cpu_index, Gva va, Access access, Privilege privilege) {
  constexpr int kMostExits = 6;
  for (int tries = 0; tries < kMostExits; ++tries) {
    const auto byte = translate(cpus_[cpu_index], va, access, privilege);
    if (byte) return *byte;
    if (intercept_ == nullptr || !intercept_->on_page_fault(va, byte.error())) return std::nullopt;
  }
  NOPTE_PANIC("the same access exits for ever");
}

// What is known refuses an access: that is a page fault, though the tables may allow it by now (Intel), or
// they are walked again first (AMD). The second where faults are a hypervisor's and counted.
std::expected<u8*, u64> Machine::translate(Cpu& cpu, Gva va, Access access, Privilege privilege) {
  NOPTE_ASSERT(cpu.in_guest);
  const bool walks_again = intercept_ != nullptr;
  Tlb& known = tlb(cpu);
  const auto byte = [&](const Walk& walk) { return memory_.alias(walk.frame) + va.page_offset(); };
  const auto refused = [&](bool present) {
    known.forget_way(va);
    // Speculation may walk there again at once: what leads there is known, though nothing is there.
    Ways again;
    (void)walker_.look(cpu.root, va, again);
    known.keep(va, {}, again);
    known.forget_page(va);
    return std::unexpected((present ? kPresent : 0) | (access == Access::kWrite ? kWrite : 0) |
                           (privilege == Privilege::kUser ? kUser : 0) |
                           (access == Access::kExec ? kFetch : 0));
  };
  if (const auto page = known.page(va)) {
    if (!permits(*page, access, privilege)) {
      if (!walks_again) return refused(true);
      known.forget_way(va);
    } else if (access != Access::kWrite || page->dirty) {
      return byte(*page);
    }
  }
  ++walks;
  Ways ways = known.ways(va);
  auto walk = walker_.walk(cpu.root, va, access, privilege, ways);
  if (walks_again && (!walk || !permits(*walk, access, privilege))) {
    ways = {};
    walk = walker_.walk(cpu.root, va, access, privilege, ways);
  }
  if (!walk || !permits(*walk, access, privilege)) return refused(walk.has_value());
  known.keep(va, *walk, ways);
  return byte(*walk);
}

bool Machine::is_stale(const Cpu& cpu, Gva va, const Walk& known, Ways& way) {
  const auto now = walker_.look(cpu.root, va, way);
  if (known.large && !(now && now->large)) {
    // All that a processor may still use it for.
    const u64 pages = u64{1} << (walker_.leaf_table_shift() - kPageShift);
    Walk page = known;
    page.large = false;
    bool stale = false;
    for (u64 i = 0; i < pages && !stale; ++i, page.frame = page.frame + 1) {
      stale = is_stale(cpu, va + pages_to_bytes(i), page, way);
    }
    return stale;
  }
  return !now || now->frame != known.frame || !now->perm.contains(known.perm) || (known.user && !now->user);
}

bool Machine::is_stale(const Cpu& cpu, Gva va, unsigned level, const Way& known, Ways& way) {
  (void)walker_.look(cpu.root, va, way);
  const auto& now = way.at[level];
  return !now || now->table != known.table || !now->perm.contains(known.perm) || (known.user && !now->user);
}

u64 Machine::stale_translations() {
  u64 stale = too_late_;
  for (Cpu& cpu : cpus_) {
    if (!cpu.in_guest) continue;
    if (walker_.load(cpu.root.address) != cpu.root) ++stale;
    // Nothing changes meanwhile: the way to each leaf table is looked up once, mostly.
    struct {
      u64 part = ~u64{0};
      Ways ways;
    } seen[16];
    const auto way_to = [&](Gva va) -> Ways& {
      const u64 part = va.value() >> walker_.leaf_table_shift();
      auto& slot = seen[part % std::size(seen)];
      if (slot.part != part) slot = {part, {}};
      return slot.ways;
    };
    tlb(cpu).for_each_page(
        [&](Gva va, const Walk& known) { stale += is_stale(cpu, va, known, way_to(va)) ? 1 : 0; });
    tlb(cpu).for_each_way([&](Gva va, unsigned level, const Way& known) {
      stale += is_stale(cpu, va, level, known, way_to(va)) ? 1 : 0;
    });
  }
  return stale;
}

// Data frames that wait for a flush are marked as free ones are (FrameChain); but those that were given back
// since the last flush are the first to be handed out.
void Machine::note_late(Cpu& cpu, std::optional<Gva> of) {
  constexpr unsigned kSinceLastFlush = 64;  // frames; more than a batch flushes page by page
  if (frames_ == nullptr) return;
  const auto is_free = [&](Frame frame) {
    if (!frames_->covers(frame)) return false;
    const pt::FrameKind kind = frames_->meta(frame).kind;
    return kind == pt::FrameKind::kFree || kind == pt::FrameKind::kFreeBlock;
  };
  const auto note_page = [&](Gva va, const Walk& known) {
    Ways way;
    if (is_free(known.frame) && frames_->handed_out_soon(known.frame, kSinceLastFlush) &&
        is_stale(cpu, va, known, way)) {
      ++too_late_;
    }
  };
  const auto note = [&](Gva va, unsigned level, const Way& known) {
    const auto table = walker_.table_frame(known.table);
    Ways way;
    if (table && is_free(*table) && is_stale(cpu, va, level, known, way)) ++too_late_;
  };
  if (!of) {
    tlb(cpu).for_each_page(note_page);
    tlb(cpu).for_each_way(note);
    return;
  }
  if (const auto page = tlb(cpu).page(*of)) note_page(*of, *page);
  const Ways ways = tlb(cpu).ways(*of);
  for (unsigned level = 2; level <= kMostLevels; ++level) {
    if (ways.at[level]) note(*of, level, *ways.at[level]);
  }
}

void Machine::enter(u32 asid, PhysAddr root, u8 tlb_control) {
  Cpu& cpu = cpus_[current_];
  NOPTE_ASSERT(asid != 0);  // the host's: VMRUN refuses
  note_late(cpu);
  cpu.asid = asid;
  cpu.root = walker_.load(root);
  cpu.in_guest = true;
  if (tlb_control != 0) ++entry_flushes;
  if (ignore_flushes) tlb_control = 0;
  switch (tlb_control) {
    case 0:
      return;
    case 1:
      for (auto& [id, known] : cpu.tlbs) known.forget_everything();
      return;
    case 3:
      return tlb(cpu).forget_everything();
    case 7:
      return tlb(cpu).forget_all_but_global();
    default:
      NOPTE_PANIC("tlb_control");
  }
}

void Machine::invlpga(Gva va, u32 asid) {
  ++page_flushes;
  if (!ignore_flushes) tlb(cpus_[current_], asid).forget_page(va);
}

void Machine::load_root(PhysAddr root) {
  Cpu& cpu = cpus_[current_];
  if (cpu.root.address == root) return;
  note_late(cpu);
  cpu.root = walker_.load(root);
  tlb(cpu).forget_all_but_global();
}

bool Machine::runs(PhysAddr root) const {
  for (const Cpu& cpu : cpus_) {
    if (cpu.root.address == root) return true;
  }
  return false;
}

void Machine::flush_page(Gva va) {
  ++page_flushes;
  if (ignore_flushes) return;
  for (Cpu& cpu : cpus_) {
    note_late(cpu, va);
    tlb(cpu).forget_way(va);
  }
}

void Machine::flush_user() {
  ++full_flushes;
  if (ignore_flushes) return;
  for (Cpu& cpu : cpus_) {
    note_late(cpu);
    tlb(cpu).forget_all_but_global();
  }
}

void Machine::flush_everything() {
  ++full_flushes;
  if (ignore_flushes) return;
  for (Cpu& cpu : cpus_) {
    note_late(cpu);
    tlb(cpu).forget_everything();
  }
}

}  // namespace nopte::model
