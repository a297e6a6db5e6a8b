#include "tests/boot/hostile/hypercalls.h"

using namespace hostile;
using pv::vmmcall;

namespace {

constexpr u64 kNasty[] = {
    0,
    1,
    2,
    7,
    16,
    0xfff,
    0x1000,
    0x10000,
    0x7fff'ffff,
    0x8000'0000,
    0xffff'ffff,
    0x1'0000'0000,
    0x40'0000,              // the user page
    0x7fff'fffe'f000,       // the last user page
    0x7fff'ffff'f000,       // beyond
    0x8000'0000'0000,       // not canonical
    0xffff'7fff'ffff'f000,  // not canonical
    0xffff'8000'0000'0000,
    0xffff'c000'0000'0000,  // windows
    0xffff'c07f'ffff'f000,
    0xffff'd000'0000'0000,  // kernel memory
    0xffff'ffff'8010'0000,  // the image
    0xffff'ffff'ffff'f000,
    0x7fff'ffff'ffff'ffff,
    0x8000'0000'0000'0000,
    0x000f'ffff'ffff'ffff,
    0x0010'0000'0000'0000,  // pages that overflow as bytes
    0xffff'ffff'ffff'ffff,
};

// Of calls that say how regions are used.
constexpr u64 kUsages[] = {
    6,
    0xc3,   // a pattern that does not exist
    0x283,  // flags of a map call, with a usage
};

}  // namespace

const std::span<const u64> hostile::kNastyValues{kNasty};

namespace {

// What the other registers hold while one is varied.
constexpr u64 kBackgrounds[][6] = {
    {0, 0, 0, 0, 0, 0},
    {1, 0x40'0000, 1, 3, 0, 0},
    {0, 0xffff'c000'0000'0000, 1, 3, 1, 0},
    {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}},
};

constexpr u64 kNumbers[] = {
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) number,
#include "pvops/abi/hypercalls.def"
    // Interfaces' calls: those that this mode has are their own files' matter.
    abi::tagged(abi::Interface::kXen, 1),
    abi::tagged(abi::Interface::kVmi, 39),
    abi::tagged(abi::Interface::kLguest, 14),
    abi::tagged(abi::Interface::kKvmPv, 9),
    u64{0x4e50'0009} << 32,
    6,
    7,
    27,
    63,
    71,
    127,
    128,
    255,
    0x1'0000'0000,
    0x1'0000'0008,
    0x7fff'ffff'ffff'ffff,
    ~u64{0}};

// Calls whose effect would end the test: the others' effects are undone or harmless.
bool left_out(u64 number, const u64* r, bool has_interface) {
  if (abi::is_tagged(number)) {
    return has_interface;
  }
  switch (static_cast<abi::Call>(number)) {
    case abi::Call::power_off:
      return r[0] <= 0xff;
    case abi::Call::idle:
      return true;  // without a deadline it waits for ever, as it should
    case abi::Call::space_switch:
      return r[1] == 1;  // the space of the user page, which the other calls are about
    case abi::Call::console_write:
    case abi::Call::mark:
      return r[0] >= 1 && r[0] <= 40;  // would print
    default:
      return false;
  }
}

// A call that succeeded is undone, so that the test cannot run out of things.
void undo(abi::Call call, const u64* r, u64 value) {
  switch (call) {
    case abi::Call::space_create:
    case abi::Call::space_clone:
      check("undo: space_destroy", "", 0,
            static_cast<u64>(vmmcall(abi::Call::space_destroy, value, 0, 0).status));
      break;
    case abi::Call::object_create:
      check("undo: object_destroy", "", 0,
            static_cast<u64>(vmmcall(abi::Call::object_destroy, value, 0, 0).status));
      break;
    case abi::Call::kmem_alloc:
      check("undo: kmem_free", "", 0, static_cast<u64>(vmmcall(abi::Call::kmem_free, value, r[0], 0).status));
      break;
    case abi::Call::region_map:
      vmmcall(abi::Call::region_unmap, r[0], r[1], r[2]);
      break;
    default:
      break;
  }
}

u64 round(bool has_interface) {
  constexpr u64 kLastStatus = static_cast<u64>(Status::kLimit);
  u64 count = 0;
  for (const u64 number : kNumbers) {
    for (const auto& background : kBackgrounds) {
      for (unsigned varied = 0; varied < 6; ++varied) {
        for (unsigned i = 0; i < std::size(kNasty) + std::size(kUsages); ++i) {
          u64 r[6];
          __builtin_memcpy(r, background, sizeof(r));
          r[varied] = i < std::size(kNasty) ? kNasty[i] : kUsages[i - std::size(kNasty)];
          if (left_out(number, r, has_interface)) {
            continue;
          }
          const auto call = static_cast<abi::Call>(number);
          const auto result = vmmcall(call, r[0], r[1], r[2], r[3], r[4], r[5]);
          ++count;
          const u64 status = static_cast<u64>(result.status);
          if (abi::is_tagged(number)) {
            check("a call of no interface", "", static_cast<u64>(Status::kUnsupported), status);
          }
          if (status > kLastStatus) {
            check("status of call ", "", kLastStatus, status);
          }
          if (result.status == Status::kOk) {
            undo(call, r, result.value);
          }
        }
      }
    }
  }
  vmmcall(abi::Call::timer_cancel, 0, 0, 0);
  return count;
}

}  // namespace

u64 hypercalls::torture(bool has_interface) {
  vmmcall(abi::Call::region_queues, 0, 0, 0);  // what the first round's spaces pay ahead is paid in order
  u64 calls = round(has_interface);
  const u64 free_before = vmmcall(abi::Call::memory_info, 1, 0, 0).value;
  calls += round(has_interface);
  check("free pages after the second round", "", free_before, vmmcall(abi::Call::memory_info, 1, 0, 0).value);
  return calls;
}

void hypercalls::print_times() {
  constexpr u64 kCalls = 100;
  const auto measure = [](abi::Call call) {
    const u64 begin = cpu::rdtsc();
    for (u64 i = 0; i < kCalls; ++i) {
      vmmcall(call, 0, 0, 0);
    }
    return (cpu::rdtsc() - begin) / kCalls;
  };
  print("hostile: instructions of a round trip: query ");
  print(measure(abi::Call::query));
  print(", timer_cancel ");
  print(measure(abi::Call::timer_cancel));
  print(", memory_info ");
  print(measure(abi::Call::memory_info));
  print("\n");
}
