// What the player's operations are, and what they share. A new one is a row of operations.cc's table and a
// line of generator.py's.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

namespace oracle {

// All that programs map lies here, where nothing else does, on Linux as in the guest.
constexpr int64_t kPage = 4096, kArenaBase = 0x1000000000, kArenaPages = 64;
constexpr int64_t kSharedBase = 0x2000000000;
constexpr int kActors = 4, kMostOperations = 256, kNumbers = 6;
// Descriptors of programs are 100 and following, whatever else is open.
constexpr int64_t kDescriptors = 100, kDescriptorCount = 8;

// A raw system call: its result, or minus its error. Without errno, which threads here have in common.
template <typename... Values>
int64_t call(int64_t number, Values... values) {
  const int64_t all[6] = {static_cast<int64_t>(values)...};
  int64_t result = number;
  register int64_t r10 asm("r10") = all[3];
  register int64_t r8 asm("r8") = all[4];
  register int64_t r9 asm("r9") = all[5];
  asm volatile("syscall"
               : "+a"(result)
               : "D"(all[0]), "S"(all[1]), "d"(all[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
inline int64_t address_of(const volatile void* pointer) { return reinterpret_cast<int64_t>(pointer); }

[[noreturn]] void die(std::string_view what, std::string_view which);

struct OperationKind {
  const char* name;
  void (*perform)(const int64_t* numbers, int me);
};
struct Operation {
  int actor;
  const OperationKind* what;
  int64_t numbers[kNumbers];
};
struct Program {
  Operation operations[kMostOperations];
  int count;
};
const OperationKind* find(std::string_view name);

struct Actor {
  bool alive;
  bool is_thread;
  int64_t group, id, parent;  // of processes: its own, the thread's, the one that waits for it
};

// In memory that all actors share: whose turn it is, and what was seen.
struct Shared {
  int turn;
  Actor actors[kActors];
  int thread_ids[kActors];  // cleared by the kernel when a thread ends
  size_t used;
  char text[1 << 18];

  void reset();
  // A line for operation `at`; add() appends to it.
  void begin(int at);
  [[gnu::format(printf, 2, 3)]] void add(const char* format, ...);
  void add_result(int64_t result);  // a number, an address of the arena, or an error
  void add_address(int64_t address);
  void print(std::string_view name, bool trace) const;
};
extern Shared* shared;

// A turn of nobody's: actor `me` ends.
constexpr int leaving(int me) { return -1 - me; }

// Told to step around nothing that is known to differ (known.py).
extern bool is_raw;

void play(int me);  // until the program is over or the actor is told to leave
void tell_to_leave(int actor);
void prepare();              // signals of a program's first process
[[noreturn]] void finish();  // of a process: its children, then itself
void clean_up();             // files that a program left

// What one access met; signal 0: nothing.
struct Access {
  int signal, code;
  int64_t address;
  uint8_t value;
};
Access load(int64_t address);
Access store(int64_t address, uint8_t value);
Access execute(int64_t address);
void install_handlers();

void list_mappings();

}  // namespace oracle
