#include "experiments/peers/kvm_monitor/uart.h"

namespace kvm_monitor {
namespace {

enum Register : uint16_t {
  kData,
  kEnable,
  kIdentity,
  kLineControl,
  kModemControl,
  kLineStatus,
  kModemStatus,
  kScratch,
};
constexpr uint8_t kEnableReceived = 0x01;
constexpr uint8_t kEnableSent = 0x02;
constexpr uint8_t kHasData = 0x01;
constexpr uint8_t kTransmitterEmpty = 0x60;

}  // namespace

uint8_t Uart::pending() const {
  if ((enabled_ & kEnableReceived) != 0 && taken_ < received_.size()) return kReceived;
  if ((enabled_ & kEnableSent) != 0 && sent_) return kSent;
  return kNothing;
}

// Ready to send, data set ready, carrier: somebody listens. Looped, the outputs: DTR to DSR, RTS to CTS, the
// rest as it is.
uint8_t Uart::modem_status() const {
  if (!looped()) return 0xb0;
  return static_cast<uint8_t>((modem_control_ & 0x0c) << 4 | (modem_control_ & 0x02) << 3 |
                              (modem_control_ & 0x01) << 5);
}

uint8_t Uart::read(uint16_t index) {
  switch (index) {
    case kData: {
      if (divisor()) return divisor_[0];
      if (taken_ == received_.size()) return 0;
      const auto byte = static_cast<uint8_t>(received_[taken_++]);
      if (taken_ == received_.size()) {
        received_.clear();
        taken_ = 0;
      }
      return byte;
    }
    case kEnable:
      return divisor() ? divisor_[1] : enabled_;
    case kIdentity: {
      const uint8_t identity = pending();
      if (identity == kSent) sent_ = false;  // told
      return identity;
    }
    case kLineControl:
      return line_control_;
    case kModemControl:
      return modem_control_;
    case kLineStatus:
      return kTransmitterEmpty | (taken_ < received_.size() ? kHasData : 0);
    case kModemStatus:
      return modem_status();
    default:
      return scratch_;
  }
}

void Uart::write(uint16_t index, uint8_t value) {
  switch (index) {
    case kData:
      if (divisor()) {
        divisor_[0] = value;
      } else if (looped()) {
        receive({reinterpret_cast<const char*>(&value), 1});
      } else {
        send_(value);
      }
      sent_ = sent_ || !divisor();
      return;
    case kEnable:
      if (divisor()) {
        divisor_[1] = value;
        return;
      }
      // The transmitter is empty: asking for that is answered.
      sent_ = sent_ || (value & ~enabled_ & kEnableSent) != 0;
      enabled_ = value & 0x0f;
      return;
    case kLineControl:
      line_control_ = value;
      return;
    case kModemControl:
      modem_control_ = value & 0x1f;
      return;
    case kScratch:
      scratch_ = value;
      return;
    default:
      return;  // no queue of its own to control, and the status registers only tell
  }
}

void Uart::receive(std::string_view bytes) { received_ += bytes; }

}  // namespace kvm_monitor
