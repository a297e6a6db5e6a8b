#include "tests/conformance/booted/xen_answers.h"

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"
#include "pvops/abi/boot_block.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/arch/x86_64/xen_call.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"
#include "pvops/interfaces/xen.h"
#include "pvops/mm_ops.h"
#include "tests/conformance/line.h"

namespace nopte::conformance {
namespace {

using namespace abi::xen;
using pt::Entry;
constexpr i64 kPerm = -1, kSearch = -3, kFault = -14, kBusy = -16, kInval = -22, kNosys = -38;
constexpr u64 kFlush = kFlushPage | kFlushLocal;

class Asker {
 public:
  Asker(bool on_xen, FunctionRef<void(const char*, const char*)> report) : on_xen_(on_xen), report_(report) {
    root_ = cpu::read_cr3() >> kPageShift;
  }

  i64 call(u32 number, u64 a0, u64 a1, u64 a2, u64 a3 = kDomainSelf) const {
    if (on_xen_) return xen_call(number, a0, a1, a2, a3);
    const auto result =
        pv::vmmcall(static_cast<abi::Call>(abi::tagged(abi::Interface::kXen, number)), a0, a1, a2, a3, 0, 0);
    return result.status == Status::kOk ? 0 : static_cast<i64>(result.value);
  }
  i64 map(u64 va, u64 word, u64 flags = kFlush) const { return call(kUpdateVaMapping, va, word, flags); }
  i64 update(u64 ptr, u64 val) const {
    const MmuUpdate request{ptr, val};
    return call(kMmuUpdate, xen_argument(request), 1, 0);
  }
  i64 operation(Mmuext command, u64 arg1, u64 arg2 = 0) const {
    const MmuextOp request{static_cast<u32>(command), 0, arg1, arg2};
    return call(kMmuextOp, xen_argument(request), 1, 0);
  }
  // The answer on Xen, and in mode xen.
  void expect(const char* name, i64 answer, i64 on_xen, i64 here) {
    const i64 expected = on_xen_ ? on_xen : here;
    if (answer == expected) return report_(name, nullptr);
    Line line;
    line.text("answer ").text(Digits(answer).text()).text(", expected ").text(Digits(expected).text());
    report_(name, line.text(std::string_view("", 1)).view().data());
  }
  void expect(const char* name, i64 answer, i64 both) { expect(name, answer, both, both); }

  [[nodiscard]] u64 root() const { return root_; }
  // The machine frame of the table of `level` that maps va.
  [[nodiscard]] u64 table(u64 va, unsigned level) const {
    u64 machine = root_;
    for (unsigned at = pt::kLevels; at > level; --at) machine = entry(machine, va, at).frame().number();
    return machine;
  }
  [[nodiscard]] Entry entry(u64 table, u64 va, unsigned level) const {
    const auto* const to_physical = reinterpret_cast<const u64*>(kMachineToPhysical);
    const auto* const entries =
        reinterpret_cast<const u8*>(abi::kMachineDirectBase + (to_physical[table] << kPageShift));
    return pt::load_entry(entries, pt::table_index(Gva(va), level));
  }
  [[nodiscard]] Entry leaf(u64 va) const { return entry(table(va, 1), va, 1); }

