#include "guest-mm/kernel/tty/baud.h"

#include <iterator>

namespace nopte::guest::tty {

namespace {

// By code: B0 to B38400, then B57600 to B4000000, which have kOtherBaud and a code from 1 on.
constexpr u32 kBauds[] = {0,       50,      75,      110,     134,     150,     200,    300,
                          600,     1200,    1800,    2400,    4800,    9600,    19200,  38400,
                          57600,   115200,  230400,  460800,  500000,  576000,  921600, 1000000,
                          1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000};
constexpr u32 kFirstOther = 15;

// What the code in a control word means; `given` where it says that it is another.
u32 baud_of(u32 code, u32 given) {
  if (code == Termios::kOtherBaud) {
    return given;
  }
  const u32 index = (code & Termios::kOtherBaud) != 0 ? (code & ~Termios::kOtherBaud) + kFirstOther : code;
  return index < std::size(kBauds) ? kBauds[index] : 0;
}

}  // namespace

void settle_bauds(Termios& termios) {
  const u32 output = termios.control & Termios::kBaudMask;
  const u32 input = (termios.control >> Termios::kInputBaudShift) & Termios::kBaudMask;
  termios.output_baud = baud_of(output, termios.output_baud);
  termios.input_baud = input == 0 ? termios.output_baud : baud_of(input, termios.input_baud);
}

}  // namespace nopte::guest::tty
