// A guest that tries everything it has no right to: each probe of probes.S at CPL 0 and CPL 3 with the
// exception that must come of it, then every hypercall with nasty values in every register, then what the
// mode's interface is tried with. It prints what differed, and as the last line "hostile: ... all as
// documented", and powers off with 0 or 1.
//
// Its command line names the mode, and may name one way to die instead, which the hypervisor has to survive:
//   -- MODE [shutdown | halt | fault-loop | time | keys | a mode's own]
#include "tests/boot/hostile/hostile.h"

#include "tests/boot/hostile/container.h"
#include "tests/boot/hostile/hypercalls.h"

using namespace hostile;

extern "C" {
extern const Interface interfaces_begin[];
extern const Interface interfaces_end[];
}

namespace {

struct Words {
  std::string_view mode;
  std::string_view scenario;
};

Words parse(std::string_view line) {
  std::string_view words[3];
  for (auto& word : words) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
      break;
    }
    line.remove_prefix(begin);
    word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
  }
  return {words[1], words[2]};
}

// The one that the mode has, or null.
const Interface* interface_of(std::string_view mode) {
  for (const Interface* interface = interfaces_begin; interface != interfaces_end; ++interface) {
    if (mode == interface->mode) return interface;
  }
  return nullptr;
}

// Dies if the scenario says how.
void die(const Words& words, const Interface* interface, const abi::BootBlock& block) {
  if (words.scenario == "shutdown") {
    cpu::lidt({0, 0});
    __builtin_trap();
  }
  if (words.scenario == "halt") {
    cpu::hlt();
  }
  if (words.scenario == "fault-loop") {  // the interrupt table cannot be read
    cpu::lidt({4095, block.kind == abi::BootKind::kRegions ? u64{0x1000} : u64{0x4000'0000'0000}});
    __builtin_trap();
  }
  if (words.scenario == "keys") {
    container::wait_for_keys();
    power_off(0);
  }
  if (words.scenario == "time") {
    hypercalls::print_times();
    power_off(0);
  }
  if (interface != nullptr && interface->scenario != nullptr) interface->scenario(words.scenario, block);
}

}  // namespace

extern "C" [[noreturn]] void hostile_main(const abi::BootBlock* block) {
  container::load_descriptor_tables();
  const Words words = parse(abi::command_line_of(*block));
  const Interface* const interface = interface_of(words.mode);
  die(words, interface, *block);

  const bool vma = block->kind == abi::BootKind::kRegions;
  const bool xen = block->kind == abi::BootKind::kMachine;
  check("mode vma comes with regions", "", words.mode == "vma", vma);
  check("mode xen comes with machine frames", "", words.mode == "xen", xen);

  const auto column = vma || xen               ? container::Column::kNoTables
                      : words.mode == "nested" ? container::Column::kNested
                                               : container::Column::kShadow;
  const u64 probes = container::run_probes(column, container::make_user_page(*block));
  container::check_state(vma);
  if (vma) {  // the hypervisor goes on writing there
    check("kmem_free of the boot pages", "", static_cast<u64>(Status::kInvalid),
          static_cast<u64>(pv::vmmcall(abi::Call::kmem_free, reinterpret_cast<u64>(block), 2, 0).status));
  }
  container::check_timer();
  u64 calls = hypercalls::torture(interface != nullptr && interface->calls == Interface::Calls::kOwn);
  if (interface != nullptr) calls += interface->run(*block);

  print("hostile: ");
  print(probes);
  print(" probes, ");
  print(calls);
  print(" calls, ");
  if (failures() == 0) {
    print("all as documented\n");
    power_off(0);
  }
  print(failures());
  print(" differ\n");
  power_off(1);
}