 private:
  bool on_xen_;
  FunctionRef<void(const char*, const char*)> report_;
  u64 root_;
};

// --- entries of a leaf table ---
void leaves(Asker& a, u64 va, u64 other) {
  const u64 word = a.leaf(va).word();
  const auto tried = [&](const char* name, u64 value, i64 on_xen, i64 here) {
    a.expect(name, a.map(va, value), on_xen, here);
    (void)a.map(va, word);
  };
  tried("xen_nothing_is_mapped", 0, 0, 0);
  tried("xen_what_is_not_present_says_anything", 0xdead'beef'dead'b0fe, 0, 0);
  tried("xen_write_through", word | Entry::kWriteThrough, 0, kInval);
  tried("xen_uncached", word | Entry::kCacheDisable, 0, kInval);
  tried("xen_attribute_table_bit", word | u64{1} << 7, 0, kInval);
  tried("xen_bits_53_to_58", word | u64{0x3f} << 53, 0, 0);
  tried("xen_bits_59_to_62", word | u64{0xf} << 59, 0, 0);
  tried("xen_global_kernel_page", word | Entry::kGlobal, 0, 0);
  tried("xen_frame_beyond_memory", (word & ~Entry::kFrameMask) | u64{0xf'ffff'f000} << 12, kPerm, kPerm);
  const u64 xens = a.entry(a.root(), kMachineToPhysical, pt::kLevels).frame().number();
  // (With one guest, its range says who owns a frame.)
  tried("xen_hypervisors_page", (word & ~(Entry::kFrameMask | Entry::kWritable)) | xens << kPageShift, kBusy,
        kPerm);
  const u64 table = a.table(va, 1) << kPageShift;
  tried("xen_own_table_to_write_to", (word & ~Entry::kFrameMask) | table, kBusy, kBusy);
  tried("xen_own_table_to_read", (word & ~(Entry::kFrameMask | Entry::kWritable)) | table, 0, 0);
  tried("xen_page_that_is_mapped_elsewhere",
        (word & ~Entry::kFrameMask) | a.leaf(other).frame().address().value(), 0, 0);
  a.expect("xen_no_leaf_table", a.map(0x7f00'0000'0000, word), kInval);
  a.expect("xen_mapping_in_its_own_slots", a.map(kMachineToPhysical, word), kInval);
  a.expect("xen_address_that_is_not_canonical", a.map(0x8000'0000'0000, word), kInval);
  a.expect("xen_flush_of_no_type", a.map(va, word, 3), 0);
  a.expect("xen_flush_of_nothing_for_a_mask", a.map(va, word, u64{0x7f00'0000'0000} | kFlushNone), 0);
  a.expect("xen_flush_for_a_mask_that_is_nowhere", a.map(va, word, u64{0x7f00'0000'0000} | kFlushTlb),
           kFault);
  // What a kernel's leaf, and a program's, read back with.
  const auto added = [&](u64 value) {
    (void)a.map(va, value);
    const u64 read = a.leaf(va).word();
    (void)a.map(va, word);
    return static_cast<i64>((read ^ value) & ~(Entry::kAccessed | Entry::kDirty));
  };
  const u64 plain = word & ~(Entry::kUser | Entry::kGlobal | u64{1} << 52);
  a.expect("xen_kernel_leaf_reads_back", added(plain), i64{1} << 52 | Entry::kUser, 0);
  a.expect("xen_user_leaf_reads_back", added(plain | Entry::kUser), Entry::kGlobal, 0);
}

// --- entries by their address ---
void updates(Asker& a, u64 va, u64 other) {
  const u64 at = (a.table(va, 1) << kPageShift) + pt::table_index(Gva(va), 1) * sizeof(u64);
  const u64 word = a.leaf(va).word(), page = a.leaf(other).frame().address().value();
  a.expect("xen_same_entry_again", a.update(at, word), 0);
  a.expect("xen_bit_2_of_an_address", a.update(at | 4, word), kNosys);
  a.expect("xen_slot_of_the_hypervisor", a.update((a.root() << kPageShift) + kReservedSlot * sizeof(u64), 0),
           kInval);
  a.expect("xen_last_slot_of_the_hypervisor",
           a.update((a.root() << kPageShift) + (kReservedSlot + kReservedSlots - 1) * sizeof(u64), 0),
           kInval);
  a.expect("xen_word_of_a_plain_page", a.update(page, 5), 0);
  const auto* const to_physical = reinterpret_cast<const u64*>(kMachineToPhysical);
  a.expect("xen_machine_to_physical", a.update(page | kMachphysUpdate, to_physical[page >> kPageShift]), 0,
           kNosys);
  const u64 xens = a.entry(a.root(), kMachineToPhysical, pt::kLevels).frame().number();
  const u64 last = (a.table(va, 2) << kPageShift) + 511 * sizeof(u64);
  constexpr u64 kBits = Entry::kPresent | Entry::kWritable | Entry::kAccessed;
  a.expect("xen_large_page", a.update(last, kBits | Entry::kLarge), kInval);
  a.expect("xen_writable_page_as_table", a.update(last, page | kBits), kInval);
  a.expect("xen_table_of_another_level", a.update(last, (a.table(va, 3) << kPageShift) | kBits), kInval);
  a.expect("xen_its_own_table_as_table", a.update(last, (xens << kPageShift) | kBits), kInval);
  a.expect("xen_software_bits_above_a_leaf", a.update(last - sizeof(u64), u64{0x3ff} << 53), 0);
  const MmuUpdate list[] = {{at, word}, {last, page | kBits}, {at, word}};
  u32 done = 77;
  a.expect("xen_list_with_a_bad_entry", a.call(kMmuUpdate, xen_argument(list), 3, xen_argument(done)),
           kInval);
  a.expect("xen_list_says_how_far_it_came", done, 1);
  a.expect("xen_list_of_nothing", a.call(kMmuUpdate, xen_argument(list), 0, 0), 0);
  a.expect("xen_list_that_is_nowhere", a.call(kMmuUpdate, 0x7f00'0000'0000, 1, 0), kFault);
  a.expect("xen_list_of_another_domain", a.call(kMmuUpdate, xen_argument(list), 1, 0, 5), kSearch, kPerm);
  a.expect("xen_unknown_call", a.call(60, 0, 0, 0), kNosys);
}

// --- operations ---
void operations(Asker& a, u64 va, u64 other) {
  const u64 page = a.leaf(va).frame().number(), table = a.table(va, 1);
  a.expect("xen_unknown_operation", a.operation(static_cast<Mmuext>(77), 0), kNosys);
  a.expect("xen_pin_of_a_writable_page", a.operation(Mmuext::kPinL1, page), kInval);
  a.expect("xen_pin_of_another_level", a.operation(Mmuext::kPinL3, table), kInval);
  a.expect("xen_pin_of_what_is_not_there", a.operation(Mmuext::kPinL1, 0xf'ffff'ffff), kInval);
  a.expect("xen_second_pin", a.operation(Mmuext::kPinL4, a.root()), kInval);
  a.expect("xen_unpin_of_what_is_not_pinned", a.operation(Mmuext::kUnpin, page), kInval);
  a.expect("xen_root_that_is_a_page", a.operation(Mmuext::kNewBaseptr, page), kInval);
  a.expect("xen_root_that_is_in_use", a.operation(Mmuext::kNewBaseptr, a.root()), 0);
  a.expect("xen_clear_of_a_page", a.operation(Mmuext::kClearPage, page), 0);
  a.expect("xen_clear_of_a_table", a.operation(Mmuext::kClearPage, table), kInval);
  const u64 xens = a.entry(a.root(), kMachineToPhysical, pt::kLevels).frame().number();
  a.expect("xen_copy_of_what_is_not_ours", a.operation(Mmuext::kCopyPage, page, xens), kInval);
  a.expect("xen_clear_of_what_is_not_ours", a.operation(Mmuext::kClearPage, xens), kInval);
  a.expect("xen_pin_of_what_is_not_ours", a.operation(Mmuext::kPinL1, xens), kInval);
  a.expect("xen_unpin_of_what_is_not_ours", a.operation(Mmuext::kUnpin, xens), kInval);
  a.expect("xen_flush_for_vcpus_that_are_nowhere", a.operation(Mmuext::kTlbFlushMulti, 0, 0x7f00'0000'0000),
           kInval);
  a.expect("xen_copy_of_a_page", a.operation(Mmuext::kCopyPage, page, a.leaf(other).frame().number()), 0);
  a.expect("xen_flush_of_any_address", a.operation(Mmuext::kInvlpgLocal, 0x8000'0000'0000), 0);
  MulticallEntry calls[] = {{kMulticall, 0, {0, 0}}, {60, 0, {}}};
  a.expect("xen_two_calls", a.call(kMulticall, xen_argument(calls), 2, 0), 0);
  a.expect("xen_call_of_calls_in_a_call", static_cast<i64>(calls[0].result), kInval);
  a.expect("xen_unknown_call_in_a_call", static_cast<i64>(calls[1].result), kNosys);
}

}  // namespace

void for_each_xen_answer(bool on_xen, FunctionRef<void(const char*, const char*)> report) {
  const auto memory = mm_ops().kmem_alloc(2);
  if (!memory) return report("xen_answers", "there is no memory");
  const u64 va = memory->value(), other = va + kPageBytes;
  Asker asker(on_xen, report);
  leaves(asker, va, other);
  updates(asker, va, other);
  operations(asker, va, other);
  mm_ops().kmem_free(*memory, 2);
}

}  // namespace nopte::conformance
