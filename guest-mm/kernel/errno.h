// Linux errno values (asm-generic/errno-base.h, errno.h) and their translation from Status.
#pragma once

#include "pvops/base/result.h"

namespace nopte::guest {

// Handlers return these negated.
enum Errno : i64 {
  kEPERM = 1,
  kENOENT = 2,
  kESRCH = 3,
  kEINTR = 4,
  kEIO = 5,
  kENXIO = 6,
  kE2BIG = 7,
  kENOEXEC = 8,
  kEBADF = 9,
  kECHILD = 10,
  kEAGAIN = 11,
  kENOMEM = 12,
  kEACCES = 13,
  kEFAULT = 14,
  kEBUSY = 16,
  kEEXIST = 17,
  kEXDEV = 18,
  kENODEV = 19,
  kENOTDIR = 20,
  kEISDIR = 21,
  kEINVAL = 22,
  kENFILE = 23,
  kEMFILE = 24,
  kENOTTY = 25,
  kETXTBSY = 26,
  kEFBIG = 27,
  kENOSPC = 28,
  kESPIPE = 29,
  kEROFS = 30,
  kEMLINK = 31,
  kEPIPE = 32,
  kEDOM = 33,
  kERANGE = 34,
  kEDEADLK = 35,
  kENAMETOOLONG = 36,
  kENOLCK = 37,
  kENOSYS = 38,
  kENOTEMPTY = 39,
  kELOOP = 40,
  kENOMSG = 42,
  kEIDRM = 43,
  kENODATA = 61,
  kENOPKG = 65,
  kEOVERFLOW = 75,
  kELIBBAD = 80,
  kENOTSOCK = 88,
  kEDESTADDRREQ = 89,
  kEMSGSIZE = 90,
  kEPROTOTYPE = 91,
  kENOPROTOOPT = 92,
  kEPROTONOSUPPORT = 93,
  kESOCKTNOSUPPORT = 94,
  kEOPNOTSUPP = 95,
  kEAFNOSUPPORT = 97,
  kEADDRINUSE = 98,
  kEADDRNOTAVAIL = 99,
  kENETUNREACH = 101,
  kECONNABORTED = 103,
  kECONNRESET = 104,
  kENOBUFS = 105,
  kEISCONN = 106,
  kENOTCONN = 107,
  kETOOMANYREFS = 109,
  kETIMEDOUT = 110,
  kECONNREFUSED = 111,
  kEALREADY = 114,
  kEINPROGRESS = 115,
  kESTALE = 116,
  kECANCELED = 125,
  // Never seen by programs: a signal interrupted the call. What becomes of it is decided when the signal is
  // delivered: RESTARTSYS is called again under SA_RESTART or without a handler, RESTARTNOHAND without a
  // handler only, RESTART_RESTARTBLOCK (Process::restart) goes on with what is left of its time without a
  // handler only; otherwise the answer is EINTR.
  kERESTARTSYS = 512,
  kERESTARTNOINTR = 513,  // called again, always
  kERESTARTNOHAND = 514,
  kERESTART_RESTARTBLOCK = 516,
};

constexpr i64 to_errno(Status status) {
  switch (status) {
    case Status::kOk:
      return 0;
    case Status::kNoMemory:
      return -kENOMEM;
    case Status::kInvalid:
      return -kEINVAL;
    case Status::kNoRegion:
      return -kENOMEM;
    case Status::kOverlap:
      return -kEEXIST;
    case Status::kPermission:
      return -kEACCES;
    case Status::kPastEnd:
      return -kEFAULT;
    case Status::kBusy:
      return -kEBUSY;
    case Status::kUnsupported:
      return -kENOSYS;
    case Status::kAgain:
      return -kEAGAIN;
    case Status::kBadAddress:
      return -kEFAULT;
    case Status::kLimit:
      return -kENOMEM;
  }
  return -kEINVAL;
}

}  // namespace nopte::guest
