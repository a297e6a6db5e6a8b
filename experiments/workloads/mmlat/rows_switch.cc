// Rows that switch address spaces: processes that pass one byte through pipes. One of them can always run.
#include <unistd.h>

#include <array>

#include "experiments/workloads/mmlat/children.h"
#include "experiments/workloads/mmlat/measure.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

constexpr size_t kRing = 8;

struct Pipe {
  int read_end;
  int write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  return {ends[0], ends[1]};
}

void send(int fd) {
  const char byte = 'x';
  if (write(fd, &byte, 1) != 1) fail("write to a pipe");
}

// False at the end of the pipe.
bool receive(int fd) {
  char byte = 0;
  const ssize_t count = read(fd, &byte, 1);
  if (count < 0) fail("read from a pipe");
  return count == 1;
}

// `processes` of them in a ring, this one included: the byte goes round `laps` times.
void ring(const char* name, size_t processes, uint64_t laps, uint64_t ops) {
  std::array<Pipe, kRing> pipes{};
  std::array<pid_t, kRing> children{};
  for (size_t i = 0; i < processes; ++i) pipes[i] = make_pipe();
  // Process i reads pipe i and writes pipe i + 1; process 0 is this one.
  const auto keep_only = [&](size_t me) {
    for (size_t i = 0; i < processes; ++i) {
      if (i != me) close(pipes[i].read_end);
      if (i != (me + 1) % processes) close(pipes[i].write_end);
    }
  };
  for (size_t me = 1; me < processes; ++me) {
    children[me] = spawn([&] {
      keep_only(me);
      const int out = pipes[(me + 1) % processes].write_end;
      while (receive(pipes[me].read_end)) send(out);
    });
  }
  keep_only(0);
  const auto lap = [&] {
    send(pipes[1].write_end);
    expect(receive(pipes[0].read_end), "the ring broke");
  };
  for (int i = 0; i < 4; ++i) lap();
  begin_span(name);
  for (uint64_t i = 0; i < laps; ++i) lap();
  end_span(ops);
  // The end of the pipe runs round the ring and ends each child.
  close(pipes[1].write_end);
  for (size_t me = 1; me < processes; ++me) reap(children[me]);
  close(pipes[0].read_end);
}

}  // namespace

void run_pipe_pingpong(const char* name) {
  const uint64_t laps = scaled(1'000);
  ring(name, 2, laps, laps);
}

void run_ring_hop(const char* name) {
  const uint64_t laps = scaled(250);
  ring(name, kRing, laps, laps * kRing);
}

}  // namespace mmlat
