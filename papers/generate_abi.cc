// Prints papers/abi.md from the tables of features and calls, the entry contract and the conformance cases:
// the page cannot drift from what is compiled. Run by the test abi_page_is_current, which compares it with
// the page in the tree. Status 1: a call has neither a case nor another test.
#include <absl/strings/str_format.h>

#include <cstddef>
#include <iostream>
#include <string>

#include "pvops/abi/boot_block.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/abi/region_queue.h"
#include "pvops/mm_ops.h"
#include "tests/conformance/case.h"

namespace {

using namespace nopte;
using namespace nopte::abi;

constexpr const char* kRegisterNames[6] = {"rdi", "rsi", "rdx", "r10", "r8", "r9"};

std::string hex(u64 value) { return absl::StrFormat("%#x", value); }

void print_features() {
  std::cout << "## Features (query item 1)\n\n| bit | name | what there is |\n|---|---|---|\n";
#define NOPTE_FEATURE(bit, constant, name, meaning) \
  std::cout << "| " << (bit) << " | " name " | " meaning " |\n";
#include "pvops/abi/features.def"
  std::cout
      << "\nThe page tables are for a guest with tables of its own, which uses one of their interfaces.\n";
}

void print_statuses() {
  std::cout << "\n## Status (rax)\n\n| value | name |\n|---|---|\n";
  for (u32 value = 0; value <= static_cast<u32>(Status::kLimit); ++value) {
    std::cout << "| " << value << " | " << status_name(static_cast<Status>(value)) << " |\n";
  }
}

// Calls that are not about memory are not of the conformance suite: where their tests are.
const char* test_elsewhere(u64 number) {
  switch (static_cast<Call>(number)) {
    case Call::query:
    case Call::console_write:
    case Call::console_read:
    case Call::timer_set:
    case Call::idle:
    case Call::power_off:
    case Call::mark:
      return "tests/unit/hv-mm/exits_test.cc";
    case Call::region_queues:
      return "tests/queue/queue_test.cc";
    case Call::timer_cancel:
      return "tests/boot/hostile/container.cc";
    default:
      return nullptr;
  }
}

bool g_untested = false;

// Each name links to the file that it is in. The number of cases.
template <class Chosen>
u64 print_cases(Chosen chosen) {
  u64 count = 0;
  for (const conformance::Subject& subject : conformance::subjects()) {
    for (const conformance::Case& row : subject.cases) {
      if (!chosen(row.about)) continue;
      std::cout << (count++ == 0 ? "\nCases: " : ", ") << "[" << row.name << "](../tests/conformance/cases/"
                << subject.name << ".cc)";
    }
  }
  if (count != 0) std::cout << ".\n";
  return count;
}

void print_tests(u64 number, const char* name) {
  const u64 cases =
      print_cases([=](conformance::CallSet about) { return about.has(static_cast<Call>(number)); });
  if (cases != 0) return;
  if (const char* const file = test_elsewhere(number)) {
    std::cout << "\nTests: [" << file << "](../" << file << ").\n";
    return;
  }
  std::cerr << "the call " << name << " has no conformance case\n";
  g_untested = true;
}

void print_calls() {
  std::cout << "\n## Calls\n";
#define NOPTE_ARG(type, name, meaning) \
  std::cout << "| " << kRegisterNames[next++] << " | `" #name "` | " #type " | " meaning " |\n";
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors)                                     \
  {                                                                                                      \
    std::cout << "\n### " << number << " `" #name "`\n\n" purpose "\n\n";                                \
    if (sizeof(#args) > 1) std::cout << "| register | argument | type | meaning |\n|---|---|---|---|\n"; \
    [[maybe_unused]] unsigned next = 0;                                                                  \
    args std::cout << "\nResult (rdx): " result ". Errors: " errors ".\n";                               \
    print_tests(number, #name);                                                                          \
  }
#include "pvops/abi/hypercalls.def"
}

// Numbers that the text below says.
static_assert(kQueueSlots == 16 && kQueuedMapCost == 1 && kQueuedProtectCost == 2 &&
              kQueuedProtectPages == 32);
static_assert(kQueuedUnmapCost == 1 && kQueueWords == 16 && kWordFactor == 0x9e37'79b9'7f4a'7c15 &&
              kMostWordPages < (1 << 26) &&
              offsetof(RegionQueue, words) == offsetof(RegionQueue, calls) + sizeof(RegionQueue::calls) &&
              dying_word(untouched_word(VaRange::of_pages(Gva(0x5000), 3))) == (5u << 28 | 3 * 4 | 2));
static_assert(kQueuedCancelled == 0xffff'ffff'ffff'ffff && kQueuedFilling == 0xffff'ffff'ffff'fffe);

void print_entry() {
  std::cout
      << "\n## Entry\n\n"
         "An image announces its entries by ELF notes: `Xen` type 18 (PVH, 32-bit, the bare machine) and "
         "`nopte` type "
      << kEntryNoteType
      << " {u64 entry, u64 boot page table} (64-bit, under the hypervisor). At the 64-bit entry: long "
         "mode, CPL 0, interrupts off, `rdi` = the boot block, `rsp` undefined, other registers zero, "
         "CR0 "
      << hex(kEntryCr0) << ", CR4 " << hex(kEntryCr4) << ", EFER " << hex(kEntryEfer)
      << ".\n\n"
         "Discovery: CPUID leaf "
      << hex(kCpuidSignatureLeaf) << " gives `nopte-vmahv ` in ebx, ecx, edx; leaf " << hex(kCpuidFeatureLeaf)
      << " gives the ABI version in eax and feature bits 0-31 in ebx. The guest of this tree says what it "
         "looked for "
         "when it is offered none of what it can use: with physical memory it goes on with page tables as on "
         "the bare "
         "machine; without, or where the version is older or platform calls are missing, it stops with "
         "status 125.\n\n"
         "| boot block field | offset | bytes |\n|---|---|---|\n";
#define NOPTE_FIELD(name) \
  std::cout << "| `" #name "` | " << offsetof(BootBlock, name) << " | " << sizeof(BootBlock::name) << " |\n"
  NOPTE_FIELD(magic);
  NOPTE_FIELD(version);
  NOPTE_FIELD(kind);
  NOPTE_FIELD(under_hypervisor);
  NOPTE_FIELD(memory_bytes);
  NOPTE_FIELD(tsc_hz);
  NOPTE_FIELD(boot_wall_ns);
  NOPTE_FIELD(initramfs_object);
  NOPTE_FIELD(reserved);
  NOPTE_FIELD(initramfs_physical);
  NOPTE_FIELD(initramfs_bytes);
  NOPTE_FIELD(violation_block);
  NOPTE_FIELD(command_line_bytes);
  NOPTE_FIELD(command_line);
#undef NOPTE_FIELD
  std::cout << "\nKind 1 (regions, mode vma): the image's segments are committed kernel regions with their "
               "ELF rights, "
               "segments with p_flags bit "
            << hex(kSegmentTranslation)
            << " left out; `rdi` is a kernel virtual address. Kind 2 (physical, modes nested and shadow): "
               "the image lies "
               "at its ELF physical addresses in guest-physical memory from 0, CR3 is the note's boot page "
               "table, `rdi` "
               "is a guest-physical address below 1 GiB.\n\n"
               "## Violations\n\n"
               "An access that no region allows raises vector 14 with CR2 and an error code as on the bare "
               "processor. "
               "Before it, the hypervisor writes the violation block: {u32 reason, u32 space, u64 address}. "
               "Reasons: "
               "1 no region, 2 permission, 3 past the end of the object, 4 no memory. An access that a "
               "region allows "
               "never reaches the guest.\n";
  print_cases([](conformance::CallSet about) {
    return !about.empty() && about.contains(conformance::CallSet::violations());
  });
  std::cout
      << "\n## Queues\n\n"
         "With the feature region-queue some calls may be queued instead of made: `region_map` without "
         "replace and populate (cost 1), and `region_protect` in a user space, of at most 32 pages, "
         "that takes no right away (cost 2). The queue of a space: {u32 tail, cost} of the guest's, "
         "{u32 head, limit} of the hypervisor's, 48 bytes reserved, then 16 slots {u64 state, u64 "
         "arguments[5]}: the registers of the call from rsi on. Index n is in slot n modulo 16; all "
         "four words only grow, and wrap. The guest may put a call while cost, the call's added, is at "
         "most limit: it writes the arguments, adds to cost, stores the call's number as the state, "
         "and then tail + 1. The hypervisor takes what is queued, in order, before it judges an access "
         "to the space (for a kernel window: to space 0), performs a region call on it or a clone of "
         "it, and when it is activated; it checks each call as one in registers, and tells nobody what "
         "is wrong with it: such a call is left out. What was allowed and is in order does not fail. "
         "What a queued call names (its object) must stay until it is taken. A call that is not taken "
         "is cancelled by an atomic change of its state to 0xffffffffffffffff, and its cost taken "
         "back: it never was. The last one put, when cancelled, may be used again by an atomic change "
         "to 0xfffffffffffffffe, at which the hypervisor stops. Destroying a space drops what is "
         "queued for it. Indices that are no queue's make it empty.\n\n"
         "With the feature untouched-words 16 words {u64} lie behind the slots. The hypervisor says there "
         "of what it took as `region_map` from the queue, and installed nothing in since: 1, plus 4 times "
         "its pages (below 2^26), plus 2^28 times the low 36 bits of its first page's number; which word, "
         "the upper 4 bits of its address times 0x9e3779b97f4a7c15, modulo 2^64, say. It takes that back, to "
         "0, before it installs anything there, "
         "and when a call is about any of it. The guest may add 1 by an atomic change from exactly that: "
         "then nothing is installed any more (an access there is no region), and it puts `region_unmap` "
         "of exactly that range (cost 1), or calls it. An unmap is not done from the queue of what the "
         "hypervisor does not know to be untouched, whatever a word says. A range has a word at its "
         "pleasure: another may take its place. `object_destroy` is after what is queued for the spaces "
         "that show the object.\n\n## Address ranges\n\n| range | "
         "begin | end |\n|---|---|---|\n";
  auto row = [](const char* name, VaRange range) {
    std::cout << "| " << name << " | " << hex(range.begin.value()) << " | " << hex(range.end.value())
              << " |\n";
  };
  row("user regions", kUserRange);
  row("kernel pointers (region calls on space 0)", kWindowRange);
  row("kernel memory (kmem_alloc)", kKmemRange);
  row("kernel image", kImageRange);
}

}  // namespace

int main() {
  std::cout
      << "# The nopte hypercall interface, version " << kAbiVersion
      << "\n\n"
         "Generated from `pvops/abi/features.def` and `pvops/abi/hypercalls.def` by "
         "`papers/generate_abi.cc`; do not edit.\n\n"
         "VMMCALL at CPL 0 with the number in rax and arguments in rdi, rsi, rdx, r10, r8, r9. It returns a "
         "status in rax and the result in rdx; all other registers are preserved. A call that fails has "
         "changed nothing unless its errors say otherwise. An unknown number answers `unsupported`. "
         "`again` means that an exact prefix happened and an interrupt is pending; rdx is then how many "
         "pages of the "
         "range are done: issue the call for the rest, or the same call again where it is 0 (to issue the "
         "same call "
         "always comes to the same end); pages behind the prefix may have been dropped already, by a call "
         "that "
         "drops them. Between two looks at whether an interrupt is pending lie at most "
         "512 pages, "
         "512 tables and index nodes, and 512 regions, and once a call has answered `again` its rest is not "
         "refused "
         "for want of memory. Numbers are never reused; reserved bits must be zero; there are no negative "
         "features. "
         "Lengths are in pages, time in nanoseconds, and no physical address appears anywhere.\n\n"
         "Each call names the conformance cases that are about it; "
         "[conformance.md](conformance.md) tells how to run them.\n\n";
  print_features();
  print_statuses();
  print_calls();
  print_entry();
  return g_untested;
}
