// A QEMU plugin that counts executed instructions by function and chain of callers, exactly: feeds the
// follower, and writes what was counted at every cut.
//
//   -plugin profiler.so,out=FILE,table=FILE
//
// table: what functions there are (table.h). out: lines of words, numbers decimal:
//   node ID PARENT FUNCTION               before the node's first count; the root is 0
//   count ID INSTRUCTIONS CALLS           since the cut before
//   cut mark | ticks | program | end      ends the counts of a span: a mark was taken, a program read the
//                                         time-stamp counter, the first program began, the machine ended
//
// The interface gives no registers. Programs are told apart by the bytes of their code; the kernel's stacks
// by where the switch between them pushes and pops; interrupted addresses by where exceptions put them. What
// faults was not executed, and is counted when it is executed again: so counts the clock of the emulated
// machine.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <set>
#include <string_view>

#include "experiments/plugins/code.h"
#include "experiments/plugins/memory.h"
#include "experiments/plugins/qemu_plugin_api.h"
#include "experiments/profiler/follower.h"

#define PROFILER_EXPORT __attribute__((visibility("default")))

namespace profiler {
namespace {

void on_cut(Cut cut);

struct Plugin {
  Follower follower{on_cut};
  Table table;
  FILE* out = nullptr;
  size_t nodes_written = 1;
  plugins::Memory memory;
  plugins::ControlBlock control_block;
  std::set<const void*> after_vmrun;
  bool in_guest = false;     // behind a VMRUN: what is translated now is the guest's
  std::deque<Block> blocks;  // QEMU may come back to each until its end
};

Plugin* g_plugin;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "profiler plugin: %s\n", why);
  std::fflush(nullptr);
  std::_Exit(1);
}

void write_cut(const char* name) {
  FILE* out = g_plugin->out;
  CallTree& tree = g_plugin->follower.tree();
  for (size_t& id = g_plugin->nodes_written; id < tree.nodes(); ++id) {
    const Node& node = tree[static_cast<NodeId>(id)];
    std::fprintf(out, "node %zu %" PRIu32 " %" PRIu32 "\n", id, node.parent, node.function);
  }
  tree.cut([out](NodeId id, const Node& node) {
    std::fprintf(out, "count %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", id, node.instructions, node.calls);
  });
  std::fprintf(out, "cut %s\n", name);
  if (std::fflush(out) != 0) give_up("the counts cannot be written");
}

void on_cut(Cut cut) { write_cut(cut == Cut::kMark ? "mark" : cut == Cut::kTicks ? "ticks" : "program"); }

void on_block(unsigned, void* data) {
  const Block& block = *static_cast<const Block*>(data);
  if (block.after_vmrun) g_plugin->in_guest = false;
  if (block.branch == Branch::kVmrun) g_plugin->in_guest = true;
  if (!block.after_vmrun || !g_plugin->control_block.known()) return g_plugin->follower.enter(block);
  const plugins::Memory& memory = g_plugin->memory;
  const plugins::ControlBlock& control = g_plugin->control_block;
  if (!memory.known() || !control.credible(memory)) {
    give_up("VMRUN's control block is not where it was looked for: this QEMU's memory lies otherwise");
  }
  const Exit exit{control.field<uint64_t>(memory, plugins::ControlBlock::kExitCode),
                  control.field<uint64_t>(memory, plugins::ControlBlock::kRip)};
  g_plugin->follower.enter(block, &exit);
}

void on_instruction(unsigned, void* data) {
  g_plugin->follower.reach(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data)));
}

// VMRUN stores the host's state to one page, and loads the guest's from the control block.
void on_vmrun_access(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  g_plugin->control_block.learn(qemu_plugin_mem_is_store(info), address);
}

void on_switch_access(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  if (qemu_plugin_mem_is_store(info)) {
    g_plugin->follower.switch_stores(address);
  } else {
    g_plugin->follower.switch_loads(address);
  }
}

// Vectors with an error code below the interrupted address (APM vol. 2, 8.2, and 15.34 for 30).
constexpr bool has_error_code(uintptr_t vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 ||
         vector == 30;
}

// The first store of an exception's entry: above it lies what the processor pushed.
void store_of_entry(qemu_plugin_meminfo_t info, uint64_t address, uint64_t distance) {
  const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  if (where == nullptr || !g_plugin->memory.known() ||
      (address + distance) / plugins::kPageBytes != address / plugins::kPageBytes) {
    return;
  }
  g_plugin->follower.return_address_is(
      g_plugin->memory.at<uint64_t>(qemu_plugin_hwaddr_phys_addr(where) + distance));
}

