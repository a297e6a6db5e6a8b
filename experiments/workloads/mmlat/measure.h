// A measured span: what mmlat counts, and how the counters of the machine under it find it.
//
// Each row measures one span. Its edges are written to /dev/nopte-mark ("begin NAME", "end NAME"), where the
// guest kernel snapshots every counter; the time-stamp counter is read inside the marks. On the emulated
// machine one tick is one executed instruction. On plain Linux the device is absent, no mark is written, and
// the ticks are the processor's own. One process measures at a time; a forked child may measure for its
// parent.
#pragma once

#include <cstdint>

namespace mmlat {

// Opens the mark device when there is one. Call once, first.
void open_marks();

// Starts the span of row `name` (at most 34 bytes, so that "begin NAME" fits 40).
void begin_span(const char* name);

// Ends it and prints "row NAME ops N instructions TOTAL", the cost of an empty span subtracted.
void end_span(uint64_t ops);

enum class Print { kNo, kYes };

// Measures the empty span that end_span() subtracts; may print it, between marks, as row "empty".
void measure_empty_span(Print print);

// Prints "row NAME failed: WHAT (errno)" and leaves the process with status 1.
[[noreturn]] void fail(const char* what);
void expect(bool condition, const char* what);

// The row that runs, for fail().
void set_row(const char* name);

// `count` scaled by --scale, at least 1.
uint64_t scaled(uint64_t count);
void set_scale_percent(uint64_t percent);

// Numbers without a pattern, the same in every run (Knuth's MMIX generator; its upper half).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // 0 to `bound` - 1; at most 2^32 of them.
  uint64_t below(uint64_t bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 32) * bound >> 32;
  }

 private:
  uint64_t state_;
};

}  // namespace mmlat
