// A guest of direct paging that asks for whatever it pleases: tables are made by its own stores, hidden,
// pinned, linked, unlinked, given up half-way, used as something else; lists lie anywhere and hold anything.
// After each call everything is counted from scratch (XenMachine::check()), a refused step has changed no
// entry, and the call was short.
#pragma once

#include "tests/fuzz/input.h"
#include "tests/support/xen_machine.h"

namespace nopte::fuzz {

class XenWorld {
 public:
  using Machine = hv::testing::XenMachine;
  using Types = hv::PageTypes;
  static constexpr u64 kFrames = 40;

  // A small budget, so that work is interrupted everywhere.
  explicit XenWorld(u8 shape)
      : budget_(Types::kLeastPerLook + (shape < 128 ? shape % 8 * Types::kTableCost / 2 : 200)),
        machine_(kFrames, budget_) {}

  void run(Input& input) {
    while (input.more()) {
      const u8 what = input.byte();
      if (what < 64) {
        updates(1 + what % 4, input);
      } else if (what < 96) {
        operations(1 + what % 3, input);
      } else if (what < 112) {
        call(abi::xen::kUpdateVaMapping, {address(input), entry(input), what % 2 ? what % 8 : nasty(input)});
      } else if (what < 160) {
        (void)machine_.store(address(input) & ~u64{7}, entry(input));
        continue;
      } else if (what < 176) {
        show(frame(input), 0);
      } else if (what < 184) {
        show(frame(input), hv::testing::kXW);
      } else if (what < 200) {
        (void)machine_.load(address(input));
        continue;
      } else if (what < 232) {
        multicall(1 + what % 3, input);
      } else {
        // Read in this order, whatever the compiler's.
        abi::Registers arguments{};
        for (u64& argument : arguments) argument = what % 2 ? nasty(input) : small(input);
        call(what % 4 < 3 ? kNumbers[what % 4] : input.byte(), arguments);
      }
    }
    end();
  }

 private:
  static constexpr u64 kNumbers[] = {abi::xen::kMmuUpdate, abi::xen::kMmuextOp, abi::xen::kMulticall};
  static constexpr u64 kSlots[] = {0, 1, 2, 255, 256, 271, 272, 511};

  static u64 frame(Input& input) {
    const u8 byte = input.byte();
    return byte < 32 ? byte % 4 : 4 + byte % (kFrames - 4);  // the first tables now and then
  }
  static u64 slot(Input& input) { return kSlots[input.byte() % 8]; }
  static u64 nasty(Input& input) {
    const u8 byte = input.byte();
    if (byte < 64) return u64{1} << byte;
    if (byte < 96) return ~(u64{1} << (byte - 64));
    if (byte < 128) return Machine::kBegin + byte % 64;
    if (byte < 192) return Machine::address(byte % kFrames, byte % 8 * 8);
    return input.raw(8);
  }
  static u64 small(Input& input) {
    const u8 byte = input.byte();
    if (byte < 64) return byte;
    if (byte < 128) return Machine::address(byte % kFrames);
    if (byte < 192) return abi::xen::kDomainSelf;
    return Machine::machine(byte % kFrames);
  }
  static u64 entry(Input& input) {
    using namespace hv::testing;
    const u8 shape = input.byte();
    if (shape < 32) return 0;
    if (shape < 40) return nasty(input);
    static constexpr u64 kBits[] = {0, kXW, kXU, kXW | kXU, kXW | kXD, kXNx, kXG, kXPs | kXW};
    const u64 at = frame(input);
    return shape < 48 ? Machine::entry(at) & ~kXP : Machine::entry(at, kBits[shape % 8]);
  }
  // Mostly seen in the direct map; else what tables below the first slots may show.
  static u64 address(Input& input) {
    const u8 byte = input.byte();
    if (byte < 192) return Machine::address(byte % kFrames, slot(input) * 8);
    const u64 leaf = slot(input);
    return u64{byte % 4u} << 39 | u64{byte / 4 % 4u} << 30 | leaf << 21 | leaf << 12;
  }
  hv::testing::XenMachine::Update update(Input& input) {
    const u64 table = frame(input), index = slot(input), value = entry(input);
    const u8 command = input.byte();
    const u64 ptr = command < 8 ? nasty(input) : Machine::machine_address(table, index);
    return {ptr | (command % 4 == 1 ? abi::xen::kNormalUpdate : command % 4), value};
  }
  hv::testing::XenMachine::Operation operation(Input& input) {
    const u8 command = input.byte();
    const u64 at = Machine::machine(frame(input));
    const u64 other = input.byte();
    return {command < 224 ? command % 20u : static_cast<u32>(nasty(input)), 0, other < 16 ? nasty(input) : at,
            other < 64 ? nasty(input) : Machine::machine(other % kFrames)};
  }

