#!/usr/bin/env bash
# Zydis 4.0.0 gives `67 41 8b 04 25 disp32` the base R13D. It has none: a base of 5 without a displacement of its own stands
# for a displacement alone, whatever REX.B says, in addresses of 32 bits as of 64, where Zydis knows it.
# Why it matters: tests/unit/decode holds our decoder against this one, and leaves such addresses out.
# Source: AMD APM volume 3, section 1.4.4 and table A-35 (SIB: base 101 with mod 00 is a displacement alone); the processor
# that runs this script says the same.
. "$(dirname "$0")/support.bash"
unpack libzydis4.0=4.0.0-1 libzydis-dev=4.0.0-1 libzycore-dev=1.4.1-1
dpkg-deb -f "$work"/libzydis4.0_*.deb Package Version
cat >"$work/bases.cc" <<'CODE'
#include <Zydis/Zydis.h>
#include <initializer_list>
#include <stdio.h>
#include <sys/mman.h>

int main() {
  const unsigned char with_67[] = {0x67, 0x41, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x00, 0x20};
  for (const unsigned char* bytes : {with_67 + 1, with_67}) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const auto status = ZydisDecoderDecodeFull(&decoder, bytes, with_67 + sizeof(with_67) - bytes, &instruction, operands);
    if (!ZYAN_SUCCESS(status)) return 1;
    const char* name = ZydisRegisterGetString(operands[1].mem.base);
    printf("%s%s", bytes == with_67 ? ", " : "", name ? name : "none");
  }
  void* page = mmap((void*)0x20000000, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (page == MAP_FAILED) return 1;
  ((int*)page)[0] = 1;
  ((int*)page)[1024] = 2;
  int found;
  asm volatile(
      "mov $4096, %%r13d\n.byte 0x67, 0x41, 0x8b, 0x04, 0x25, 0, 0, 0, 0x20"
      : "=a"(found)
      :
      : "r13", "memory");
  printf(", the processor %s", found == 1 ? "none" : "r13d");
}
CODE
g++ -o "$work/bases" -I"$work/root/usr/include" "$work/bases.cc" "$work"/root/usr/lib/x86_64-linux-gnu/libZydis.so.4.0
seen=$(LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu "$work/bases")
verdict "none, none, the processor none (in an address of 64 bits, of 32, and of 32 when it runs)" "$seen" \
  "none, r13d, the processor none"
