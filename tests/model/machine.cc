#include "tests/model/machine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace nopte::model {
namespace {

u8* map_file(int file, u64 bytes) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (address == MAP_FAILED) std::abort();
  return static_cast<u8*>(address);
}

}  // namespace

Memory::Memory(u64 first_frame, u64 frames, u64 spare) : first_(first_frame), frames_(frames), spare_(spare) {
  file_ = memfd_create("model", 0);
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(mapped_bytes())) != 0) std::abort();
  view_ = map_file(file_, mapped_bytes());
  alias_ = map_file(file_, mapped_bytes());
  // Memory is not zero when a machine starts.
  std::memset(view_, 0xa5, mapped_bytes());
}

Memory::~Memory() {
  munmap(view_, mapped_bytes());
  munmap(alias_, mapped_bytes());
  if (ordered_ != nullptr) munmap(ordered_, pages_to_bytes(frames_));
  close(file_);
}

u8* Memory::map_in_order(FunctionRef<u64(u64)> place) {
  ordered_ = map_file(file_, pages_to_bytes(frames_));
  for (u64 n = 0; n < frames_; ++n) {
    void* const at = ordered_ + pages_to_bytes(place(n));
    if (mmap(at, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_,
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
  Cpu& cpu = cpus_[cpu_index];
  const auto byte = [&](const Walk& walk) { return memory_.alias(walk.frame) + va.page_offset(); };
  const auto cached = cpu.tlb.find(va.page());
  if (cached != cpu.tlb.end()) {
    if (!permits(cached->second, access, privilege)) {
      cpu.tlb.erase(cached);
      cpu.leaf_tables.erase(va.value() >> walker_.leaf_table_shift());
      if (walker_.faults_at_once()) return std::nullopt;
    } else if (access != Access::kWrite || cached->second.dirty) {
      return byte(cached->second);
    }
  }
  // A walk may flush, where a hypervisor is below.
  const u64 region = va.value() >> walker_.leaf_table_shift();
  const auto leaf = cpu.leaf_tables.find(region);
  u64 leaf_table = leaf != cpu.leaf_tables.end() ? leaf->second : 0;
  const auto walk = walker_.walk(cpu.root, va, access, privilege, leaf_table);
  if (leaf_table != 0) cpu.leaf_tables[region] = leaf_table;
  if (!walk || !permits(*walk, access, privilege)) {
    cpu.tlb.erase(va.page());
    cpu.leaf_tables.erase(va.value() >> walker_.leaf_table_shift());
    return std::nullopt;
  }
  cpu.tlb[va.page()] = *walk;
  return byte(*walk);
}

u64 Machine::stale_translations() {
  u64 stale = 0;
  for (Cpu& cpu : cpus_) {
    if (walker_.load(cpu.root.address) != cpu.root) ++stale;
    for (const auto& [page, known] : auto(cpu.tlb)) {
      const auto now = walker_.look(cpu.root, Gva(page << kPageShift));
      if (!now || now->frame != known.frame || !now->perm.contains(known.perm) ||
          (known.user && !now->user)) {
        ++stale;
      }
    }
    for (const auto& [region, table] : cpu.leaf_tables) {
      u64 now = 0;
      (void)walker_.walk(cpu.root, Gva(region << walker_.leaf_table_shift()), Access::kRead,
                         Privilege::kKernel, now);
      if (now != table) ++stale;
    }
  }
  return stale;
}

bool Machine::caches_table(Frame table) const {
  for (const Cpu& cpu : cpus_) {
    for (const auto& [region, known] : cpu.leaf_tables) {
      if (Frame::at(PhysAddr(known)) == table) return true;
    }
  }
  return false;
}

void Machine::load_root(PhysAddr root) {
  Cpu& cpu = cpus_[current_];
  if (cpu.root.address == root) return;
  cpu.root = walker_.load(root);
  std::erase_if(cpu.tlb, [](const auto& item) { return !item.second.global; });
  cpu.leaf_tables.clear();
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
    cpu.tlb.erase(va.page());
    cpu.leaf_tables.clear();
  }
}

void Machine::flush_user() {
  ++full_flushes;
  if (ignore_flushes) return;
  for (Cpu& cpu : cpus_) {
    std::erase_if(cpu.tlb, [](const auto& item) { return !item.second.global; });
    cpu.leaf_tables.clear();
  }
}

void Machine::flush_everything() {
  ++full_flushes;
  if (ignore_flushes) return;
  for (Cpu& cpu : cpus_) {
    cpu.tlb.clear();
    cpu.leaf_tables.clear();
  }
}

}  // namespace nopte::model
