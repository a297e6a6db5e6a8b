#include "experiments/peers/kvm_monitor/pvh_start.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace kvm_monitor {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint32_t kPvhNote = 18;
constexpr std::string_view kNoteOwner{"Xen", 4};

// Where the parts lie, in the first 640 KiB, which kernels leave alone until they have read them.
constexpr uint64_t kStartInfo = 0x1000;
constexpr uint64_t kMemoryMap = 0x1100;
constexpr uint64_t kModuleList = 0x1200;
constexpr uint64_t kCommandLine = 0x2000;
constexpr uint64_t kCommandLineBytes = 0x1000;
constexpr uint64_t kFirmwareBegin = 0x9fc00;
constexpr uint64_t kImageBegin = 0x100000;
// A module ends here at most: where QEMU puts one.
constexpr uint64_t kModuleEnd = 0x3800'0000;

struct StartInfo {
  uint32_t magic = 0x336ec578, version = 1, flags = 0, modules = 0;
  uint64_t module_list = 0, command_line = 0, rsdp = 0, memory_map = 0;
  uint32_t memory_map_entries = 0, reserved = 0;
};
struct Module {
  uint64_t begin = 0, bytes = 0, command_line = 0, reserved = 0;
};
struct MapEntry {
  uint64_t begin = 0, bytes = 0;
  uint32_t type = 1, reserved = 0;  // 1: memory
};

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
std::optional<T> read(std::string_view file, uint64_t offset) {
  if (offset > file.size() || sizeof(T) > file.size() - offset) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

bool holds(std::string_view file, uint64_t offset, uint64_t bytes) {
  return offset <= file.size() && bytes <= file.size() - offset;
}

uint64_t round_up(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

// The entry that the note names, if this segment of notes holds it.
std::optional<uint64_t> pvh_entry(std::string_view notes) {
  for (uint64_t at = 0;;) {
    const auto note = read<Elf64_Nhdr>(notes, at);
    if (!note) return std::nullopt;
    const uint64_t name = at + sizeof *note;
    const uint64_t value = name + round_up(note->n_namesz, 4);
    const auto entry = read<uint32_t>(notes, value);
    if (note->n_type == kPvhNote && note->n_descsz >= sizeof *entry && entry &&
        holds(notes, name, note->n_namesz) && notes.substr(name, note->n_namesz) == kNoteOwner) {
      return *entry;
    }
    at = value + round_up(note->n_descsz, 4);
  }
}

struct LoadedKernel {
  uint64_t entry = 0;
  uint64_t end = 0;
};

std::expected<LoadedKernel, std::string> load_kernel(const GuestMemory& memory, std::string_view kernel) {
  const auto header = read<Elf64_Ehdr>(kernel, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64) {
    return std::unexpected("the kernel is no 64-bit ELF file");
  }
  std::optional<uint64_t> entry;
  uint64_t end = kImageBegin;
  for (uint64_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = read<Elf64_Phdr>(kernel, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment || !holds(kernel, segment->p_offset, segment->p_filesz)) {
      return std::unexpected("the kernel's file ends inside a segment");
    }
    const std::string_view data = kernel.substr(segment->p_offset, segment->p_filesz);
    if (segment->p_type == PT_NOTE && !entry) entry = pvh_entry(data);
    if (segment->p_type != PT_LOAD) continue;
    if (segment->p_memsz < segment->p_filesz || segment->p_paddr > memory.low_bytes() ||
        segment->p_memsz > memory.low_bytes() - segment->p_paddr || !memory.copy_in(segment->p_paddr, data)) {
      return std::unexpected("the kernel does not fit into the guest's memory");
    }
    end = std::max(end, segment->p_paddr + segment->p_memsz);
  }
  if (!entry) return std::unexpected("the kernel has no PVH entry (an ELF note of Xen's, type 18)");
  return LoadedKernel{*entry, end};
}

}  // namespace

std::expected<PvhStart, std::string> load_pvh(const GuestMemory& memory, std::string_view kernel,
                                              std::string_view module, std::string_view command_line) {
  if (command_line.size() >= kCommandLineBytes)
    return std::unexpected("the guest's command line is too long");
  const auto loaded = load_kernel(memory, kernel);
  if (!loaded) return std::unexpected(loaded.error());

  const uint64_t top = std::min(memory.low_bytes(), kModuleEnd);
  const uint64_t module_bytes = round_up(module.size(), kPageBytes);
  if (loaded->end > top || module_bytes > top - loaded->end) {
    return std::unexpected("the module does not fit into the guest's memory");
  }
  const Module list{top - module_bytes, module.size()};

  std::string map = std::string(bytes_of(MapEntry{0, kFirmwareBegin}));
  map += bytes_of(MapEntry{kImageBegin, memory.low_bytes() - kImageBegin});
  for (size_t i = 1; i < memory.slots().size(); ++i) {
    map += bytes_of(MapEntry{memory.slots()[i].guest, memory.slots()[i].bytes});
  }
  StartInfo info;
  info.modules = module.empty() ? 0 : 1;
  info.module_list = kModuleList;
  info.command_line = kCommandLine;
  info.memory_map = kMemoryMap;
  info.memory_map_entries = static_cast<uint32_t>(map.size() / sizeof(MapEntry));
  const bool copied = memory.copy_in(list.begin, module) && memory.copy_in(kModuleList, bytes_of(list)) &&
                      memory.copy_in(kCommandLine, std::string(command_line) + '\0') &&
                      memory.copy_in(kMemoryMap, map) && memory.copy_in(kStartInfo, bytes_of(info));
  if (!copied) return std::unexpected("the guest has too little memory");
  return PvhStart{loaded->entry, kStartInfo};
}

}  // namespace kvm_monitor
