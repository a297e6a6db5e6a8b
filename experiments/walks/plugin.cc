// A QEMU plugin that counts what page walks would cost: feeds the observer, and writes all counts at every
// mark.
//
//   -plugin walks.so,out=FILE,mark=ADDRESS[,hypervisor=on]
//
// hypervisor: the machine starts one.
//
// out: the counts, as one line of JSON for each mark and one at the end. mark: the virtual address of the
// guest kernel's function that takes a mark (experiments/lib/walks.py finds it in the image), so that lines
// pair with the marks of the counters channel.
//
// The interface gives no registers and no guest memory. Addresses and frames of data come with each access.
// That an instruction's bytes lie at a known place in QEMU gives where it has the machine's memory: before
// paging is on, the address of an instruction is physical. The one thing that is read there is the control
// block that VMRUN names, which must look like one, or nothing is counted. INVLPG's operand is not seen.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string_view>

#include "experiments/plugins/code.h"
#include "experiments/plugins/memory.h"
#include "experiments/plugins/qemu_plugin_api.h"
#include "experiments/walks/observer.h"

#define WALKS_EXPORT __attribute__((visibility("default")))

namespace walks {
namespace {

using plugins::kPageBytes;

struct Block {
  uint64_t first_page;
  uint64_t last_page;
  uint64_t first_physical;
  uint64_t last_physical;
  bool after_vmrun;
  auto operator<=>(const Block&) const = default;
};

struct Plugin {
  explicit Plugin(Machine machine) : observer(machine) {}

  Observer observer;
  FILE* out = nullptr;
  uint64_t mark = 0;
  plugins::Memory memory;
  plugins::ControlBlock control_block;
  bool at_mark = false;  // the mark's instruction was reported
  std::set<const void*> after_vmrun;
  std::set<Block> blocks;  // what callbacks are given; a block may be translated many times
};

Plugin* g_plugin;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "walks plugin: %s\n", why);
  std::fflush(nullptr);
  std::_Exit(1);
}

ControlBlock read_control_block() {
  using Fields = plugins::ControlBlock;
  const plugins::Memory& memory = g_plugin->memory;
  const Fields& found = g_plugin->control_block;
  if (!memory.known() || !found.credible(memory)) {
    give_up("VMRUN's control block is not where it was looked for: this QEMU's memory lies otherwise");
  }
  ControlBlock block;
  block.asid = found.field<uint32_t>(memory, Fields::kAsid);
  block.tlb_control = found.field<uint8_t>(memory, Fields::kTlbControl);
  block.exit_code = found.field<uint64_t>(memory, Fields::kExitCode);
  block.nested = (found.field<uint64_t>(memory, Fields::kNested) & 1) != 0;
  return block;
}

void write_counts(const Counts& counts) {
  std::fprintf(g_plugin->out,
               "{\"first_level_misses\":%" PRIu64 ",\"walks\":%" PRIu64 ",\"references\":%" PRIu64
               ",\"nested_references\":%" PRIu64 "}",
               counts.first_level_misses, counts.walks, counts.references, counts.nested_references);
}

constexpr const char* kOwnerNames[] = {"hypervisor", "kernel", "program"};

template <typename Write>
void write_streams(Write write) {
  for (size_t owner = 0; owner < kOwners; ++owner) {
    std::fprintf(g_plugin->out, "%s\"%s\":{", owner == 0 ? "" : ",", kOwnerNames[owner]);
    std::fprintf(g_plugin->out, "\"data\":");
    write(static_cast<Owner>(owner), Stream::kData);
    std::fprintf(g_plugin->out, ",\"code\":");
    write(static_cast<Owner>(owner), Stream::kCode);
    std::fprintf(g_plugin->out, "}");
  }
}

void write_line(const char* event) {
  const Observer& observer = g_plugin->observer;
  FILE* out = g_plugin->out;
  const Events& events = observer.events();
  std::fprintf(out, "{\"event\":\"%s\",\"processor\":\"%s\",\"nested\":%s,\"events\":{", event, kProcessor,
               observer.nested() ? "true" : "false");
  const std::pair<const char*, uint64_t> named[] = {{"entries", events.entries},
                                                    {"exits", events.exits},
                                                    {"flushes_at_entry", events.flushes_at_entry},
                                                    {"cr3_writes", events.cr3_writes},
                                                    {"page_flushes", events.page_flushes},
                                                    {"moved_pages", events.moved_pages},
                                                    {"pages", events.pages},
                                                    {"small_pages", events.small_pages}};
  for (const auto& [name, value] : named) {
    std::fprintf(out, "%s\"%s\":%" PRIu64, name == named[0].first ? "" : ",", name, value);
  }
  std::fprintf(out, "},\"accesses\":{");
  write_streams(
      [&](Owner owner, Stream stream) { std::fprintf(out, "%" PRIu64, observer.accesses(owner, stream)); });
  std::fprintf(out, "},\"models\":[");
  for (const Observer::Named& named_model : observer.models()) {
    std::fprintf(out, "%s{\"dimensions\":\"%s\",\"guest\":\"%s\",\"nested\":\"%s\",",
                 &named_model == observer.models().data() ? "" : ",", named_model.dimensions,
                 named_model.guest, named_model.nested);
    write_streams([&](Owner owner, Stream stream) { write_counts(named_model.model.counts(owner, stream)); });
    std::fprintf(out, "}");
  }
  std::fprintf(out, "]}\n");
  if (std::fflush(out) != 0) give_up("the counts cannot be written");
}

