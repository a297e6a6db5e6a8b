// Processor time that costs whoever emulates the processor little.
#pragma once

// Instructions that do nothing, in blocks as long as QEMU translates: a second of them by a clock of
// instructions takes hundredths of one. A loop of one instruction is a block of its own each time, and
// `pause` leaves the loop of blocks.
inline void spend_instructions() { asm volatile(".rept 4096\n\tnop\n\t.endr"); }
