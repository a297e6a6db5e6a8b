// Xen as platform of a kernel at ring 3: console, one-shot timer, events in place of interrupts. Events stay
// masked in the kernel, which asks for those that wait where others open a window; only user mode is entered
// with the mask clear, and the call that waits clears it. The counters channel is the bare machine's: its
// ports are the first domain's.
#include "native-fallback/guest/arch/x86_64/native_machine.h"
#include "native-fallback/guest/arch/x86_64/xenpv.h"
#include "native-fallback/guest/native_backend.h"
#include "pvops/arch/x86_64/clock.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/arch/x86_64/xen_call.h"
#include "pvops/base/panic.h"

namespace nopte::pt {
namespace {

using namespace abi::xen_pv;

constexpr u64 kNsPerSecond = 1'000'000'000;
constinit TscClock g_xen_clock;
u64 g_boot_wall_ns = 0;
IdleTime g_idle;
bool g_waits = false;  // in the call that unmasks events
u64 g_reporting = 0;   // ticks that went into the counters channel, each byte of which Xen emulates
u32 g_ports[2];        // timer, console
constexpr u8 kVectors[2] = {kTimerVector, kConsoleVector};

volatile VcpuInfo& vcpu() { return xen_shared_page.vcpu[0]; }

// Xen's time: ns since its boot.
u64 system_time() {
  for (;;) {
    const u32 version = vcpu().time_version;
    const u64 since = cpu::rdtsc() - vcpu().tsc_timestamp;
    const int shift = vcpu().tsc_shift;
    const u64 scaled = shift < 0 ? since >> -shift : since << shift;
    const auto ns = static_cast<u64>(static_cast<unsigned __int128>(scaled) * vcpu().tsc_to_system_mul >> 32);
    const u64 time = vcpu().system_time + ns;
    if ((version & 1) == 0 && version == vcpu().time_version) return time;
  }
}

// As measure_tsc_hz() answers natively: whole MHz.
u64 tsc_hz() {
  constexpr u64 kMhz = 1'000'000;
  const u64 unscaled = (kNsPerSecond << 32) / vcpu().tsc_to_system_mul;
  const int shift = vcpu().tsc_shift;
  const u64 hz = shift < 0 ? unscaled << -shift : unscaled >> shift;
  return (hz + kMhz / 2) / kMhz * kMhz;
}

u32 bind(u32 virq) {
  BindVirq request{virq, 0, 0};
  return xen_call(kEventChannelOp, kBindVirq, xen_argument(request)) == 0 ? request.port : 0;
}

void say(const char* text, u64 bytes) {
  if (bytes != 0) xen_call(kConsoleIo, kConsoleWrite, bytes, reinterpret_cast<u64>(text));
}

struct XenPlatform {
#define NOPTE_OP(result, name, parameters, arguments) static result name parameters;
#include "pvops/platform_ops.def"
};

// Xen's console puts a carriage return before each line feed itself.
void XenPlatform::console_write(std::string_view text) {
  u64 begin = 0;
  for (u64 i = 0; i + 1 < text.size(); ++i) {
    if (text[i] != '\r' || text[i + 1] != '\n') continue;
    say(text.data() + begin, i - begin);
    begin = i + 1;
  }
  say(text.data() + begin, text.size() - begin);
}

std::optional<u8> XenPlatform::console_read() {
  u8 byte = 0;
  if (xen_call(kConsoleIo, kConsoleRead, 1, xen_argument(byte)) != 1) return std::nullopt;
  return byte;
}

u64 XenPlatform::now_ns() { return g_xen_clock.ns(cpu::rdtsc()); }

// The two clocks differ by parts of a million.
void XenPlatform::timer_set(u64 deadline_ns) {
  const u64 now = now_ns();
  const SingleshotTimer timer{system_time() + (deadline_ns > now ? deadline_ns - now : 0), 0, 0};
  xen_call(kVcpuOp, kSetSingleshotTimer, 0, xen_argument(timer));
}
void XenPlatform::timer_cancel() { xen_call(kVcpuOp, kStopSingleshotTimer, 0, 0); }
void XenPlatform::interrupt_done(u8) {}

void XenPlatform::idle() {
  const u64 begin = now_ns();
  g_waits = true;
  xen_call(kSchedOp, kBlock, 0);
  vcpu().upcall_mask = 1;  // the callback has, if there was one
  g_waits = false;
  g_idle.add(now_ns() - begin);
  take_xen_events();
}

void XenPlatform::mark(std::string_view name) {
  const u64 begin = cpu::rdtsc();
  report_mark(name, begin - g_reporting, g_idle);
  g_reporting += cpu::rdtsc() - begin;
}
void XenPlatform::power_off(u8 status) { report_power_off(status, cpu::rdtsc() - g_reporting, g_idle); }

u64 XenPlatform::boot_wall_ns() { return g_boot_wall_ns; }

constexpr PlatformOps kPlatform{
    "Xen",
#define NOPTE_OP(result, name, parameters, arguments) &XenPlatform::name,
#include "pvops/platform_ops.def"
};

}  // namespace

const PlatformOps& init_xen_platform(const abi::BootBlock&) {
  g_xen_clock = TscClock(tsc_hz());
  g_boot_wall_ns = xen_shared_page.wall_seconds * kNsPerSecond + xen_shared_page.wall_ns + system_time() -
                   XenPlatform::now_ns();
  xen_call(kVcpuOp, kStopPeriodicTimer, 0, 0);
  g_ports[0] = bind(kVirqTimer);
  NOPTE_ASSERT(g_ports[0] != 0);  // idle() would sleep for ever
  g_ports[1] = bind(kVirqConsole);
  return kPlatform;
}

}  // namespace nopte::pt

extern "C" void take_xen_events() {
  using namespace nopte;
  using namespace nopte::pt;
  if (vcpu().upcall_pending == 0) return;
  vcpu().upcall_pending = 0;
  vcpu().pending_selector = 0;  // all ports lie in the first word
  for (unsigned i = 0; i < std::size(g_ports); ++i) {
    const u64 bit = u64{1} << g_ports[i];
    if (g_ports[i] != 0 && (xen_shared_page.event_pending[0] & bit) != 0) {
      __atomic_fetch_and(&xen_shared_page.event_pending[0], ~bit, __ATOMIC_SEQ_CST);
      dispatch_xen_event(kVectors[i]);
    }
  }
}

extern "C" void take_xen_callback(nopte::u32 code_segment) {
  constexpr nopte::u32 kPrivilege = 3;
  NOPTE_ASSERT(nopte::pt::vcpu().upcall_mask == 1);
  NOPTE_ASSERT((code_segment & kPrivilege) != 0 || nopte::pt::g_waits);
  take_xen_events();
}