  // Lists are the guest's to write where it can.
  template <class Element>
  u64 put(u64 place, const Element& element) {
    u64 words[sizeof(Element) / 8];
    __builtin_memcpy(words, &element, sizeof(element));
    for (const u64 word : words) {
      (void)machine_.store(place, word);
      place += 8;
    }
    return place;
  }
  [[nodiscard]] u64 list() const { return Machine::address(machine_.first_list()); }
  [[nodiscard]] u64 done_place() const { return Machine::address(machine_.first_list() + 1); }

  void updates(u64 count, Input& input) {
    u64 at = list();
    for (u64 i = 0; i < count; ++i) at = put(at, update(input));
    call(abi::xen::kMmuUpdate, {list(), count, done_place(), abi::xen::kDomainSelf});
  }
  void operations(u64 count, Input& input) {
    u64 at = list();
    for (u64 i = 0; i < count; ++i) at = put(at, operation(input));
    call(abi::xen::kMmuextOp, {list(), count, done_place(), abi::xen::kDomainSelf});
  }
  void show(u64 at, u64 bits) {
    const u64 ptr = Machine::machine_address(Machine::kFirstLeaf, at);
    put(list(), Machine::Update{ptr, Machine::entry(at, bits)});
    call(abi::xen::kMmuUpdate, {list(), 1, 0, abi::xen::kDomainSelf});
  }
  void multicall(u64 count, Input& input) {
    const u64 calls = Machine::address(machine_.first_list() + 2);
    u64 at = calls;
    for (u64 i = 0; i < count; ++i) {
      const u8 what = input.byte();
      abi::xen::MulticallEntry one{kNumbers[what % 3], 0, {list(), 1, done_place(), abi::xen::kDomainSelf}};
      if (what < 96) {
        put(list(), update(input));
        one.op = abi::xen::kMmuUpdate;
      } else if (what < 160) {
        put(list(), operation(input));
        one.op = abi::xen::kMmuextOp;
      } else if (what < 192) {
        one = {abi::xen::kUpdateVaMapping, 0, {address(input), entry(input), what % 8u}};
      } else if (what < 224) {
        one.args[what % 4] = nasty(input);
      }
      at = put(at, one);
    }
    call(abi::xen::kMulticall, {calls, count});
  }

  void call(u64 number, const abi::Registers& arguments) {
    const auto before = machine_.types.counters();
    const hv::CallResult result = machine_.call(number, arguments);
    const auto& after = machine_.types.counters();
    NOPTE_ASSERT(result.status <= Status::kLimit);
    NOPTE_ASSERT((result.status == Status::kOk) == (result.value == 0));
    const u64 tables =
        after.tables_validated + after.tables_released - before.tables_validated - before.tables_released;
    NOPTE_ASSERT(tables * Types::kTableCost <= budget_);
    NOPTE_ASSERT(after.entries_written - before.entries_written <= 2 * abi::xen::kMaxBatch);
    // One step that was refused, or did not begin.
    const bool single = number == abi::xen::kUpdateVaMapping ||
                        (number == abi::xen::kMmuUpdate && arguments[1] == 1 && arguments[2] == 0);
    if (single && result.status != Status::kOk) NOPTE_ASSERT(after.entries_written == before.entries_written);
    machine_.learn_pins();
    machine_.check();
  }
  // Pins go one by one; what is left is what the base leads to.
  void end() {
    for (u64 at = 0; at < kFrames; ++at) {
      while (machine_.info(at).pinned) {
        NOPTE_ASSERT(!machine_.types.begin_call() ||
                     machine_.types.unpin(Machine::machine(at)) == hv::XenErrno::kNone);
      }
    }
    while (!machine_.types.begin_call()) {
    }
    machine_.learn_pins();
    machine_.check();
  }

  u64 budget_;
  Machine machine_;
};

}  // namespace nopte::fuzz
