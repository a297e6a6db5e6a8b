#include "hv-mm/platform_calls.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "hv-mm/hex_text.h"

namespace nopte::hv {
namespace {

// Text that travels in registers.
struct Text {
  static constexpr u64 kMaxBytes = 40;
  char bytes[kMaxBytes];
  u64 length = 0;

  [[nodiscard]] std::string_view view() const { return {bytes, length}; }
};

template <class Args>
std::optional<Text> decode_text(const Args& args) {
  if (args.bytes == 0 || args.bytes > Text::kMaxBytes) {
    return std::nullopt;
  }
  Text text;
  const u64 words[] = {args.text0, args.text1, args.text2, args.text3, args.text4};
  std::memcpy(text.bytes, words, sizeof(words));
  text.length = args.bytes;
  return text;
}

}  // namespace

u64 Platform::features() const {
  return (abi::kFeaturePlatform | mode_.features()) & ~offer_.hidden_features;
}

CallResult Platform::query(const abi::query_args& args) {
  switch (args.item) {
    case 0:
      return {Status::kOk, offer_.abi_version};
    case 1:
      return {Status::kOk, features()};
    default:
      return {Status::kInvalid, 0};
  }
}

CallResult Platform::console_write(const abi::console_write_args& args) {
  const auto text = decode_text(args);
  if (!text) {
    return {Status::kInvalid, 0};
  }
  if (text->length > offer_.output_bytes - output_bytes_) return Fail(Status::kLimit);
  output_bytes_ += text->length;
  host_.console_write(text->view());
  return {};
}

CallResult Platform::console_read(const abi::console_read_args&) {
  const auto byte = host_.console_read();
  return {Status::kOk, byte ? u64{*byte} | u64{1} << 8 : 0};
}

CallResult Platform::timer_set(const abi::timer_set_args& args) {
  host_.timer_set(args.deadline_ns);
  return {};
}

CallResult Platform::timer_cancel(const abi::timer_cancel_args&) {
  host_.timer_cancel();
  return {};
}

CallResult Platform::idle(const abi::idle_args&) {
  wait();
  return {};
}

CallResult Platform::power_off(const abi::power_off_args& args) {
  if (args.status > 0xff) {
    return {Status::kInvalid, 0};
  }
  end(static_cast<u8>(args.status), {});
}

CallResult Platform::mark(const abi::mark_args& args) {
  const auto text = decode_text(args);
  if (!text) {
    return {Status::kInvalid, 0};
  }
  // How long a line is shows when it is written.
  if (output_bytes_ >= offer_.output_bytes) return Fail(Status::kLimit);
  u64 written = write_event("mark", "text", text->view(), nullptr);
  if (offer_.pictures) [[unlikely]]
    written += draw();
  output_bytes_ += std::min(written, offer_.output_bytes - output_bytes_);
  return {};
}

// Of what was asked for on the hypervisor's own command line; what it takes is no time of the guest's.
u64 Platform::draw() {
  const u64 begin = host_.ticks();
  u64 bytes = 0;
  const auto put = [&](std::string_view text) {
    bytes += text.size();
    host_.counters_write(text);
  };
  pt::PictureWriter picture(put);
  if (mode_.draw(picture)) put("\n");
  counters_.reporting_ticks += host_.ticks() - begin;
  return bytes;
}

void Platform::collect_host_interrupts() {
  u32 raised = host_.raised_interrupts();
  while (raised != 0) {
    vcpu_.raise_interrupt(static_cast<u8>(Vcpu::kFirstInterrupt + __builtin_ctz(raised)));
    raised &= raised - 1;
  }
  const Host::Signals signals = host_.signals();
  if (signals.nmi) report_signal("nmi", "NMI");
  if (signals.init) report_signal("init", "INIT");
}

// Neither is the guest's, and nothing else is asked of a hypervisor by them: where the guest is, on the
// console, the counters on their channel, and it goes on.
void Platform::report_signal(std::string_view event, std::string_view name) {
  host_.console_write("\nnopte-hv: ");
  host_.console_write(name);
  host_.console_write(": the guest goes on at rip ");
  host_.console_write(HexText(vcpu_.rip()).view());
  host_.console_write(vcpu_.cpl() == 0 ? " (CPL 0)\n" : " (CPL 3)\n");
  write_event(event, {}, {}, nullptr);
}

void Platform::wait() {
  collect_host_interrupts();
  if (vcpu_.interrupt_pending()) {
    return;
  }
  ++counters_.halts;
  const u64 begin = host_.ticks();
  do {
    host_.wait_for_interrupt();
    collect_host_interrupts();
  } while (!vcpu_.interrupt_pending());
  const u64 end = host_.ticks();
  counters_.idle_ticks += end - begin;
  vcpu_.waited(begin, end);
}

// Times leave out what writing lines takes, this one and earlier ones: a span between two marks does not
// contain the report of its own beginning.
u64 Platform::write_event(std::string_view event, std::string_view text_key, std::string_view text,
                          const u8* status) {
  const u64 begin = host_.ticks();
  u64 bytes = 0;
  const auto sink = [&](std::string_view piece) {
    bytes += piece.size();
    host_.counters_write(piece);
  };
  JsonWriter json(sink);
  json.begin_object();
  json.member("event", event);
  if (status != nullptr) {
    json.member("status", *status);
  }
  if (!text.empty()) {
    json.member(text_key, text);
  }
  json.member("mode", mode_.name());
  json.member("tsc", begin - counters_.reporting_ticks);
  json.member("idle_ns", host_.ns_of_ticks(counters_.idle_ticks));
  json.begin_object("counters");
  write_counters(json, counters_, vcpu_.hypervisor_ticks(begin));
  mode_.write_counters(json);
  json.end_object();
  json.end_object();
  json.end_line();
  counters_.reporting_ticks += host_.ticks() - begin;
  return bytes;
}

void Platform::boot(u64 guest_bytes, u64 own_bytes) {
  const auto sink = [&](std::string_view piece) { host_.counters_write(piece); };
  JsonWriter json(sink);
  json.begin_object();
  json.member("event", "boot");
  json.member("mode", mode_.name());
  json.member("guest_bytes", guest_bytes);
  json.member("own_bytes", own_bytes);
  json.member("tsc", host_.ticks());
  json.end_object();
  json.end_line();
}

void Platform::end(u8 status, std::string_view reason) {
  write_event("power_off", "reason", reason, &status);
  host_.power_off(status);
  __builtin_unreachable();  // the attribute is lost in a virtual call
}

}  // namespace nopte::hv
