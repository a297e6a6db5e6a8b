// Terminal settings as programs pass them (uapi/asm-generic/termbits.h, asm-generic/termios.h), and their
// words.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::tty {

// struct termios2; struct termios is its first kShortBytes.
struct Termios {
  enum Control : u8 {
    kIntr,
    kQuit,
    kErase,
    kKill,
    kEof,
    kTime,
    kMin,
    kSwtc,
    kStart,
    kStop,
    kSusp,
    kEol,
    kReprint,
    kDiscard,
    kWordErase,
    kLiteralNext,
    kEol2
  };
  static constexpr u64 kShortBytes = 36;
  // c_iflag
  static constexpr u32 kMarkParity = 010, kStrip = 040, kNlToCr = 0100, kIgnoreCr = 0200, kCrToNl = 0400,
                       kToLower = 01000, kFlowControl = 02000, kAnyStarts = 04000, kUtf8 = 040000;
  // c_oflag
  static constexpr u32 kPostProcess = 01, kToUpper = 02, kNlToCrNl = 04, kOutCrToNl = 010, kNoCrAtStart = 020,
                       kNlReturns = 040, kTabDelay = 014000, kExpandTabs = 014000;
  // c_cflag
  static constexpr u32 kBaudMask = 010017, kOtherBaud = 010000, kSizeMask = 060, kEightBits = 060,
                       kReceiver = 0200, kParity = 0400, kHangUpOnClose = 02000, kLocalLine = 04000;
  static constexpr u32 kInputBaudShift = 16;
  // c_lflag
  static constexpr u32 kSignals = 01, kCanonical = 02, kEcho = 010, kEchoErase = 020, kEchoKill = 040,
                       kEchoNl = 0100, kNoFlush = 0200, kStopWriters = 0400, kEchoControl = 01000,
                       kEchoPrint = 02000, kEchoKillErase = 04000, kExtended = 0100000, kExternal = 0200000;

  static constexpr u32 kUsualBaud = 38400, kUsualBaudCode = 017;

  u32 input = kCrToNl | kFlowControl;
  u32 output = kPostProcess | kNlToCrNl;
  u32 control = kUsualBaudCode | kEightBits | kReceiver;
  u32 local =
      kSignals | kCanonical | kEcho | kEchoErase | kEchoKill | kEchoControl | kEchoKillErase | kExtended;
  u8 line = 0;
  u8 characters[19] = {3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0};
  u32 input_baud = kUsualBaud;
  u32 output_baud = kUsualBaud;
};
static_assert(sizeof(Termios) == 44);

// struct termio of the TCGETA requests: the low halves.
struct OldTermios {
  u16 input, output, control, local;
  u8 line;
  u8 characters[8];
  u8 hole;
};
static_assert(sizeof(OldTermios) == 18);

// struct winsize
struct WindowSize {
  u16 rows = 0, columns = 0, x_pixels = 0, y_pixels = 0;
  bool operator==(const WindowSize&) const = default;
};

}  // namespace nopte::guest::tty
