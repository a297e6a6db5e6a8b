// oracle_player FILE FOLDER [--trace | --raw]: plays random programs, which are lists of operations
// (oracle.py makes them), and prints "PROGRAM DIGEST" for each, or with --trace "PROGRAM OPERATION RESULT"
// for each operation. --raw is --trace, and nothing is stepped around that is known to differ.
//
// A line of FILE is "= PROGRAM" or "ACTOR OPERATION NUMBER...", as operations.h has them. Actor 0 is a
// process of the program's own; others begin by `fork` and `thread` and go by `end` and `kill`. One operation
// runs at a time, in the order of the list: whoever has done one passes the turn, so that nothing depends on
// who is scheduled when. An operation whose actor is not there is left out.
#include <linux/futex.h>

#include <charconv>
#include <string_view>

#include "tests/oracle/operations.h"

namespace oracle {
namespace {

Program program;

// Whose turn it is after operation `at`: the next one's that somebody is there for, or the end.
int next_turn(int at) {
  while (++at < program.count && !shared->actors[program.operations[at].actor].alive) {
  }
  return at;
}

void wait_while(int turn) { call(SYS_futex, address_of(&shared->turn), FUTEX_WAIT, turn, 0); }

void pass_turn(int turn) {
  __atomic_store_n(&shared->turn, turn, __ATOMIC_SEQ_CST);
  call(SYS_futex, address_of(&shared->turn), FUTEX_WAKE, 1 << 30);
}

}  // namespace

Shared* shared;
bool is_raw;

void play(int me) {
  for (;;) {
    const int turn = __atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST);
    if (turn >= program.count) break;
    if (turn == leaving(me)) return;
    if (turn < 0 || program.operations[turn].actor != me) {
      wait_while(turn);
      continue;
    }
    const Operation& operation = program.operations[turn];
    shared->begin(turn);
    operation.what->perform(operation.numbers, me);
    pass_turn(next_turn(turn));
  }
}

void tell_to_leave(int actor) { pass_turn(leaving(actor)); }

namespace {

// The words of a line; a number is any of them.
struct Words {
  std::string_view rest;
  std::string_view next() {
    const size_t end = rest.find(' ');
    const std::string_view word = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return word;
  }
  int64_t number() {
    const std::string_view word = next();
    int64_t value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  }
};

void add(std::string_view line) {
  Words words{line};
  Operation& operation = program.operations[program.count++];
  operation = {};
  operation.actor = static_cast<int>(words.number());
  const std::string_view name = words.next();
  operation.what = find(name);
  if (operation.what == nullptr || operation.actor < 0 || operation.actor >= kActors)
    die("bad operation", name);
  for (int64_t& number : operation.numbers) number = words.number();
}

// One program, from a fresh process on.
void run(std::string_view name, bool trace) {
  shared->reset();
  shared->turn = next_turn(-1);
  const int64_t child = call(SYS_fork);
  if (child == 0) {
    prepare();
    play(0);
    finish();
  }
  int status = 0;
  call(SYS_wait4, child, address_of(&status), 0, 0);
  if (status != 0) shared->add("first process ended with %x", status);
  clean_up();
  shared->print(name, trace);
}

void run_all(std::string_view text, bool trace) {
  std::string_view name;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = text.substr(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with("= ")) {
      if (program.count == kMostOperations) die("too long", name);
      add(line);
      continue;
    }
    if (!name.empty()) run(name, trace);
    name = line.substr(2);
    program.count = 0;
  }
  if (!name.empty()) run(name, trace);
}

}  // namespace
}  // namespace oracle

int main(int count, char** arguments) {
  using namespace oracle;
  if (count < 3) die("usage: oracle_player FILE FOLDER [--trace | --raw]", "");
  is_raw = count > 3 && std::string_view(arguments[3]) == "--raw";
  const int64_t file = call(SYS_open, address_of(arguments[1]), O_RDONLY);
  const int64_t bytes = call(SYS_lseek, file, 0, SEEK_END);
  const int64_t text = call(SYS_mmap, 0, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  if (text < 0 || call(SYS_chdir, address_of(arguments[2])) < 0)
    die("cannot read, or there is no such folder", "");
  call(SYS_close, file);
  shared = reinterpret_cast<Shared*>(call(SYS_mmap, kSharedBase, sizeof(Shared), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  run_all({reinterpret_cast<const char*>(text), static_cast<size_t>(bytes)}, count > 3);
  puts("oracle_player: done");
}