// Exits for exceptions and for nested page faults (APM vol. 2, appendix C).
bool is_fault(uint64_t exit_code) { return (exit_code >= 0x40 && exit_code < 0x60) || exit_code == 0x400; }

void on_block(unsigned, void* data) {
  const Block& block = *static_cast<const Block*>(data);
  Observer& observer = g_plugin->observer;
  if (block.after_vmrun || observer.is_pending() || g_plugin->at_mark) {
    ControlBlock control;
    const bool known = g_plugin->control_block.known();
    if (known) control = read_control_block();
    // An instruction that faults is reported, and will be once more.
    const bool faulted = known && block.after_vmrun && is_fault(control.exit_code);
    if (g_plugin->at_mark && !faulted) write_line("mark");
    g_plugin->at_mark = false;
    observer.enter_block(block.after_vmrun, known ? &control : nullptr);
  }
  if (!observer.access_again(Stream::kCode, block.first_page)) {
    observer.access(Stream::kCode, block.first_page, block.first_physical);
  }
  if (block.last_page != block.first_page) {
    observer.access(Stream::kCode, block.last_page, block.last_physical);
  }
}

void on_special(unsigned, void* data) {
  g_plugin->observer.execute(static_cast<Special>(reinterpret_cast<uintptr_t>(data)));
}

void on_access(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  Observer& observer = g_plugin->observer;
  if (observer.access_again(Stream::kData, address)) return;
  const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  // A device's registers have no frame of their own; their page stays where it is.
  const bool memory = where != nullptr && !qemu_plugin_hwaddr_is_io(where);
  observer.access(Stream::kData, address, memory ? qemu_plugin_hwaddr_phys_addr(where) : address);
}

void on_vmrun_access(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  g_plugin->control_block.learn(qemu_plugin_mem_is_store(info), address);
}

void on_mark(unsigned, void*) { g_plugin->at_mark = !g_plugin->observer.in_hypervisor(); }

void on_exit(qemu_plugin_id_t, void*) { write_line("end"); }

Special special_of(const qemu_plugin_insn* instruction) {
  uint8_t bytes[plugins::kInstructionBytes];
  return classify({bytes, plugins::copy_instruction(instruction, bytes)});
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* translated) {
  const size_t count = qemu_plugin_tb_n_insns(translated);
  const qemu_plugin_insn* first = qemu_plugin_tb_get_insn(translated, 0);
  const auto* first_in_qemu = static_cast<const uint8_t*>(qemu_plugin_insn_haddr(first));
  const uint64_t address = qemu_plugin_insn_vaddr(first);
  g_plugin->memory.learn(address, first_in_qemu);
  const qemu_plugin_insn* last = qemu_plugin_tb_get_insn(translated, count - 1);
  const uint64_t last_byte = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - 1;
  const Block block{address & ~(kPageBytes - 1), last_byte & ~(kPageBytes - 1),
                    g_plugin->memory.physical_of(first_in_qemu) & ~(kPageBytes - 1),
                    g_plugin->memory.physical_of(qemu_plugin_insn_haddr(last)) & ~(kPageBytes - 1),
                    g_plugin->after_vmrun.contains(first_in_qemu)};
  const Block* kept = &*g_plugin->blocks.insert(block).first;
  qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                       const_cast<Block*>(kept));
  for (size_t i = 0; i < count; ++i) {
    qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(translated, i);
    const Special special = special_of(instruction);
    if (special == Special::kVmrun) {
      g_plugin->after_vmrun.insert(static_cast<const uint8_t*>(qemu_plugin_insn_haddr(instruction)) +
                                   plugins::kVmrunBytes);
      qemu_plugin_register_vcpu_mem_cb(instruction, on_vmrun_access, QEMU_PLUGIN_CB_NO_REGS,
                                       QEMU_PLUGIN_MEM_R, nullptr);
    }
    if (special != Special::kNone) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_special, QEMU_PLUGIN_CB_NO_REGS,
                                             reinterpret_cast<void*>(static_cast<uintptr_t>(special)));
    }
    if (special != Special::kVmrun && special != Special::kVmloadOrVmsave) {
      qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                       nullptr);
    }
    if (qemu_plugin_insn_vaddr(instruction) == g_plugin->mark) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, QEMU_PLUGIN_CB_NO_REGS, nullptr);
    }
  }
}

}  // namespace
}  // namespace walks

extern "C" {

WALKS_EXPORT int qemu_plugin_version = plugins::version_of_this_qemu();

WALKS_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
  using walks::g_plugin;
  if (!info->system_emulation || std::strcmp(info->target_name, "x86_64") != 0 ||
      info->system.max_vcpus != 1) {
    std::fprintf(stderr, "walks plugin: this is for an x86-64 machine of one processor\n");
    return -1;
  }
  walks::Machine machine = walks::Machine::kBare;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view(argv[i]) == "hypervisor=on") machine = walks::Machine::kHypervisor;
  }
  g_plugin = new walks::Plugin(machine);
  plugins::interface_version = info->version.cur;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("out=")) g_plugin->out = std::fopen(argv[i] + 4, "w");
    if (argument.starts_with("mark=")) g_plugin->mark = std::strtoull(argv[i] + 5, nullptr, 0);
  }
  if (g_plugin->out == nullptr || g_plugin->mark == 0) {
    std::fprintf(stderr, "walks plugin: needs out=FILE, which can be written, and mark=ADDRESS\n");
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, walks::on_translation);
  qemu_plugin_register_atexit_cb(id, walks::on_exit, nullptr);
  return 0;
}

}  // extern "C"