void on_entry_push(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  store_of_entry(info, address, has_error_code(reinterpret_cast<uintptr_t>(data)) ? 16 : 8);
}
// Xen writes its number for the vector into the upper half of the error code, which it pushes where there is
// none.
void on_ring0_entry_store(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  store_of_entry(info, address, has_error_code(reinterpret_cast<uintptr_t>(data)) ? 4 : 8);
}

// What the table says of a translated block, and where it branches to.
Block& describe(const qemu_plugin_tb* translated) {
  const size_t count = qemu_plugin_tb_n_insns(translated);
  Block& block = g_plugin->blocks.emplace_back();
  std::vector<uint8_t> code;
  for (size_t i = 0; i < count; ++i) {
    const qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(translated, i);
    uint8_t bytes[plugins::kInstructionBytes];
    const size_t size = plugins::copy_instruction(instruction, bytes);
    code.insert(code.end(), bytes, bytes + size);
    block.addresses.push_back(qemu_plugin_insn_vaddr(instruction));
    block.end = block.addresses.back() + size;
    if (i + 1 == count) block.branch = classify({bytes, size});
  }
  const void* in_qemu = qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(translated, 0));
  g_plugin->memory.learn(block.begin(), in_qemu);
  block.after_vmrun = g_plugin->after_vmrun.contains(in_qemu);
  const bool in_host = g_plugin->table.has_host() && (block.after_vmrun || !g_plugin->in_guest);
  block.place = in_host ? g_plugin->table.find_in_host(block.begin())
                        : g_plugin->table.find(block.begin(), g_plugin->memory.physical_of(in_qemu), code);
  return block;
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* translated) {
  Block& block = describe(translated);
  qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, QEMU_PLUGIN_CB_NO_REGS, &block);
  const size_t count = block.addresses.size();
  for (size_t i = 0; i < count; ++i) {
    qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(translated, i);
    // The block's own callback stands for the first.
    if (i > 0) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, QEMU_PLUGIN_CB_NO_REGS,
                                             reinterpret_cast<void*>(static_cast<uintptr_t>(i)));
    }
    if (i + 1 == count && block.branch == Branch::kVmrun) {
      g_plugin->after_vmrun.insert(static_cast<const uint8_t*>(qemu_plugin_insn_haddr(instruction)) +
                                   plugins::kVmrunBytes);
      qemu_plugin_register_vcpu_mem_cb(instruction, on_vmrun_access, QEMU_PLUGIN_CB_NO_REGS,
                                       QEMU_PLUGIN_MEM_R, nullptr);
    }
    if (block.place.entry.is_switch) {
      qemu_plugin_register_vcpu_mem_cb(instruction, on_switch_access, QEMU_PLUGIN_CB_NO_REGS,
                                       QEMU_PLUGIN_MEM_RW, nullptr);
    }
    const bool in_ring0 = block.place.world == World::kRing0;
    if ((i == 0 || in_ring0) && block.vector() >= 0) {
      qemu_plugin_register_vcpu_mem_cb(instruction, in_ring0 ? on_ring0_entry_store : on_entry_push,
                                       QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                       reinterpret_cast<void*>(static_cast<uintptr_t>(block.vector())));
    }
  }
}

void on_exit(qemu_plugin_id_t, void*) {
  g_plugin->follower.finish();
  write_cut("end");
}

bool read_table(const char* path) {
  std::ifstream lines(path);
  const std::string wrong = lines ? g_plugin->table.read(lines) : "cannot be read";
  if (!wrong.empty()) std::fprintf(stderr, "profiler plugin: table %s: %s\n", path, wrong.c_str());
  return wrong.empty();
}

}  // namespace
}  // namespace profiler

extern "C" {

PROFILER_EXPORT int qemu_plugin_version = plugins::version_of_this_qemu();

PROFILER_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
  using profiler::g_plugin;
  if (!info->system_emulation || std::strcmp(info->target_name, "x86_64") != 0 ||
      info->system.max_vcpus != 1) {
    std::fprintf(stderr, "profiler plugin: this is for an x86-64 machine of one processor\n");
    return -1;
  }
  plugins::interface_version = info->version.cur;
  g_plugin = new profiler::Plugin();
  const char* table = nullptr;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("out=")) g_plugin->out = std::fopen(argv[i] + 4, "w");
    if (argument.starts_with("table=")) table = argv[i] + 6;
  }
  if (g_plugin->out == nullptr || table == nullptr) {
    std::fprintf(stderr, "profiler plugin: needs out=FILE, which can be written, and table=FILE\n");
    return -1;
  }
  if (!profiler::read_table(table)) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, profiler::on_translation);
  qemu_plugin_register_atexit_cb(id, profiler::on_exit, nullptr);
  return 0;
}

}  // extern "C"
